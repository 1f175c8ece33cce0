# SPDX-License-Identifier: MIT
#
# count.awk - sum up the output of `ctest -V`: prints how many tests ran, how
# many of them failed, how many were skipped, and how many of all are tests in
# tests/unit/*.c, once each.
#
# A program says itself how many tests it has run: Criterion and our own runner
# in their closing line, Python's unittest in two.  One that does not counts as
# one test, and one that failed without saying how often failed once.

# The number that follows `word` in the line.
function after(word) {
	if (!match($0, word "[0-9]+"))
		return 0
	return substr($0, RSTART + length(word), RLENGTH - length(word)) + 0
}

# Each line of a program's output begins with the number of its entry.
/^[0-9]+: / {
	id = $1 + 0
}

/^[0-9]+: .*Synthesis: Tested: / {
	tested[id] += after("Tested: ")
	failing[id] += after("Failing: ")
}

/^[0-9]+: \[SKIP\]/ {
	skipping[id]++
}

/^[0-9]+: Ran [0-9]+ tests? in / {
	tested[id] += $3
}

/^[0-9]+: (OK|FAILED) \(/ {
	failing[id] += after("failures=") + after("errors=")
	skipping[id] += after("skipped=")
	tested[id] -= after("skipped=")
}

# "12/34 Test #12: unit.park ......   Passed    0.10 sec"
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
	id = after("#")
	name = substr($0, index($0, ": ") + 2)
	sub(/ .*/, "", name)
	entry()
}

function entry() {
	if (/\*\*\*Skipped/) {
		skipping[id]++
	} else {
		if (!/ Passed / && failing[id] == 0)
			failing[id] = 1
		if (tested[id] + skipping[id] == 0 || tested[id] < failing[id])
			tested[id] += failing[id] ? failing[id] : 1
	}
	tests += tested[id]
	failed += failing[id]
	skipped += skipping[id]
	if (name ~ /^unit\.[^.]*$/)
		units += tested[id] + skipping[id]
}

END {
	print tests + 0, failed + 0, skipped + 0, units + 0
}
