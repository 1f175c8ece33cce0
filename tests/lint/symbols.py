#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""symbols.py - what libweft.so offers, and what it needs.

    symbols.py --library libweft.so             compare with symbols.txt
    symbols.py --library libweft.so --update    write symbols.txt

The exported symbols are those of symbols.txt, and those that the public headers
declare.  A symbol that vanishes breaks programs that are already linked, so
symbols.txt says what was there.  Of libraries, only libc is needed.
"""
import argparse
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
LIST = TOP / "tests" / "lint" / "symbols.txt"
NEEDED = re.compile(r"libc\.so|libc\.musl|ld-linux|libpthread\.so")


def output(*command):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def exported(library):
    said = output("nm", "-D", "--defined-only", library)
    return {line.split()[-1] for line in said.splitlines()}


def declared():
    names = set()
    for header in (TOP / "include").rglob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for statement in re.findall(r"^WEFT_API ([^;]*);", text, re.M):
            names.update(re.findall(r"\b(weft_\w+)\s*\(", statement)[:1])
    return names


def differ(what, has, should):
    for name in sorted(has - should):
        print(f"{name}: exported, but not in {what}")
    for name in sorted(should - has):
        print(f"{name}: in {what}, but not exported")
    return has != should


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", required=True)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    has = exported(options.library)
    if options.update:
        LIST.write_text("".join(f"{name}\n" for name in sorted(has)))
    wrong = differ("symbols.txt", has, set(LIST.read_text().split()))
    wrong |= differ("the headers", has, declared())
    dynamic = output("readelf", "-d", options.library)
    for library in re.findall(r"NEEDED.*\[(.*)\]", dynamic):
        if not NEEDED.match(library):
            print(f"{library} is needed: the core links nothing but libc")
            wrong = True
    print(len(has), "symbols")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
