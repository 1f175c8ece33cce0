#!/bin/sh
# SPDX-License-Identifier: MIT
#
# build.sh - build the programs that weft is measured against.
#
#	sh tests/bench/peers/build.sh OUTDIR
#
# makes OUTDIR/go_peer and OUTDIR/tokio_peer, with Debian's packages and without
# the network; all that the compilers write stays in OUTDIR.  What is missing is
# installed by `sh tests/install.sh peers`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
crates=/usr/share/cargo/registry

die() {
	echo "peers: $*" >&2
	exit 1
}

# need PACKAGE COMMAND...: the package, unless the command succeeds.
need() {
	package=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $package"
}

check_packages() {
	missing=
	need golang-go command -v go
	need cargo command -v cargo
	need librust-tokio-dev ls -d $crates/tokio-1.*
	[ -z "$missing" ] ||
		die "not installed:$missing (sh tests/install.sh peers)"
}

build_go() {
	GOCACHE="$out/go-cache" GO111MODULE=off GOFLAGS='' \
		go build -o "$out/go_peer" "$here/peer.go"
}

# In a copy: cargo writes its lock file beside what it builds; one of another
# version of cargo it may not read.
build_tokio() {
	mkdir -p "$out/tokio/.cargo"
	cp -R "$here/tokio/." "$out/tokio"
	rm -f "$out/tokio/Cargo.lock"
	cat >"$out/tokio/.cargo/config.toml" <<-END
		[source.crates-io]
		replace-with = "debian"
		[source.debian]
		directory = "$crates"
	END
	cd "$out/tokio"
	CARGO_TARGET_DIR="$out/tokio/target" cargo build -q --release --offline
	cp target/release/tokio_peer "$out/tokio_peer"
}

[ $# = 1 ] || die "usage: build.sh OUTDIR"
mkdir -p "$1"
out=$(cd "$1" && pwd)
check_packages
build_go
build_tokio
