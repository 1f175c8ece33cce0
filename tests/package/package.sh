#!/bin/sh
# SPDX-License-Identifier: MIT
#
# package.sh - one way of using weft from another project; run by ctest, which
# sets the variables.  `install` comes first and serves the others.
#
#	package.sh install|find|pkgconfig|static|subdirectory|launcher
set -eu
way=$1
here=$SOURCE/tests/package
moved=$WORK/moved
mine=$WORK/$way
rm -rf "$mine"
mkdir -p "$mine"

case $CC in
*clang*) CXX=$(echo "$CC" | sed 's/clang\(-[0-9]*\)\{0,1\}$/clang++\1/') ;;
*) CXX=$(echo "$CC" | sed 's/\(gcc\|cc\)\(-[0-9]*\)\{0,1\}$/g++\2/') ;;
esac
export CC CXX

# Each program prints one line that tells who it is.
expect() {
	said=$("$@")
	echo "$said"
	case $said in
	*"hello from a fiber, weft "[0-9]*) ;;
	*) echo "unexpected: $said" && exit 1 ;;
	esac
}

project() {
	"$CMAKE" -S "$here/$1" -B "$mine" -G "$GENERATOR" "$2"
	"$CMAKE" --build "$mine"
	expect "$mine/hello"
	expect "$mine/hello_shared"
	expect "$mine/hello_cxx"
}

pc() {
	PKG_CONFIG_PATH=$moved/$LIBDIR/pkgconfig pkg-config "$@" weft
}

# Fifty threads, each of which the kernel knows: or a few that carry them all.
count() {
	said=$("$@")
	echo "$said"
	case $said in
	"50 threads, "*) ;;
	*) echo "unexpected: $said" && exit 1 ;;
	esac
	known=$(echo "$said" | sed 's/.*, \([0-9]*\) known .*/\1/')
}

fibers() {
	count env WEFT_WORKERS=2 "$@" 25
	[ "$known" -le 25 ] || { echo "too many" && exit 1; }
}

case $way in
install)
	rm -rf "$moved"
	DESTDIR=$mine "$CMAKE" --install "$BUILD" --prefix /some/where
	mv "$mine/some/where" "$moved"
	# Where a gdb of that prefix looks for it.
	ls "$moved/share/gdb/auto-load/some/where/$LIBDIR"/libweft.so.*-gdb.py
	;;
find)
	project find "-DCMAKE_PREFIX_PATH=$moved"
	;;
pkgconfig)
	# The words of pkg-config are meant to be split.
	# shellcheck disable=SC2046
	"$CC" "$here/hello.c" -o "$mine/hello" $(pc --cflags --libs)
	LD_LIBRARY_PATH=$moved/$LIBDIR expect "$mine/hello"
	;;
static)
	# shellcheck disable=SC2046
	"$CC" -static "$here/hello.c" -o "$mine/hello" \
		$(pc --static --cflags --libs)
	expect "$mine/hello"
	;;
launcher)
	"$CC" -pthread "$here/threads.c" -o "$mine/threads"
	count "$mine/threads"
	[ "$known" -eq 51 ] || { echo "where are they?" && exit 1; }
	fibers "$moved/bin/weft" "$mine/threads"
	"$CC" -pthread "$here/threads.c" -o "$mine/linked" \
		-L"$moved/$LIBDIR" -lweft_posix
	LD_LIBRARY_PATH=$moved/$LIBDIR fibers "$mine/linked"
	;;
subdirectory)
	project subdirectory "-DWEFT_SOURCE=$SOURCE"
	;;
esac
