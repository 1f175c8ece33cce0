#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""headers.py - each header can be included alone.

    headers.py --cc gcc

Public ones as strict C11 and as C++17, without a warning; internal ones as the
C that weft is written in.
"""
import argparse
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77
WARN = ["-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only"]
C11 = ["-x", "c", "-std=c11", "-pedantic", "-Wstrict-prototypes"]
CXX17 = ["-x", "c++", "-std=c++17", "-pedantic"]
INSIDE = ["-x", "c", "-std=gnu11", "-D_GNU_SOURCE", f"-I{TOP}",
          f"-I{TOP / 'src'}"]


def compiles(cc, flags, text):
    done = subprocess.run([cc, *flags, *WARN, f"-I{TOP / 'include'}", "-"],
                          input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.returncode == 0, done.stdout


def headers():
    include = TOP / "include"
    for path in sorted(include.rglob("*.h")):
        name = str(path.relative_to(include))
        yield name, "C11", C11
        yield name, "C++17", CXX17
    yield "arch/arch.h", "gnu11", INSIDE
    for path in sorted((TOP / "src").rglob("*.h")):
        yield str(path.relative_to(TOP / "src")), "gnu11", INSIDE


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default="cc")
    cc = parser.parse_args().cc
    if not compiles(cc, CXX17, "#include <stddef.h>\n")[0]:
        print("skipped:", cc, "does not compile C++")
        return SKIP
    if compiles(cc, C11, "int f();\n")[0] or compiles(cc, INSIDE, "a b;")[0]:
        print(cc, "accepts what it should not")
        return 1
    count = failed = 0
    for name, language, flags in headers():
        ok, said = compiles(cc, flags, f'#include "{name}"\nextern int used;\n')
        count += 1
        if not ok:
            failed += 1
            print(f"{name} does not compile alone as {language}:\n{said}")
    print(f"{count} compiled, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
