#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - three of the examples under load, and what that takes.
#
#	sh examples/demo.sh
#
# Installs what is missing (on Debian, as root or with sudo; says what, before),
# builds into build/, drives `httpd` with wrk and `echo` with the load program of
# tests/bench, and prints a table.  Then `pthread_echo`, which knows nothing of
# weft, on threads and on fibers.  Takes less than a minute after the build, and
# ends all that it has started.
set -eu
cd "$(dirname "$0")/.."

seconds=5
web_connections=1000
echo_connections=10000
thread_connections=2000
build=build
server=
load=
under= # words before a server's command

die() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

clean_up() {
	trap '' HUP INT PIPE TERM
	for started in $server $load; do
		kill -KILL "$started" 2>/dev/null || :
	done
	wait
	rm -rf "$tmp"
}

# quietly WHAT COMMAND...: its output is only shown if it fails.
quietly() {
	what=$1
	shift
	"$@" >"$tmp/log" 2>&1 && return
	tail -n 25 "$tmp/log" >&2
	die "$what has failed"
}

build() {
	echo "Building into $build/"
	set --
	if [ ! -e "$build/CMakeCache.txt" ]; then
		set -- -DWEFT_TESTS=OFF
		command -v make >/dev/null || set -- "$@" -G Ninja
	fi
	quietly "cmake" cmake -S . -B "$build" "$@"
	quietly "the build" cmake --build "$build" --parallel "$(nproc)" \
		--target httpd echo bench_load
	! cmake --build "$build" --target help | grep -w weft_cli >/dev/null ||
		quietly "the build" cmake --build "$build" \
			--parallel "$(nproc)" --target pthread_echo weft_cli
}

# As many connections as descriptors allow, in the server as in the client.
# shellcheck disable=SC3045 # -H and -S have been in POSIX since 2024
fit_connections() {
	limit=$(ulimit -H -n)
	[ "$limit" != unlimited ] || return 0
	ulimit -S -n "$limit"
	[ "$limit" -lt $((echo_connections + 100)) ] || return 0
	echo_connections=$((limit - 100))
	echo "No more than $limit descriptors are allowed (ulimit -H -n):" \
		"$echo_connections connections"
}

# field PID NAME: a number from /proc/PID/status.
field() {
	sed -n "s/^$2:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/$1/status"
}

# start NAME [OPTION...]: leaves $server, $address and $resident (KiB).
start() {
	name=$1
	shift
	: >"$tmp/$name"
	# shellcheck disable=SC2086 # they are words
	$under "$build/examples/$name" "$@" 127.0.0.1:0 >"$tmp/$name" 2>&1 &
	server=$!
	tries=100
	until grep -q '^listening on ' "$tmp/$name"; do
		[ $((tries -= 1)) -gt 0 ] ||
			die "$name has not started: $(cat "$tmp/$name")"
		sleep 0.1
	done
	address=$(sed -n 's/^listening on //p' "$tmp/$name")
	resident=$(field "$server" VmRSS)
}

# stop: and see that it ends as it should.
stop() {
	kill -TERM "$server"
	tries=100
	while grep -q '^State:[[:space:]]*[^Z[:space:]]' \
		"/proc/$server/status" 2>/dev/null; do
		[ $((tries -= 1)) -gt 0 ] || die "$name does not end"
		sleep 0.1
	done
	ended=$server
	server=
	wait "$ended" || die "$name has ended with status $?"
}

# weigh CONNECTIONS: threads, and memory at the height of the load.
weigh() {
	threads=$(field "$server" Threads)
	peak=$(field "$server" VmHWM)
	memory=$(awk "BEGIN {
		printf \"%.1f KiB\", ($peak - $resident) / $1 }")
}

# wrk writes "50%  980.00us", or ms, or s.
web_latency() {
	awk -v p="$1%" '$1 == p {
		ms = $2 ~ /us$/ ? $2 / 1000 : $2 ~ /ms$/ ? $2 : $2 * 1000
		printf "%.2f ms", ms
	}' "$tmp/wrk"
}

drive_httpd() {
	echo "httpd: wrk, $web_connections connections, $seconds s"
	mkdir "$tmp/www"
	head -c 1024 /dev/zero | tr '\0' x >"$tmp/www/file"
	start httpd -d "$tmp/www"
	curl -sS --max-time 10 "http://$address/file" | cmp - "$tmp/www/file" ||
		die "httpd does not send what is in the file"
	timeout 60 wrk --latency -t 1 -c $web_connections -d $seconds \
		"http://$address/file" >"$tmp/wrk" 2>&1 || die "wrk: $(cat "$tmp/wrk")"
	! grep -E 'Socket errors|Non-2xx' "$tmp/wrk" >&2 ||
		die "httpd has not answered everything"
	weigh $web_connections
	stop
	web_rate=$(awk '/^Requests\/sec/ { printf "%.0f", $2 }' "$tmp/wrk")
	[ "${web_rate:-0}" -gt 0 ] || die "wrk: $(cat "$tmp/wrk")"
	web_threads=$threads
	web_memory=$memory
}

# load writes "latency.p50 980.00 us".
echo_latency() {
	awk -v p="latency.p$1" '$1 == p { printf "%.2f ms", $2 / 1000 }' \
		"$tmp/load"
}

drive_echo() {
	echo "echo: load, $echo_connections connections, $seconds s"
	start echo
	timeout 60 "$build/tests/bench/load" -c "$echo_connections" \
		-d $seconds "$address" >"$tmp/load" 2>"$tmp/err" ||
		die "load: $(cat "$tmp/err" "$tmp/load")"
	weigh "$echo_connections"
	stop
	echo_rate=$(awk '$1 == "rate" { printf "%.0f", $2 }' "$tmp/load")
}

row() {
	printf '%-24s %12s %12s\n' "$@"
}

print_table() {
	echo
	row "" httpd echo
	row "connections" $web_connections "$echo_connections"
	row "requests per second" "$web_rate" "$echo_rate"
	for percent in 50 90 99; do
		row "latency, $percent %" "$(web_latency $percent)" \
			"$(echo_latency $percent)"
	done
	row "threads" "$web_threads" "$threads"
	row "memory per connection" "$web_memory" "$memory"
}

# KiB that all threads of the system have in the kernel.
kernel_stacks() {
	sed -n 's/^KernelStack:[[:space:]]*\([0-9]*\).*/\1/p' /proc/meminfo
}

# each KiB: so much for a connection.
each() {
	awk "BEGIN { printf \"%.1f KiB\", $1 / $thread_connections }"
}

# drive_threads HOW: a column of the second table, in $tmp/HOW.
drive_threads() {
	echo "pthread_echo on $1: load, $thread_connections connections, 3 s"
	stacks=$(kernel_stacks)
	start pthread_echo
	"$build/tests/bench/load" -c $thread_connections -d 3 "$address" \
		>"$tmp/load" 2>"$tmp/err" &
	load=$!
	sleep 2 # all are connected: weigh it in the middle
	weigh $thread_connections
	stacks=$(($(kernel_stacks) - stacks))
	wait "$load" || die "load: $(cat "$tmp/err" "$tmp/load")"
	load=
	stop
	{
		echo "on $1"
		awk '$1 == "rate" { printf "%.0f\n", $2 }' "$tmp/load"
		for percent in 50 99; do
			echo_latency $percent && echo
		done
		echo "$threads"
		each $((peak - resident)) && echo
		each $stacks && echo
	} >"$tmp/$1"
}

show_threads() {
	echo
	if [ ! -x "$build/weft" ]; then
		echo "Unchanged programs do not run on fibers on this machine."
		return
	fi
	drive_threads threads
	case $PWD in
	*[\ :\$]*) # LD_PRELOAD cannot name libraries there
		cp "$build/weft" "$build/libweft_posix.so" "$tmp"
		under="$tmp/weft --workers 2"
		;;
	*) under="$build/weft --workers 2" ;;
	esac
	drive_threads fibers
	cat >"$tmp/rows" <<-END
		pthread_echo, unchanged
		requests per second
		latency, 50 %
		latency, 99 %
		threads
		memory per connection
		the kernel's stack of it
	END
	echo
	paste "$tmp/rows" "$tmp/threads" "$tmp/fibers" |
		while IFS=$(printf '\t') read -r what threads fibers; do
			row "$what" "$threads" "$fibers"
		done
}

tmp=$(mktemp -d)
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
sh tests/install.sh demo || die "something is missing"
build
fit_connections
drive_httpd
drive_echo
print_table
show_threads
echo
echo "$(nproc) CPUs, which servers and clients share."
