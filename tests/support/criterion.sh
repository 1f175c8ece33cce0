#!/bin/sh
# SPDX-License-Identifier: MIT
#
# criterion.sh - run a test program, and fail also when it ran fewer tests than
# its source has: a runner that finds nothing to run calls that success.
#
#	criterion.sh SOURCE PROGRAM [ARGUMENT...]
source=$1
shift
wanted=$(grep -cE '^(Parameterized)?Test\(' "$source")
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Not stored first and shown afterwards: what hangs should show how far it got.
run()
{
	{
		"$@" --verbose -j1 2>&1
		echo $? >"$dir/status"
	} | tee "$dir/log"
}

run "$@"
# An assertion of qemu's own code says nothing of the program.
if grep -q '^ERROR:.*/accel/tcg/' "$dir/log"; then
	echo "the emulator has failed: once more"
	run "$@"
fi

ran=$(sed -n 's/.*Synthesis: Tested: \([0-9]*\).*/\1/p' "$dir/log" | tail -n 1)
skipped=$(grep -c '^\[SKIP\]' "$dir/log")
if [ $((${ran:-0} + skipped)) -lt "$wanted" ] || [ "$wanted" -eq 0 ]; then
	echo "${ran:-0} tests ran, of $wanted in $source"
	exit 1
fi
# All of them were skipped, by name: ctest says so.
[ "${ran:-0}" -gt 0 ] || exit 77
exit "$(cat "$dir/status")"
