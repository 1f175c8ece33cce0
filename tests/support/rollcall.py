#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rollcall.py - which tests ran, by name, and which should have.

    rollcall.py skipped LOG
    rollcall.py missing CONFIGURATION NATIVE-LOG LOG
    rollcall.py --self-test

A LOG is what `ctest -V` has printed.  "skipped" says what was skipped in it,
and why, apart from entries named *.without-*, which do without something of
their own accord.  "missing" says which tests the native log has and the other one has
not, apart from those that the table in tests/README.md excuses, and which
excuses are for tests that there are none of; it fails if it has said anything.

A test is `unit.park park/a_sentence` where its program names its tests,
`example.echo #3` where that only counts them, and `lint.format` else.
"""
import fnmatch
import itertools
import pathlib
import re
import sys

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"
HEADING = "## What is skipped, and why\n"

# "12/34 Test #12: unit.park ......   Passed    0.10 sec"
ENTRY = re.compile(r" *\d+/\d+ Test +#(\d+): (\S+) (.*)")
OUTPUT = re.compile(r"(\d+): (.*)")
NAMED = re.compile(r"\[(PASS|FAIL|SKIP)\] (\w+)::(\w+)(?:: (.*))?")
COUNTED = re.compile(r"Ran (\d+) tests? in ")


class Roll:
    """What one log tells: names of tests that ran; of others, why not."""

    def __init__(self, text):
        self.ran, self.skipped = set(), {}
        named, counted = {}, {}
        for line in text.splitlines():
            if output := OUTPUT.match(line):
                number, said = output.groups()
                if test := NAMED.search(said):
                    named.setdefault(number, []).append(test.groups())
                elif count := COUNTED.match(said):
                    counted[number] = int(count[1])
            elif entry := ENTRY.match(line):
                self.close(*entry.groups(), named, counted)
        for name in self.ran:
            self.skipped.pop(name, None)  # some rows of it ran

    def close(self, number, entry, result, named, counted):
        for how, suite, test, why in named.get(number, ()):
            name = "%s %s/%s" % (entry, suite, test)
            if how == "SKIP":
                self.skipped[name] = why or "skipped"
            else:
                self.ran.add(name)
        for i in range(counted.get(number, 0)):
            self.ran.add("%s #%d" % (entry, i + 1))
        if number in named or number in counted:
            return
        if re.search(r"Skipped|Not Run|Disabled", result):
            self.skipped[entry] = "the entry is skipped"
        else:
            self.ran.add(entry)


def excuses(readme, configuration):
    """The patterns of the table's rows that are about the configuration."""
    for row in readme.partition(HEADING)[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) == 3 and configuration in cells[0].split(", "):
            yield from re.findall("`([^`]+)`", cells[1])


def entry_of(name):
    return name.partition(" ")[0]


def fits(name, pattern):
    """A pattern without a blank is about whole entries."""
    if " " not in pattern:
        name = entry_of(name)
    return fnmatch.fnmatchcase(name, pattern)


def missing(configuration, native, other, readme):
    patterns = list(excuses(readme, configuration))
    for pattern in patterns:
        if not any(fits(n, pattern) for n in native.ran | set(native.skipped)):
            yield "the README excuses %s: there is none" % pattern
    absent = [name for name in sorted(native.ran - other.ran)
              if not any(fits(name, pattern) for pattern in patterns)]
    for entry, tests in itertools.groupby(absent, entry_of):
        tests = list(tests)
        if entry in map(entry_of, other.ran):
            yield from ("did not run: " + test for test in tests)
        else:
            yield "did not run at all: %s (%d tests)" % (entry, len(tests))


def self_test():
    readme = HEADING + """
| configuration | what | why |
|---|---|---|
| asan, tsan | `unit.b b/two*`, `lint.*` | because |
"""
    native = Roll("""1: [PASS] a::one: (0.00s)
1: [SKIP] a::two: no memory
 1/4 Test  #1: unit.a ....   Passed    0.10 sec
2: [FAIL] b::two_of_them: (0.00s)
2/4 Test #2: unit.b .....***Failed    0.10 sec
3: Ran 2 tests in 0.1s
3/4 Test #3: example.e ..   Passed    0.10 sec
4/4 Test #4: lint.l .....   Passed    0.10 sec
""")
    assert native.ran == {"unit.a a/one", "unit.b b/two_of_them",
                          "example.e #1", "example.e #2", "lint.l"}
    assert native.skipped == {"unit.a a/two": "no memory"}
    other = Roll("3: Ran 1 test in 0.1s\n3/4 Test #3: example.e  Passed  0\n"
                 "4/4 Test #4: lint.l ....***Skipped   0.10 sec\n")
    assert other.skipped == {"lint.l": "the entry is skipped"}
    assert list(missing("asan", native, other, readme)) == [
        "did not run: example.e #2", "did not run at all: unit.a (1 tests)"]
    assert len(list(missing("gcc", native, other, readme))) == 4
    assert len(list(missing("asan", other, other, readme))) == 1
    assert not list(missing("gcc", native, native, readme))


def read(log):
    return Roll(pathlib.Path(log).read_text(errors="replace"))


def main(what, *arguments):
    found = ()
    if what == "--self-test":
        self_test()
    elif what == "skipped":
        found = [item for item in sorted(read(*arguments).skipped.items())
                 if ".without-" not in item[0]]
        for item in found:
            print("skipped: %s: %s" % item)
    else:
        configuration, native, other = arguments
        found = list(missing(configuration, read(native), read(other),
                             README.read_text()))
        for line in found:
            print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
