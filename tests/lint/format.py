#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""format.py - C is as clang-format 14 prints it.

    format.py             the files that git tracks
    format.py FILE...     these

Another version prints other things, so without version 14 this is a skip.
"""
import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77


def formatter():
    for name in ("clang-format-14", "clang-format"):
        if shutil.which(name):
            said = subprocess.run([name, "--version"], text=True, check=True,
                                  stdout=subprocess.PIPE).stdout
            if re.search(r"version 14\.", said):
                return name
    return None


def tracked():
    files = []
    if shutil.which("git"):
        said = subprocess.run(
            ["git", "-C", str(TOP), "ls-files", "*.c", "*.h"], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        files = [TOP / name for name in said.stdout.split()]
    if not files:  # no git, or an archive of the sources and no checkout
        files = [f for d in ("arch", "include", "src", "tests", "examples")
                 for f in (TOP / d).rglob("*.[ch]")]
    return [f for f in files if f.exists()]


def main():
    tool = formatter()
    if tool is None:
        print("skipped: clang-format 14 is not installed")
        return SKIP
    files = sys.argv[1:] or tracked()
    check = [tool, "--dry-run", "-Werror"]
    wrong = subprocess.run([*check, f"--assume-filename={TOP / 'a.c'}"],
                           input=b"int  a;\n", stderr=subprocess.PIPE)
    if wrong.returncode == 0:
        print(tool, "accepts what it should not")
        return 1
    done = subprocess.run([*check, *files])
    print(len(files), "files,", "not all formatted" if done.returncode
          else "all formatted")
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
