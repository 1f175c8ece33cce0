#!/bin/sh
# SPDX-License-Identifier: MIT
#
# install.sh - install what is missing, and only that, after saying what.
#
#	sh tests/install.sh build|test|all|demo|peers...
#
# Whether something is there is found out by using it, so on a system without
# apt-get this still tells what to install.  WEFT_INSTALL=0: tell, do not do it.
set -u
missing=

has() {
	command -v "$1" >/dev/null 2>&1
}

# need PACKAGE... -- COMMAND...: the packages, unless the command succeeds.
need() {
	packages=
	while [ "$1" != -- ]; do
		packages="$packages $1"
		shift
	done
	shift
	case "$missing " in
	*"$packages "*) ;;
	*) "$@" >/dev/null 2>&1 || missing="$missing$packages" ;;
	esac
}

links() {
	echo 'int main(void) { return 0; }' | "$@" -x c - -o /dev/null
}

need_build() {
	need gcc libc6-dev -- links gcc
	need binutils -- has ld
	need cmake -- has cmake
	if ! has make; then
		need ninja-build -- has ninja
	fi
}

need_test() {
	need_build
	need g++ -- has g++
	need python3 -- python3 -c 'import unittest'
	need pkg-config -- has pkg-config
	need libcriterion-dev -- pkg-config --exists criterion
	need gdb -- has gdb
	# Debian's has the server too, as redis-check-rdb, and starts nothing.
	need redis-tools -- has redis-benchmark
	need_servers
	if ! has clang-format-14; then
		need clang-format-14 -- clang_format_is_14
	fi
}

# Real servers for tests/posix, without a service but for stunnel4, which has
# nothing to serve unless somebody writes /etc/stunnel/*.conf.
need_servers() {
	need pkg-config -- has pkg-config
	need microsocks -- has microsocks
	need tinyproxy-bin -- has tinyproxy
	need stunnel4 -- has stunnel4
	need openssl -- has openssl
	need libmicrohttpd-dev -- pkg-config --exists libmicrohttpd
}

clang_format_is_14() {
	clang-format --version | grep -q 'version 14\.'
}

need_all() {
	need_test
	need clang -- links clang
	need libclang-rt-14-dev -- links clang -fsanitize=address,undefined
	need valgrind -- has valgrind
	need libboost-context-dev -- links gcc -l:libboost_context.a
	need gcc-aarch64-linux-gnu libc6-dev-arm64-cross -- \
		links aarch64-linux-gnu-gcc
	need qemu-user-static -- has qemu-aarch64-static
}

# What tests/bench/figures.py measures with, and what it measures weft against.
# redis-tools has the server too, as redis-check-rdb, and unlike redis-server
# starts no service.  Unchanged programs are loaded by ab and in TLS.
need_peers() {
	need_build
	need python3 -- has python3
	need wrk -- has wrk
	need strace -- has strace
	need golang-go -- has go
	need cargo -- has cargo
	need librust-tokio-dev -- ls -d /usr/share/cargo/registry/tokio-1.*
	need redis-tools -- has redis-benchmark
	need_servers
	need libssl-dev -- pkg-config --exists openssl
	need apache2-utils -- has ab
}

need_demo() {
	need_build
	need wrk -- has wrk
	need curl -- has curl
}

refuse() {
	echo "please install (Debian's names):$missing" >&2
	exit 1
}

# Both in one, so that sudo asks once.
update_and_install() {
	# Neither expands here, and the names are meant to be split.
	# shellcheck disable=SC2016,SC2086
	$sudo sh -c 'apt-get -qq update
		DEBIAN_FRONTEND=noninteractive exec apt-get -qq -y install \
			--no-install-recommends "$@"' sh $missing
}

install() {
	sudo=
	if [ "$(id -u)" != 0 ]; then
		sudo=sudo
	fi
	if [ "${WEFT_INSTALL:-1}" = 0 ] || ! has apt-get ||
		{ [ -n "$sudo" ] && ! has sudo; }; then
		refuse
	fi
	echo "going to install with apt-get:$missing" >&2
	log=$(mktemp) || exit 1
	trap 'rm -f "$log"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	if ! update_and_install >"$log" 2>&1; then
		tail -n 10 "$log" >&2
		refuse
	fi
}

for what in "$@"; do
	case $what in
	build | test | all | demo | peers) "need_$what" ;;
	*) echo "usage: install.sh build|test|all|demo|peers..." >&2 && exit 2 ;;
	esac
done
if [ -n "$missing" ]; then
	install
fi
