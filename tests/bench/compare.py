#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is server B faster than server A, and by how much?

Starts one server, drives it with the load program, stops it, then the same
with the other, and so on for some rounds: whatever else goes on in the machine
meets both.  Prints medians of each, and the medians of the ratios B/A of each
round, as lines `name value unit`.

    compare.py --load build/tests/bench/load --rounds 9 --seconds 2 \\
        --cpu-server 1 --cpu-client 0 -- \\
        build/tests/bench/limits/echo_epoll 127.0.0.1:0 -- \\
        build/examples/echo -w 1 127.0.0.1:0

A server is a command that prints `listening on ADDRESS` and ends on SIGTERM.
The options --rate, --blocking, --spin, --http, --bytes and --warmup are those
of the load program.
"""
import argparse
import pathlib
import select
import signal
import statistics
import subprocess
import sys

START_SECONDS = 10
STOP_SECONDS = 5


def parse(argv):
    options, *servers = split(argv, "--")
    parser = argparse.ArgumentParser(
        description=__doc__, usage="%(prog)s [options] -- SERVER_A -- SERVER_B",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=pathlib.Path, metavar="PATH",
                        help="the load program, default beside this file")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--connections", type=int)
    parser.add_argument("--bytes", type=int, default=64)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--blocking", action="store_true")
    parser.add_argument("--spin", action="store_true")
    parser.add_argument("--http", metavar="PATH")
    parser.add_argument("--cpu-server", metavar="LIST",
                        help="CPUs of the servers, as taskset has them")
    parser.add_argument("--cpu-client", type=int)
    args = parser.parse_args(options)
    if len(servers) != 2 or not all(servers):
        parser.error("two servers are needed, each after --")
    if args.rounds < 1:
        parser.error("--rounds: at least one")
    args.servers = servers
    beside = pathlib.Path(__file__).parent / "load"
    args.load = (args.load or beside).resolve()
    if not args.load.is_file():
        parser.error(f"{args.load}: no load program; say --load PATH")
    return args


def split(words, at):
    parts = [[]]
    for word in words:
        if word == at:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


class Server:
    """A running server: its address, and its end whatever happens."""

    def __init__(self, command, cpus, **more):
        pin = ["taskset", "-c", cpus] if cpus is not None else []
        self.command = " ".join(command)
        self.process = subprocess.Popen(pin + command, text=True,
                                        stdout=subprocess.PIPE, **more)

    def __enter__(self):
        try:
            self.address = self.read_address()
        except BaseException:
            self.__exit__()
            raise
        return self

    def read_address(self):
        out = self.process.stdout
        ready, _, _ = select.select([out], [], [], START_SECONDS)
        line = out.readline() if ready else ""
        if not line.startswith("listening on "):
            raise RuntimeError(f"{self.command}: does not say where it listens")
        return line.split()[-1]

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            print(f"{self.command}: did not end on SIGTERM", file=sys.stderr)
        self.process.stdout.close()


def load_command(args):
    command = [str(args.load), "-d", str(args.seconds), "-w", str(args.warmup),
               "-b", str(args.bytes)]
    for option, value in (("-c", args.connections), ("--rate", args.rate),
                          ("--http", args.http), ("--cpu", args.cpu_client)):
        if value is not None:
            command += [option, str(value)]
    return command + ["--blocking"] * args.blocking + ["--spin"] * args.spin


def drive(args, server):
    """What the load program says of a server that runs, by name."""
    done = subprocess.run(
        load_command(args) + ["--pid", str(server.process.pid),
                              server.address],
        stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{server.command}: the load program failed")
    lines = (line.split() for line in done.stdout.splitlines())
    return {name: (float(value), unit) for name, value, unit in lines}


def measure(args, command):
    """One run of one server."""
    with Server(command, args.cpu_server) as server:
        return drive(args, server)


def report(rounds):
    """`rounds` is a list of (results of A, results of B)."""
    for name, (_, unit) in rounds[0][0].items():
        a, b = ([results[side][name][0] for results in rounds]
                for side in (0, 1))
        print(f"a.{name} {statistics.median(a):.2f} {unit}")
        print(f"b.{name} {statistics.median(b):.2f} {unit}")
        if all(a) and name not in ("connections", "requests"):
            ratio = statistics.median(y / x for x, y in zip(a, b))
            print(f"b_to_a.{name} {ratio:.3f} ratio")


def main():
    args = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rounds = []
    try:
        for number in range(args.rounds):
            rounds.append(tuple(measure(args, s) for s in args.servers))
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    except (OSError, RuntimeError) as problem:
        sys.exit(f"compare.py: {problem}")
    if not rounds:
        sys.exit(1)
    report(rounds)


if __name__ == "__main__":
    main()
