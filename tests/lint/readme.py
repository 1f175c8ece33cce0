#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""readme.py - README.md says what the tree says.

It prints examples/echo.c whole, names every environment variable that the
library reads, and its links lead somewhere.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def findings(readme):
    if (TOP / "examples/echo.c").read_text() not in readme:
        yield "does not print examples/echo.c as it is"
    for source in sorted((TOP / "src").rglob("*.c")):
        text = source.read_text()
        for name in re.findall(r'getenv\("(WEFT_\w+)"\)|'
                               r'variable\("(WEFT_\w+)"', text):
            if "`%s" % "".join(name) not in readme:
                yield "does not name %s (%s)" % ("".join(name), source.name)
    for link in re.findall(r"\]\(([^)#:]+)\)", readme):
        if not (TOP / link).exists():
            yield "links to %s, which is not there" % link


def main():
    assert list(findings("")), "an empty README passes"
    found = list(findings((TOP / "README.md").read_text()))
    for line in found:
        print("README.md:", line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
