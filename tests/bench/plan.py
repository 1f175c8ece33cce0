# SPDX-License-Identifier: MIT
"""What groups of figures are made of: see figures.py.

A group is a function of a plan and a table.  It runs programs of the build in
rounds, in turns with what they are compared with, and adds figures.
"""
import argparse
import collections
import contextlib
import operator
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import compare

SERVER_CPU, CLIENT_CPU = "1", 0
LONGEST = 240  # seconds that any program may take
TESTS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge}

Plan = collections.namedtuple("Plan", "build rounds seconds fibers")


class Short(Exception):
    """A program is not there, or did not do what it should."""


class Table:
    """Prints the figures, and remembers whether one was short."""

    def __init__(self):
        self.short = False

    def add(self, name, figure, floor="-"):
        verdict = "-"
        if floor != "-":
            test, limit = re.fullmatch(r"([<>=]+)([\d.]+)", floor).groups()
            good = TESTS[test](figure, float(limit))
            verdict = "ok" if good else "short"
            self.short |= not good
        print(f"{name} {figure:.3f} {floor} {verdict}", flush=True)

    def fail(self, name, problem):
        self.short = True
        print(f"{name}: {problem}", file=sys.stderr)


def middle(rounds, of):
    return statistics.median(of(results) for results in rounds)


def ratio(rounds, side, to, name):
    """The median over the rounds of one server's figure to another's."""
    return middle(rounds, lambda r: r[side][name] / r[to][name])


# Programs that print `name value unit`.

def bench(plan, name):
    return str(plan.build / "tests" / "bench" / name)


def example(plan, name):
    return str(plan.build / "examples" / name)


def output(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                              timeout=LONGEST, check=True)
    except (OSError, subprocess.SubprocessError) as problem:
        raise Short(problem) from problem
    return done.stdout


def run(command, cpu=None):
    pin = ["taskset", "-c", cpu] if cpu is not None else []
    lines = (line.split() for line in output(pin + command).splitlines())
    return {name: float(value) for name, value, _ in lines}


def in_turns(plan, *commands, cpu=None):
    return [[run(command, cpu) for command in commands]
            for _ in range(plan.rounds)]


# Servers, and the load program.

def load_options(plan, **given):
    options = {"load": bench(plan, "load"), "seconds": plan.seconds,
               "warmup": 0.5, "bytes": 64, "connections": 1, "rate": None,
               "http": None, "blocking": False, "spin": False,
               "cpu_client": None, "cpu_server": None}
    return argparse.Namespace(**{**options, **given})


def values(results):
    return {name: value for name, (value, _) in results.items()}


def load_each(plan, servers, **given):
    """Rounds of one dictionary of results a server, which begins for it."""
    options = load_options(plan, **given)
    return [[values(compare.measure(options, server)) for server in servers]
            for _ in range(plan.rounds)]


@contextlib.contextmanager
def all_running(servers, cpus):
    """Servers that run meanwhile, each of them (kind, command)."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(kind(command, cpus))
               for kind, command in servers]


def in_short_turns(plan, running, ask):
    """Rounds of what `ask` finds of each server, all of which run all the time.

    Many short rounds, every other one backwards, since what a machine does
    changes within a second.
    """
    rounds = []
    for turn in range(4 * plan.rounds):
        order = running if turn % 2 else running[::-1]
        found = {server: ask(server) for server in order}
        rounds.append([found[server] for server in running])
    return rounds


def load_all(plan, servers, **given):
    """The same of servers in short turns.

    Not for so many connections that the client runs out of ports.
    """
    options = load_options(plan, seconds=plan.seconds / 4, warmup=0.2, **given)
    servers = [(compare.Server, command) for command in servers]
    with all_running(servers, options.cpu_server) as running:
        return in_short_turns(
            plan, running, lambda server: values(compare.drive(options,
                                                               server)))


def count_calls(plan, server, connections):
    """Calls for each request of a server, by name, as strace counts them."""
    if not shutil.which("strace"):
        raise Short("strace is not installed")
    options = load_options(plan, connections=connections, warmup=0)
    with compare.Server(server, SERVER_CPU) as running, \
            tempfile.NamedTemporaryFile("r") as counts:
        tracer = subprocess.Popen(["strace", "-c", "-f", "-p",
                                   str(running.process.pid), "-o", counts.name],
                                  stderr=subprocess.PIPE, text=True)
        try:
            if "attached" not in tracer.stderr.readline():
                raise Short("strace may not attach")
            lines = output(compare.load_command(options) + [running.address])
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=LONGEST)
        table = counts.read()
    # Each connection has had one reply before the load began.
    requests = float(re.search(r"^requests (\d+)", lines, re.M)[1])
    requests += connections
    calls = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ )? *(\w+)$",
                       table, re.M)
    return {name: int(n) / requests for n, name in calls if name != "total"}
