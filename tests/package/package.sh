#!/bin/sh
# SPDX-License-Identifier: MIT
#
# package.sh - one way of using weft from another project; run by ctest, which
# sets the variables.  `install` comes first and serves the others.
#
#	package.sh install|find|pkgconfig|static|subdirectory
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

case $way in
install)
	rm -rf "$moved"
	DESTDIR=$mine "$CMAKE" --install "$BUILD" --prefix /some/where
	mv "$mine/some/where" "$moved"
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
subdirectory)
	project subdirectory "-DWEFT_SOURCE=$SOURCE"
	;;
esac
