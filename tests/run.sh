#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh - build weft and run its tests; see usage below.
set -u
AARCH64=/usr/aarch64-linux-gnu # its libraries
top=$(cd "$(dirname "$0")/.." && pwd) || exit 1
ALL="gcc clang asan tsan fcontext without aarch64"

usage() {
	cat <<END
usage: sh tests/run.sh [--all] [--config NAME]... [--list] [--help]

Builds weft and runs its tests, after installing what is missing for that.
Without options: one native build in build/, and every test.

  --all           every configuration that --list shows with a *
  --config NAME   this one; may be repeated
  --list          the configurations
  --help          this text

WEFT_WERROR=1 makes warnings errors, WEFT_INSTALL=0 installs nothing, JOBS is
how many at a time.  Prints a line for each configuration and at the end how
many tests passed and failed.

After gcc, each of the others has to run the same tests, by name, but for those
that the table in tests/README.md excuses.  With CI=true gcc itself may skip
none, if this is Linux 6.13 or newer with 20 GiB.
END
}

list() {
	cat <<END
* gcc        gcc, every test                                  build/
* clang      clang, every test                                build-clang/
* asan       clang, AddressSanitizer and UBSan, slow checks   build-asan/
* tsan       clang, ThreadSanitizer, our own test runner      build-tsan/
* fcontext   gcc, the switch of Boost.Context                 build-fcontext/
* without    gcc, no newer kernel feature used                build/
* aarch64    another CPU under qemu-user, our own test runner build-aarch64/
END
}

# All the features that WEFT_WITHOUT can hide.
features() {
	sed -n 's/.*\] = {"\([a-z0-9_]*\)", probe_.*/\1/p' \
		"$top/src/os/feature.c" | paste -sd , -
}

# What a configuration is: where it is built, how, which ctest labels run, in
# what environment.
describe() {
	name=$1 cc=gcc options= labels='unit|lint|example|package|stress|posix'
	dir=build-$1 environment=
	case $name in
	gcc) dir=build ;;
	clang) cc=clang ;;
	asan)
		cc=clang labels='unit|example|stress'
		options='-DWEFT_SANITIZE=address,undefined -DWEFT_CHECKS=ON'
		options="$options -DWEFT_BENCH=OFF"
		;;
	fcontext)
		labels='unit|example|package'
		options='-DWEFT_CONTEXT=fcontext -DWEFT_BENCH=OFF'
		;;
	aarch64)
		cc=aarch64-linux-gnu-gcc labels=unit
		options='-DCMAKE_SYSTEM_NAME=Linux -DWEFT_BENCH=OFF'
		options="$options -DCMAKE_SYSTEM_PROCESSOR=aarch64"
		options="$options -DCMAKE_CROSSCOMPILING_EMULATOR="
		options="${options}qemu-aarch64-static;-L;$AARCH64"
		;;
	tsan)
		cc=clang labels='unit|example|stress'
		options='-DWEFT_SANITIZE=thread -DWEFT_BENCH=OFF'
		;;
	without)
		dir=build labels='unit|example'
		environment="WEFT_WITHOUT=$(features)"
		;;
	*)
		echo "run.sh: no configuration $name; see --list" >&2
		exit 2
		;;
	esac
}

# On a terminal, say what takes so long.
progress() {
	if [ -t 2 ]; then
		printf '\r\033[K%s' "$1" >&2
	fi
}

# shellcheck disable=SC2086
build() {
	generator=
	if [ ! -e "$top/$dir/CMakeCache.txt" ] && command -v ninja >/dev/null
	then
		generator='-G Ninja'
	fi
	CC=$cc cmake -S "$top" -B "$top/$dir" $generator \
		-DWEFT_TESTS=ON -DWEFT_EXAMPLES=ON -DWEFT_BENCH=ON \
		-DWEFT_WERROR="${WEFT_WERROR:-0}" $options &&
		cmake --build "$top/$dir" --parallel "$jobs"
}

# shellcheck disable=SC2086
check() {
	cd "$top/$dir" &&
		env WEFT_STRESS_SECONDS="${WEFT_STRESS_SECONDS:-3}" \
			$environment ctest --parallel "$tests_at_once" \
			--no-tests=error -V -L "^($labels)\$"
}

wanted() {
	cat "$top"/tests/unit/test_*.c | grep -cE '^(Parameterized)?Test\('
}

rollcall() {
	python3 "$top/tests/support/rollcall.py" "$@"
}

# Whether this machine can run every test.
able() {
	[ "$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)" -ge 20971520 ] &&
		printf '6.13\n%s\n' "$(uname -r)" | sort -CV
}

report() {
	printf '%-10s %5d tests, %d failed, %d skipped, %d s\n' "$name" \
		"$tests" "$failed" "$skipped" $(($(date +%s) - began))
	sum_passed=$((sum_passed + tests - failed))
	sum_failed=$((sum_failed + failed))
}

run() {
	describe "$1"
	began=$(date +%s) tests=0 failed=0 skipped=0 units=0
	mkdir -p "$top/$dir"
	log=$top/$dir/run-$name.log
	progress "$name: building"
	if ! (build) >"$log" 2>&1; then
		progress ''
		tail -n 40 "$log"
		echo "$name: does not build; all of it is in $dir/run-$name.log"
		failed=1 tests=1
		report
		return
	fi
	progress "$name: testing"
	(check) >"$log" 2>&1
	status=$?
	# shellcheck disable=SC2046
	set -- $(awk -f "$top/tests/support/count.awk" "$log")
	tests=$1 failed=$2 skipped=$3 units=$4
	progress ''
	judge "$status"
	report
}

# What the entries that failed have printed, in short, and ctest's list of them.
show_failures() {
	awk '
	FNR == NR {
		if (/^ *[0-9]+\/[0-9]+ Test +#.*\*\*\*/ && !/\*\*\*Skipped/) {
			sub(/.*#/, "")
			bad[$1 + 0] = 1
		}
		next
	}
	/^[0-9]+: (\[(RUN |PASS)\]|Test command|Test timeout)/ { next }
	/^[0-9]+: (Working Directory|Environment variables| )/ { next }
	/^[0-9]+: / && ($1 + 0) in bad && ++lines[$1 + 0] <= 50
	/^The following tests FAILED/, /^$|^Errors/
	' "$log" "$log"
	echo "$name: all of the output is in $dir/run-$name.log"
}

# A run in which something did not run has failed, whatever else is said.
judge() {
	if [ "$1" -ne 0 ]; then
		show_failures
		if [ "$failed" -eq 0 ]; then
			fail_once_more
		fi
	fi
	expected=$(wanted)
	if [ "$units" -lt "$expected" ]; then
		echo "$name: $units unit tests ran, the sources have $expected"
		fail_once_more
	fi
	if [ "$name" = gcc ]; then
		judge_native
	elif [ -n "$native" ] && ! absent=$(rollcall missing "$name" \
		"$native" "$log"); then
		echo "$absent" | head -n 50 | sed "s/^/$name: /"
		fail_once_more
	fi
}

judge_native() {
	native=$log
	absent=$(rollcall skipped "$log") && return
	echo "$absent" | sed "s/^/$name: /"
	if [ "${CI:-}" = true ] && able; then
		echo "$name: this machine could have run that"
		fail_once_more
	fi
}

fail_once_more() {
	failed=$((failed + 1)) tests=$((tests + 1))
}

interrupted() {
	progress ''
	echo "interrupted" >&2
	trap - "$1"
	kill -s "$1" $$
}

configs= install=test native=
while [ $# -gt 0 ]; do
	case $1 in
	--all) configs="$configs $ALL" install=all ;;
	--config)
		[ $# -gt 1 ] || { usage >&2 && exit 2; }
		shift
		(describe "$1") || exit 2
		configs="$configs $1"
		case $1 in gcc | without) ;; *) install=all ;; esac
		;;
	--list) list && exit 0 ;;
	--help | -h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done

case $top in
*[\ :\$]*)
	echo "run.sh: $top has a blank, a colon or a dollar sign in its name," \
		"so LD_PRELOAD cannot name what is built there: move it" >&2
	exit 1
	;;
esac
trap 'interrupted INT' INT
trap 'interrupted TERM' TERM
sh "$top/tests/install.sh" "$install" || exit 1
jobs=${JOBS:-$(nproc)}
# Tests wait as much as they compute.
tests_at_once=${JOBS:-$((jobs + 1))}
sum_passed=0 sum_failed=0
for config in ${configs:-gcc}; do
	run "$config"
done
echo "$sum_passed passed, $sum_failed failed"
[ "$sum_failed" -eq 0 ]
