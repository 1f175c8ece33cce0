#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""differ.py - a program says the same on threads and on fibers.

    differ.py --library LIBRARY PROGRAM [ARGUMENT...]
    differ.py --plain-only PROGRAM [ARGUMENT...]
    differ.py --library LIBRARY --fibers-only EXPECTED PROGRAM [ARGUMENT...]
    differ.py --self-test

Runs an ordinary program on plain threads, several times, which has to give the
same output each time and status 0; then with LIBRARY preloaded, once for each
number of workers, and shows what is different.  With --fibers-only the file
EXPECTED stands in for the plain runs.
"""
import argparse
import difflib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

SHOWN = 60  # lines of a difference


class Run:
    """What a program did, run once to its end or to the time limit."""

    def __init__(self, how, command, changes, limit):
        self.how = how
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            self.status = run(command, out, err, changes, limit)
            self.out, self.err = text(out), text(err)

    def matches(self, other, stderr):
        """Says what is different, if anything is."""
        said = list(difference("stdout", other.out, self.out, other, self))
        if stderr:
            said += difference("stderr", other.err, self.err, other, self)
        if self.status != other.status:
            said.append("status: %s, but %s %s" %
                        (other.status, self.how, self.status))
        if "cannot be preloaded" in self.err:
            said.append("the library was not loaded")
        if said:
            print("\n".join(said))
            self.show_errors()
        return not said

    def show_errors(self):
        if self.err:
            print("--- what %s wrote to stderr\n%s" % (self.how, self.err))


class Expected:
    """What stands in a file, in place of a run."""
    how, status, err = "expected", "exit 0", ""

    def __init__(self, path):
        self.out = pathlib.Path(path).read_text()


def run(command, out, err, changes, limit):
    """Its status in words.  All it has started ends with it."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("WEFT_") and name != "LD_PRELOAD"}
    environment.update(changes)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                             stderr=err, env=environment,
                             start_new_session=True)
    signal.setitimer(signal.ITIMER_REAL, limit)
    late = ""
    try:
        # Not reaped yet, so that the number of the group stays taken.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    except TimeoutError:
        late = "nothing within %g s" % limit
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
    if late:
        return late
    return "exit %d" % status if status >= 0 else signal.Signals(-status).name


def text(file):
    file.seek(0)
    return file.read().decode(errors="backslashreplace")


def difference(name, before, after, one, other):
    lines = list(difflib.unified_diff(
        before.splitlines(), after.splitlines(), lineterm="",
        fromfile="%s, %s" % (name, one.how),
        tofile="%s, %s" % (name, other.how)))
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield "... and %d lines more" % (len(lines) - SHOWN)
    if not lines and before != after:
        yield "%s differs in its line ends" % name


def reference(options, go):
    """What fibers have to do, or None if that is not certain."""
    if options.fibers_only:
        return Expected(options.fibers_only)
    first = go("on threads", {})
    if first.status != "exit 0":
        print("%s: %s\n%s" % (first.how, first.status, first.out))
        first.show_errors()
        return None
    for i in range(1, options.runs):
        again = go("on threads again", {})
        if not again.matches(first, options.stderr):
            return None
    return first


def differ(options):
    changes = dict(each.split("=", 1) for each in options.env)

    def go(how, more):
        return Run(how, options.command, {**changes, **more}, options.limit)

    expected = reference(options, go)
    if expected is None:
        return 1
    wrong = 0
    for workers in [] if options.plain_only else options.workers.split(","):
        seen = go("on fibers, %s workers" % workers,
                  {"LD_PRELOAD": options.library, "WEFT_WORKERS": workers})
        wrong += not seen.matches(expected, options.stderr)
        if seen.status.startswith("nothing"):
            break  # the others would take as long
    return 1 if wrong else 0


# What is run, further options, and the status that has to come of it.  In
# place of a library it is a variable which only that run has.
SAMPLES = [
    ("echo same", [], 0),
    ("echo ${WEFT_WORKERS-none}", [], 1),
    ("echo ${WEFT_WORKERS-none}", ["--plain-only"], 0),
    ("echo ${WEFT_WORKERS-none} >&2", [], 0),
    ("echo ${WEFT_WORKERS-none} >&2", ["--stderr"], 1),
    ("echo; test -z \"$WEFT_WORKERS\"", [], 1),
    ("test \"$WEFT_WORKERS\" != 4 || kill -9 $$", [], 1),
    ("test -z \"$WEFT_WORKERS\" || echo $LD_PRELOAD cannot be preloaded >&2",
     [], 1),
    ("echo $$", ["--plain-only"], 1),
    ("exit 3", [], 1),
    ("kill -9 $$", [], 1),
    ("sleep 60", ["--plain-only", "--limit", "0.1"], 1),
    ("test -z \"$WEFT_WORKERS\" || sleep 60", ["--limit", "0.5"], 1),
    ("sleep 60 & echo left", ["--limit", "30"], 0),
    ("printf ''", ["--fibers-only", os.devnull], 0),
    ("echo more", ["--fibers-only", os.devnull], 1),
    ("test \"$NAME\" = value=1", ["--env", "NAME=value=1"], 0),
]


def self_test():
    wrong = 0
    for script, more, status in SAMPLES:
        command = [sys.executable, __file__, "--library", "", *more, "sh", "-c",
                   script]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != status or bool(done.stdout) != bool(status):
            wrong += 1
            print("%s %s: status %d, and it said:\n%s" %
                  (script, more, done.returncode, done.stdout))
    print("%d samples, %d wrong" % (len(SAMPLES), wrong))
    return 1 if wrong else 0


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--plain-only", action="store_true")
    parser.add_argument("--fibers-only", metavar="EXPECTED")
    parser.add_argument("--library")
    parser.add_argument("--stderr", action="store_true",
                        help="compare that too")
    parser.add_argument("--env", metavar="NAME=VALUE", action="append",
                        default=[])
    parser.add_argument("--runs", type=int, default=2,
                        help="on plain threads (%(default)s)")
    parser.add_argument("--workers", default="1,2,4", help="%(default)s")
    parser.add_argument("--limit", type=float, default=180,
                        help="seconds for each run (%(default)s)")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.self_test and not options.command:
        parser.error("no program")
    if not options.plain_only and not options.self_test and (
            options.library is None):
        parser.error("no library")
    return options


def out_of_time(*_):
    raise TimeoutError


def terminated(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    if options.self_test:
        return self_test()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, terminated)
    return differ(options)


if __name__ == "__main__":
    sys.exit(main())
