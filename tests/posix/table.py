#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""table.py - the table of libc's names is complete and says what is so.

    table.py [--compiler CC]... [--headers DIRECTORY]... [--library LIBRARY]
             [--programs DIRECTORY]
    table.py --self-test

src/posix/table.def is held against what each compiler's libc exports and what
blocking.txt and libc's headers say may wait; against what the library of hooks
exports; and against what the programs of the differential tests call.
"""
import argparse
import collections
import fnmatch
import pathlib
import re
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE.parents[1] / "src" / "posix" / "table.def"
BLOCKING = HERE / "blocking.txt"

# What glibc is in.  Names of GLIBC_PRIVATE are between these only.
LIBC = ["libc.so.6", "libresolv.so.2", "libm.so.6", "libanl.so.1",
        "libpthread.so.0", "librt.so.1"]
MACHINES = {62: "x86_64", 183: "aarch64"}
OLDEST = (2, 34)  # that can be built with: what it has needs no mark
THREADS = re.compile(r"_*(pthread|sem|mtx|cnd|thrd|tss)_|call_once$")

Row = collections.namedtuple("Row", "kind word name since cpu line")
# first: of each name the version that had it first.
Libc = collections.namedtuple("Libc", "version cpu first")


# --- what is read ---

class Table:
    """The rows by name, and what is wrong with the text itself."""

    def __init__(self, text):
        self.rows = {}
        self.reasons = {}
        self.wrong = []
        for number, words in statements(text):
            if words[0] == "reason":
                self.reasons[words[1]] = number
                if len(words) < 4:
                    self.wrong.append(f"{number}: this is no reason")
            elif words[0] in ("hook", "region", "pass"):
                for name in words[2:]:
                    self.add(number, words[0], words[1], name)
            else:
                self.wrong.append(f"{number}: what is `{words[0]}`?")
        self.look_at_reasons()

    def add(self, number, kind, word, text):
        match = re.fullmatch(r"(\w+)(?::(\d+)\.(\d+))?(?::([a-z]\w+))?", text)
        if not match:
            self.wrong.append(f"{number}: what is `{text}`?")
            return
        name, major, minor, cpu = match.groups()
        since = (int(major), int(minor)) if major else OLDEST
        if name in self.rows:
            self.wrong.append(f"{number}: {name} has a row already")
        if cpu and cpu not in MACHINES.values():
            self.wrong.append(f"{number}: no such processor: {cpu}")
        self.rows[name] = Row(kind, word, name, since, cpu, number)

    def look_at_reasons(self):
        used = {row.word for row in self.rows.values() if row.kind == "pass"}
        for row in self.rows.values():
            if row.kind == "pass" and row.word not in self.reasons:
                self.wrong.append(f"{row.line}: {row.name}: no such reason:"
                                  f" {row.word}")
        for word in self.reasons.keys() - used:
            self.wrong.append(f"{self.reasons[word]}: the reason {word} is not"
                              " used")

    def ours(self):
        return [row for row in self.rows.values() if row.kind != "pass"]


def statements(text):
    """Yield (line, words); a line that begins with blanks goes on."""
    begun = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line[0] == "#":
            continue
        if line[0].isspace() and begun:
            begun[1].extend(line.split())
            continue
        if begun:
            yield begun
        begun = (number, line.split())
    if begun:
        yield begun


class Blocking:
    """Whether a name is that of a call that may wait, or a variant of one."""

    def __init__(self, text):
        words = [word for line in text.split("\n") if line[:1] != "#"
                 for word in line.split()]
        self.patterns = [word for word in words if "*" in word]
        self.names = {bare(word) for word in words if "*" not in word}

    def __contains__(self, name):
        return bare(name) in self.names or any(
            fnmatch.fnmatchcase(each, pattern)
            for each in (name, bare(name)) for pattern in self.patterns)


def bare(name):
    """Without what makes a variant: __IO_fgets_unlocked_chk is fgets."""
    name = re.sub(r"^_+(IO|libc|isoc\d+|xpg|bsd)_+|^_+", "", name)
    name = name.replace("64", "")
    shorter = None
    while shorter != name:
        shorter = name
        name = re.sub(r"(_(chk|unlocked|time|r|l|2|af|np)|v2)$", "", name)
    return name


def output(*command):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def machine(path):
    with open(path, "rb") as file:
        head = file.read(20)
    return MACHINES[struct.unpack_from("<H", head, 18)[0]]


def parse_versions(text):
    """{name: first version}, and the newest, of what `nm -D` says of glibc."""
    first, newest = {}, (0, 0)
    for line in text.splitlines():
        match = re.search(r" ([A-Z]|i) (?:(\w+)@@?)?GLIBC_(\d+)\.(\d+)[\d.]*$",
                          line)
        if not match:
            continue
        kind, name, major, minor = match.groups()
        version = (int(major), int(minor))
        if kind == "A":
            newest = max(newest, version)
        elif kind in "TWi":
            first[name] = min(version, first.get(name, version))
    return first, newest


def libc_of(compiler):
    text = ""
    for name in LIBC:
        path = output(compiler, "-print-file-name=" + name).strip()
        if "/" in path:
            text += output("nm", "-D", "--defined-only", path)
    libc = output(compiler, "-print-file-name=" + LIBC[0]).strip()
    first, newest = parse_versions(text)
    return Libc(newest, machine(libc), first)


def exported_by(library):
    text = output("nm", "-D", "--defined-only", library)
    return {line.split()[-1].split("@")[0] for line in text.splitlines()}


def parse_relocations(text):
    """The names by which `readelf -r` says that a library is bound."""
    found = re.findall(r" R_\w+_(?:JUMP_SLOT?|GLOB_DAT) +\w+ (\w+)", text)
    return set(found)


def bound_by(library):
    return parse_relocations(output("readelf", "-rW", library))


def called_by(programs):
    """{program: the names it does not define} of what they are linked with."""
    calls = {program: set() for program in programs}
    if programs:
        text = output("nm", "-D", "-A", "--undefined-only", *programs)
        for line in text.splitlines():
            program, name = re.match(r"(.*?):.* [Uw] (\w+)", line).groups()
            calls[program].add(name)
    return calls


def parse_headers(text):
    """The functions that a header says are cancellation points."""
    pattern = (r"/\*(?:(?!\*/).)*cancell?ation point(?:(?!\*/).)*\*/"
               r"(.*?)(?=\n\n|/\*|\Z)")
    for match in re.finditer(pattern, text, re.S):
        yield from re.findall(r"\b(\w+)\s*\(", match.group(1))


def headers_in(directories):
    names = set()
    for directory in map(pathlib.Path, directories):
        for pattern in ("*.h", "arpa/*.h", "bits/*.h", "sys/*.h"):
            for path in directory.glob(pattern):
                text = path.read_text(errors="replace")
                names.update(parse_headers(text))
    return names


# --- what has to be so ---

def has_rows(table, blocking, libc):
    """Each name of libc that matters has a row, and each row a name."""
    for name in sorted(libc.first):
        if name in table.rows:
            continue
        if THREADS.match(name):
            yield f"{name}: has to do with threads, and has no row"
        elif name in blocking:
            yield f"{name}: may wait, and has no row"
    for row in table.rows.values():
        there = row.since <= libc.version and row.cpu in (None, libc.cpu)
        if there and row.name not in libc.first:
            yield f"{row.line}: {row.name}: libc has no such function"
        elif not there and row.name in libc.first:
            yield f"{row.line}: {row.name}: libc has it"
        elif there and row.since != max(OLDEST, libc.first[row.name]):
            yield "{}: {}: is there since glibc {}.{}".format(
                row.line, row.name, *libc.first[row.name])


def is_known(table, libc, header_names):
    """What a header says may wait has a row."""
    for name in sorted(header_names & libc.first.keys()):
        if name not in table.rows:
            yield f"{name}: a header calls it a cancellation point: no row"


def is_used(table, blocking, libcs):
    """What blocking.txt has is somewhere."""
    known = table.rows.keys() | set().union(*(libc.first for libc in libcs))
    bares = {bare(name) for name in known}
    for name in sorted(blocking.names - bares):
        yield f"{name}: said to block, but no libc has it"
    for pattern in blocking.patterns:
        if not fnmatch.filter(known | bares, pattern):
            yield f"{pattern}: fits nothing of libc"


def is_exported(table, libc, exported):
    """The library has hooks and regions of this libc, and nothing else."""
    for row in table.ours():
        there = row.since <= libc.version and row.cpu in (None, libc.cpu)
        if there and row.name not in exported:
            yield f"{row.line}: {row.name}: a {row.kind}, but not exported"
    for name in sorted(exported):
        if name not in table.rows:
            yield f"{name}: exported, but has no row"
        elif table.rows[name].kind == "pass":
            line = table.rows[name].line
            yield f"{line}: {name}: passes, but is exported"


def is_own(exported, bound):
    """Whatever a program has by the name of a hook, the library calls its."""
    for name in sorted(exported & bound):
        yield f"{name}: exported, and bound to whoever has that name"


def is_called(table, libc, calls):
    """The program of each hook and region is there, and calls it."""
    missing = set()
    for row in table.ours():
        if row.word not in calls:
            missing.add(row.word)
        elif row.name in libc.first and row.name not in calls[row.word]:
            yield f"{row.line}: {row.word} does not call {row.name}"
    for word in sorted(missing):
        yield f"{word}: no such program"


def programs_in(directory):
    """{program: what it calls}, of those that have a source."""
    paths = {}
    for source in (HERE / "programs").iterdir():
        path = pathlib.Path(directory) / source.stem
        if source.suffix in (".c", ".cc") and path.exists():
            paths[str(path)] = source.stem
    calls = called_by(sorted(paths))
    return {paths[path]: names for path, names in calls.items()}


def look(options):
    table = Table(TABLE.read_text())
    blocking = Blocking(BLOCKING.read_text())
    libcs = [libc_of(compiler) for compiler in options.compiler]
    yield from table.wrong
    for libc in libcs:
        yield from has_rows(table, blocking, libc)
    if libcs:
        yield from is_used(table, blocking, libcs)
        yield from is_known(table, libcs[0], headers_in(options.headers))
    if options.library:
        exported = exported_by(options.library)
        yield from is_exported(table, libcs[0], exported)
        yield from is_own(exported, bound_by(options.library))
    if options.programs:
        yield from is_called(table, libcs[0], programs_in(options.programs))


# --- that each of these can fail ---

SAMPLE = Libc((2, 36), "x86_64", {"read": (2, 2), "__read_chk": (2, 4)})
GOOD = "hook\tio\tread __read_chk\n"


def samples():
    """Yield (what, messages, whether there have to be some)."""
    def rows(text, libc=SAMPLE, block="read"):
        return has_rows(Table(text), Blocking(block), libc)

    def text(text):
        return Table(text).wrong

    def libc(name, version=(2, 36), first=(2, 2), cpu="x86_64"):
        return Libc(version, cpu, {name: first})

    yield "a good table", text(GOOD + "pass x y\nreason x it is"), False
    yield "a kind", text("hok io read"), True
    yield "a name", text("hook io read, write"), True
    yield "a name twice", text(GOOD + "pass x read\nreason x it is"), True
    yield "a processor", text("hook io read:z80"), True
    yield "no such reason", text("pass x read"), True
    yield "a reason for nothing", text("reason x it is"), True
    yield "an empty reason", text("pass x read\nreason x"), True
    yield "going on", text("hook io read\n\t\tread"), True

    yield "all rows", rows(GOOD), False
    yield "a blocking call without", rows("hook io __read_chk"), True
    yield "a variant without", rows("hook io read"), True
    yield "a pattern", rows("", libc("readv"), "read*"), True
    yield "what does not wait", rows("", libc("strlen")), False
    for name in ("pthread_x_np", "__pthread_x", "sem_x", "mtx_x", "cnd_x",
                 "thrd_x", "tss_x", "call_once"):
        yield name, rows("", libc(name)), True
    yield "not of libc", rows(GOOD + "hook io write"), True
    yield "of a newer libc", rows(GOOD + "hook io write:2.38"), False
    yield "not that new", rows("hook io read:2.38", libc("read")), True
    yield "newer than marked", rows("hook io f", libc("f", first=(2, 35))), True
    yield "as new", rows("hook io f:2.35", libc("f", first=(2, 35))), False
    yield "another's", rows("hook io f:x86_64", libc("f", cpu="aarch64")), True
    yield "not another's", rows(GOOD + "hook io f:aarch64"), False

    for name in ("__read", "_IO_read", "__read_chk", "read64", "read_unlocked",
                 "__read64_unlocked_chk", "read_r", "__isoc99_read", "__read_2",
                 "read64v2", "__read_time64", "_IO_read_unlocked"):
        yield name, rows("", libc(name)), True
    for name in ("reader", "bread", "read_more"):
        yield name, rows("", libc(name)), False

    def known(header):
        return is_known(Table(GOOD), libc("write"), set(parse_headers(header)))

    point = "/* is a cancellation point */\n"
    yield "a header", known(point + "extern int read (int);"), False
    yield "another", known(point + "int x (int);\nextern int write (int)"), True
    yield "a header after", known(point + "int x ();\n\nint write ();"), False

    def used(words):
        return is_used(Table("hook io f:2.99"), Blocking(words), [SAMPLE])

    yield "a word", used("read r* f"), False
    yield "a word for nothing", used("rad"), True
    yield "a pattern for nothing", used("ra*"), True

    def exported(*names):
        return is_exported(Table("hook a b\nregion a c\npass x d\nreason x it"
                                 " is\nhook a e:aarch64 f:2.38"), SAMPLE, set(names))

    yield "all exported", exported("b", "c"), False
    yield "and what is newer", exported("b", "c", "f"), False
    yield "no hook", exported("c"), True
    yield "no region", exported("b"), True
    yield "what passes", exported("b", "c", "d"), True
    yield "something else", exported("b", "c", "weft_run"), True

    yield "bound to others", is_own({"read"}, {"mmap"}), False
    yield "bound to itself", is_own({"read"}, {"mmap", "read"}), True

    def called(calls, libc=SAMPLE):
        return is_called(Table(GOOD), libc, calls)

    yield "calls", called({"io": {"read", "__read_chk"}}), False
    yield "does not call", called({"io": {"read"}}), True
    yield "cannot call", called({"io": {"read"}}, libc("read")), False
    yield "another calls", called({"oi": {"read", "__read_chk"}}), True


NM = """
0000000000000000 A GLIBC_2.36
0000000000000010 T old@@GLIBC_2.34
0000000000000010 T old@GLIBC_2.2.5
0000000000000010 i pick@@GLIBC_2.3
0000000000000010 D data@@GLIBC_2.3
0000000000000010 T inside@@GLIBC_PRIVATE
"""


RELOCATIONS = """
000000000004e018  0000000100000007 R_X86_64_JUMP_SLOT     0000000000000000 mmap@GLIBC_2.2.5 + 0
000000000004e020  0000009f00000006 R_X86_64_GLOB_DAT      0000000000017a10 read + 0
000000000004e028  0000000300000402 R_AARCH64_JUMP_SLOT    0000000000000000 poll@GLIBC_2.17 + 0
000000000004dd10  0000000000000008 R_X86_64_RELATIVE                         13320
"""


def self_test():
    wrong = count = 0
    for what, found, expected in samples():
        found = list(found)
        count += 1
        if bool(found) != expected:
            wrong += 1
            print(f"self-test: {what}: {found}")
    expected = ({"old": (2, 2), "pick": (2, 3)}, (2, 36))
    if parse_versions(NM) != expected:
        wrong += 1
        print("self-test: nm:", parse_versions(NM))
    if parse_relocations(RELOCATIONS) != {"mmap", "read", "poll"}:
        wrong += 1
        print("self-test: readelf:", parse_relocations(RELOCATIONS))
    print(f"{count + 2} samples, {wrong} wrong")
    return wrong > 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiler", action="append", default=[],
                        help="whose libc; the first is the programs'")
    parser.add_argument("--headers", action="append", default=[])
    parser.add_argument("--library")
    parser.add_argument("--programs")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    found = 0
    for message in look(options):
        found += 1
        print("table.def:", message)
    print(f"{found} found")
    return found > 0


if __name__ == "__main__":
    sys.exit(main())
