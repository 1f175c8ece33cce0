#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""floors.py - the rules of the house, held by a machine.

    floors.py [--objects FILE.o...]     look at the tree, and at the objects
    floors.py --self-test               show that each rule can fail

A rule is a function that gets one source file and yields (line, message); it
has a sample in SAMPLES, a small file that breaks it.  Rules that look at the
whole tree or at objects follow below.  The comment over a list says what
belongs on it: an exception is a line with its reason.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]

# The house: floors from the ground up, their rooms in order.  A room uses the
# floors below its own and the rooms before it.  Two floors on one line are on
# the same level and do not know each other.
HOUSE = [
    {"arch": "arch context"},
    {"base": "cc atom check list rng number spin sanitize"},
    {"os": "call feature clock futex cpu thread state guard valgrind stack poll alarm peek"},
    {"core": "self fiber kin timer mark life gate carrier runq inject inbox idle vigil worker"
             " park join sched waiter adopt hatch wait select sleep ticker local spawn"
             " scope"},
    {"sync": "queue batch sem mutex cond rwlock once round barrier latch group notify chan"
             " bell oneshot broadcast watch",
     "io": "fdtab source offload attempt transfer file splice io message socket signal process"
           " poll case reader resolve net"},
    {"run": "print sample trace worker fault watch stats dump crowd census sentinel"
            " runtime"},
    {"posix": "names libc returned under quiet deadline lot key variables loader identity delivery fault proxy interrupt knock region setid"
              " begin mutex cond rwlock sem barrier spin once c11 thread attribute number"
              " known descriptor try io sendfile socket poll sleep signal jump process stdio flush scan resolve ipc futex stats"
              " alias hold elf command preload launcher"},
]

# Functions longer than LONGEST lines: "path:function": "why".
LONGEST = 60
LONG = {}

# Files that may use C11's atomics: the one that names them, and public inline
# paths, which cannot include it.
ATOMICS = {"src/base/atom.h", "include/weft/sync.h"}

# The file of the thread-local word.
TLS = {"src/core/self.c"}

# Calls that sleep or yield, where they are not a wait: "path": "why".
SLEEPS = {
    "src/core/sleep.c": "weft_yield() off a fiber is sched_yield(2)",
    "src/posix/spin.c": "the one who has a spin lock may need the CPU",
    "src/posix/names.h": "names of libc's functions",
    "src/posix/sleep.c": "the hooks of sleeping",
    "src/posix/alias.c": "hooks by other names",
    "src/posix/thread.c": "the hooks of sched_yield() and thrd_yield()",
}

# Words that stand for a sentence that was not written.
BANNED = r"FIXME|XXX|HACK|\b[Ss]imply\b|\b[Oo]bviously\b|[a-z]!(?=\s|$)"

C_ENDINGS = {".c", ".h", ".S"}
SPDX = "SPDX-License-Identifier: MIT"

TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\""
                   r"|'(?:\\.|[^'\\\n])*'", re.S)
ATOM = re.compile(r"\batom_(?!\w*_rlx\b)\w+\s*\(")
LABEL = re.compile(r"\[([a-z0-9]+(?:-[a-z0-9]+)+)\]")


class Source:
    """A file as text, as code without comments and strings, as comments."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.comments = []  # (first line, last line, text), lines from 1
        self.code = TOKEN.sub(self._blank, text).split("\n")
        where = pathlib.PurePath(path)
        self.ending = where.suffix
        self.room = where.stem
        self.floor = where.parts[1 if where.parts[0] == "src" else 0]

    def _blank(self, match):
        token = match.group()
        if token[0] != "/":
            return token[0] + " " * (len(token) - 2) + token[0]
        first = self.text.count("\n", 0, match.start()) + 1
        self.comments.append((first, first + token.count("\n"), token))
        return re.sub(r"[^\n]", " ", token)

    def in_library(self):
        return self.path.startswith(("src/", "arch/", "include/"))

    def find(self, pattern):
        """Yield (line, match) for what is in the code."""
        for number, line in enumerate(self.code, 1):
            for match in re.finditer(pattern, line):
                yield number, match


def height(floor):
    for level, floors in enumerate(HOUSE):
        if floor in floors:
            return level
    return None


def place(floor, room):
    """Where a room is: level, and order on its floor; None if nowhere."""
    level = height(floor)
    if level is None:
        return None
    rooms = HOUSE[level][floor].split()
    return (level, rooms.index(room)) if room in rooms else None


def may_use(user, used):
    """Whether the room `user` (floor, room) may use the room `used`."""
    at, to = place(*user), place(*used)
    if at is None or to is None or at[0] == to[0] and user[0] != used[0]:
        return False
    return to <= at


def includes(source):
    for number, line in enumerate(source.lines, 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^">]+)', line)
        if match:
            yield number, match.group(1), match.group(2)


def rule_spdx(source):
    if SPDX not in "\n".join(source.lines[:2]):
        yield 1, "no licence line: " + SPDX


def rule_width(source):
    if source.ending in C_ENDINGS:
        for number, line in enumerate(source.lines, 1):
            if len(line.expandtabs(8)) > 80:
                yield number, "longer than 80 columns"


def rule_include(source):
    if not source.in_library() or source.ending not in {".c", ".h"}:
        return
    for number, quote, name in includes(source):
        public = name == "weft.h" or name.startswith("weft/")
        parts = pathlib.PurePath(name).parts
        if source.path.startswith("include/"):
            if quote == '"' and "src" in parts or ".." in parts:
                yield number, f"a public header includes {name}"
        elif public or quote == "<":
            continue
        elif source.path == "arch/arch.h":
            continue
        elif source.floor == "arch" or parts[0] == "arch":
            if name != "arch/arch.h":
                yield number, f"{name}: of a port only arch/arch.h is seen"
        elif len(parts) != 2:
            yield number, f'{name}: write "floor/room.h"'
        else:
            user = (source.floor, source.room)
            used = (parts[0], parts[1].rsplit(".", 1)[0])
            if place(*user) is None:
                yield number, "{}/{} is not in HOUSE".format(*user)
            elif not may_use(user, used):
                yield number, "{}/{} may not use {}/{}".format(*user, *used)


def rule_outside(source):
    if source.path.startswith("examples/"):
        for number, quote, name in includes(source):
            if quote == '"' and name != "weft.h" and "/" in name:
                yield number, f"an example includes {name}"
    elif source.path.startswith("tests/bench/limits/"):
        for number, _, name in includes(source):
            if "weft" in name or name.startswith(("arch/", "base/", "core/")):
                yield number, f"a limit includes {name}"


def rule_label(source):
    if not source.in_library() or source.path in ATOMICS:
        return
    for number, match in source.find(ATOM):
        if not any(LABEL.search(c) for c in comments_of(source, number)):
            yield number, match.group().rstrip("( \t") + " without a [label]"


def comments_of(source, number):
    """The comments on a statement's lines, and on the line above it."""
    while True:
        yield from (text for first, last, text in source.comments
                    if first <= number <= last or last == number - 1)
        number -= 1
        above = source.code[number - 1].strip() if number else ""
        if not above or above[-1] in ";{}:" or above[0] == "#":
            return


def functions(source):
    """Yield (first line, lines, name): a brace alone at the margin opens."""
    start = None
    for number, line in enumerate(source.code, 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start:
            head = " ".join(source.code[max(0, start - 6):start - 1])
            names = re.findall(r"(\w+)\s*\(", head) or ["?"]
            yield start, number - start - 1, names[-1]
            start = None


def rule_length(source):
    for number, lines, name in functions(source):
        if lines > LONGEST and f"{source.path}:{name}" not in LONG:
            yield number, f"{name} has {lines} lines"


def rule_atomics(source):
    if source.in_library() and source.path not in ATOMICS:
        pattern = r"\b(atomic_\w+|memory_order_\w+|__atomic_\w+|__sync_\w+)"
        for number, match in source.find(pattern):
            yield number, match.group() + " outside base/atom.h"


def rule_tls(source):
    if source.in_library() and source.path not in TLS:
        for number, match in source.find(r"\b(_Thread_local|__thread)\b"):
            yield number, match.group() + " outside core/self.c"


def rule_cpu(source):
    pattern = (r"\b(__x86_64(__)?|__amd64__|__i386__|__aarch64__|__arm__"
               r"|__riscv|__powerpc\w*|__s390x?__)\b")
    if not source.path.startswith(("arch/", "tests/")):
        for number, match in source.find(pattern):
            yield number, match.group() + " outside arch/"


def rule_sleep(source):
    pattern = (r"\b(u|nano|clock_nano)?sleep\s*\(|\b(sched|thrd|pthread)_yield"
               r"\b|\b(SYS|__NR)_(sched_yield|(clock_)?nanosleep)\b"
               r"|\bwf_call\((sched_yield|(clock_)?nanosleep)\b")
    if source.path.startswith("src/") and source.path not in SLEEPS:
        for number, match in source.find(pattern):
            yield number, match.group().rstrip("(") + ": wait for an event"


def rule_words(source):
    for first, _, text in source.comments:
        for number, line in enumerate(text.split("\n"), first):
            for match in re.finditer(BANNED, line):
                yield number, f"`{match.group()}` in a comment"
            if re.search(r"\bTODO\b(?!: \S{2,} \S)", line):
                yield number, "TODO without saying what, and why not now"


def rule_comment(source):
    if source.ending in {".c", ".h"}:
        for first, _, text in source.comments:
            if text.startswith("//"):
                yield first, "write /* */"


def rule_extern(source):
    if source.path.startswith("src/") and source.ending == ".c":
        for number, _ in source.find(r"^\s*extern\b"):
            yield number, "extern: include the header that declares it"


def rule_documented(source):
    """What a public header declares stands below a comment."""
    if not source.path.startswith("include/weft/"):
        return
    for number, match in source.find(r"^(WEFT_API|struct \w+ \{|enum \w+ \{)"):
        above = covering(source, number)
        head = "".join(text for _, _, text in source.comments[:2])
        if above is None and match.group()[:-2] in head:
            continue  # the head of the file is about it
        if above is None:
            yield number, "declared without a comment"
        elif match.group() == "WEFT_API" and "Context" not in above:
            yield number, "the comment does not say the Context"


def covering(source, number):
    """The comment over a declaration or over the group that it is in."""
    ends = {last: text for first, last, text in source.comments}
    for above in range(number - 1, 0, -1):
        if above in ends and source.code[above - 1].strip() == "":
            return ends[above]
        if re.match(r"#|WEFT_(BEGIN|END)", source.code[above - 1]):
            return None
    return None


RULES = {name[5:]: function for name, function in list(globals().items())
         if name.startswith("rule_")}


def lone_labels(sources):
    """A pairing has two ends: a label that occurs once has lost one."""
    where = collections.defaultdict(list)
    for source in sources:
        if source.in_library():
            for first, _, text in source.comments:
                for match in LABEL.finditer(text):
                    line = first + text.count("\n", 0, match.start())
                    where[match.group(1)].append((source.path, line))
    for label, places in sorted(where.items()):
        if len(places) == 1:
            yield *places[0], f"[{label}] occurs only here"


def parse_nm(text):
    """{(floor, room): (defined, undefined)} of what `nm -A` prints."""
    objects = collections.defaultdict(lambda: (set(), set()))
    pattern = (r"(?:.*/)?(?:src|(arch))/(\w+)/(\w+)\.[cS]\.o(?:bj)?:"
               r"\s*[0-9a-f]* (\w) (\S+)")
    for line in text.splitlines():
        match = re.match(pattern, line)
        if not match:
            continue
        port, floor, room, kind, symbol = match.groups()
        if kind in "Uw":
            objects[port or floor, room][1].add(symbol)
        elif kind.isupper():
            objects[port or floor, room][0].add(symbol)
    return objects


def wrong_calls(nm):
    """Objects use symbols as their files may include: no way up, no cycle."""
    objects = parse_nm(nm)
    home = {s: room for room, (has, _) in objects.items() for s in has}
    for user, (defined, wanted) in sorted(objects.items()):
        name = "/".join(user)
        if place(*user) is None:
            yield name, 0, "this object's room is not in HOUSE"
            continue
        for symbol in sorted(defined):
            if not symbol.startswith(("wf_", "weft_")):
                yield name, 0, f"{symbol} is global without our prefix"
        for symbol in sorted(wanted & home.keys()):
            if user != home[symbol] and not may_use(user, home[symbol]):
                used = "/".join(home[symbol])
                yield name, 0, f"calls {symbol}: may not use {used}"
    if nm and not objects:
        yield "nm", 0, "no object was recognised"


def tree():
    for folder in ("arch", "include", "src", "tests", "examples"):
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in C_ENDINGS | {".py", ".sh"}:
                yield Source(str(path.relative_to(TOP)), path.read_text())


def look(objects):
    sources = list(tree())
    for source in sources:
        for name, rule in RULES.items():
            if source.ending in C_ENDINGS or name == "spdx":
                for number, message in rule(source):
                    yield source.path, number, f"{message} ({name})"
    yield from lone_labels(sources)
    if objects:
        nm = subprocess.run(["nm", "-A", *objects], check=True, text=True,
                            stdout=subprocess.PIPE)
        yield from wrong_calls(nm.stdout)


# rule: (path, text that breaks it, text that does not)
SAMPLES = {
    "spdx": ("src/base/list.h", "/* list.h */", f"/* {SPDX} */"),
    "width": ("src/base/list.h", "\t" * 10 + "x", "\t" * 9 + "x"),
    "include": ("src/core/park.c", '#include "io/source.h"',
                '#include "base/list.h"\n#include "weft/time.h"'),
    "outside": ("examples/echo.c", '#include "core/park.h"',
                '#include <weft.h>'),
    "label": ("src/core/park.c", "\tatom_store_rel(&a, 1);",
              "\t/* release [a-b] */\n\tif (x &&\n\t    atom_or_ar(&a, 1))\n"
              "\t\tatom_store_rlx(&b, 1); "),
    "length": ("src/core/park.c", "int f(void)\n{\n" + "\n" * 61 + "}\n",
               "int f(void)\n{\n" + "\n" * 60 + "}\n"),
    "atomics": ("src/core/park.c", "atomic_store(&a, 1);",
                "_Atomic int a; /* atomic_store */"),
    "tls": ("src/core/park.c", "static _Thread_local int a;", "static int a;"),
    "cpu": ("src/os/cpu.c", "#ifdef __x86_64__", "/* not __x86_64__ */"),
    "sleep": ("src/core/park.c", "while (!a)\n\tusleep(1);",
              "weft_sleep(1); wf_sleep(1);"),
    "words": ("src/core/park.c", "/* TODO */",
              "/* TODO: wake in batches, once there is a benchmark */"),
    "comment": ("src/core/park.c", "int a; // b", '"http://a"; /* b */'),
    "extern": ("src/core/park.c", "extern int a;", "int a; /* extern */"),
    "documented": ("include/weft/time.h", "/* a */\n#define A\nWEFT_API int f(void);",
                   "/*\n * Does f.\n *\n * Context: any.\n */\n"
                   "WEFT_API int f(void);\nWEFT_API int g(void);"),
}

MORE = [  # (rule, path, text, whether it breaks the rule)
    ("include", "src/core/park.c", '#include "core/spawn.h"', True),
    ("include", "src/core/spawn.c", '#include "core/park.h"', False),
    ("include", "src/io/io.c", '#include "sync/mutex.h"', True),
    ("include", "src/core/nowhere.c", '#include "base/list.h"', True),
    ("include", "src/core/park.c", '#include "park.h"', True),
    ("include", "src/os/cpu.c", '#include "arch/x86_64/context.h"', True),
    ("include", "arch/x86_64/x.c", '#include "base/list.h"', True),
    ("include", "include/weft/io.h", '#include "../../src/base/list.h"', True),
    ("outside", "tests/bench/limits/a.c", "#include <weft.h>", True),
    ("label", "src/core/park.c",
     "\t/* release [a-b] */\n\tx = 1;\n\tatom_store_rel(&a, 1);", True),
    ("words", "src/core/park.c", "/* This simply works. */", True),
    ("words", "src/core/park.c", "/* It works! */", True),
    ("sleep", "src/core/park.c", "wf_call(sched_yield);", True),
    ("documented", "include/weft/time.h", "/* x */\n#\nstruct a {", True),
    ("documented", "include/weft/a.h", "/* struct a */\n#\nstruct a {", False),
    ("documented", "include/weft/time.h", "/* a */\nWEFT_API int f(void);",
     True),
]


def self_test():
    for name, (path, bad, good) in SAMPLES.items():
        yield name, path, bad, True
        yield name, path, good, False
    yield from MORE


def self_test_whole():
    def source(text):
        return [Source("src/core/park.h", text)]
    yield "a lone label", lone_labels(source("/* [a-b] */")), True
    yield "a pair", lone_labels(source("/* [a-b] */\n/* [a-b] */")), False
    low = "x/src/base/list.c.o:0000000000000000 T wf_list_f\n"
    high = "x/src/core/park.c.o:0000000000000000 T wf_park\n"
    port = "x/arch/x86_64/context.S.o:0000000000000000 T wf_switch\n"
    up = "x/src/base/list.c.o:                 U wf_park\n"
    down = "x/src/core/park.c.o:                 U wf_list_f\n"
    arch = "x/src/core/park.c.o:                 U wf_switch\n"
    odd = "x/src/core/odd.c.o:0000000000000000 T wf_odd\n"
    bare = "x/src/base/list.c.o:0000000000000000 T list_f\n"
    yield "a call up", wrong_calls(low + high + up), True
    yield "a call down", wrong_calls(low + high + down + port + arch), False
    yield "an unknown object", wrong_calls(odd), True
    yield "no prefix", wrong_calls(bare), True
    yield "not what nm prints", wrong_calls("x"), True


def run_self_test():
    failed = sorted(RULES.keys() ^ SAMPLES.keys())
    count = 0
    for name, path, text, breaks in self_test():
        count += 1
        if bool(list(RULES[name](Source(path, text)))) != breaks:
            failed.append(f"{name}: {text!r}")
    for name, found, breaks in self_test_whole():
        count += 1
        if bool(list(found)) != breaks:
            failed.append(name)
    for name in failed:
        print("self-test: wrong about", name)
    print(f"{count} samples, {len(failed)} wrong")
    return bool(failed)


def main():
    parser = argparse.ArgumentParser(description="the rules of the house")
    parser.add_argument("--objects", nargs="*", help="of the library")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return run_self_test()
    found = 0
    for path, number, message in look(options.objects):
        print(f"{path}:{number}: {message}")
        found += 1
    print(f"{found} found")
    return found > 0


if __name__ == "__main__":
    sys.exit(main())
