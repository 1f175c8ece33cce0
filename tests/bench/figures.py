#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does weft reach its floors on this machine?

Runs the bench programs of a build tree, each beside what it is compared with
and in turns with it, and prints a line for each floor:

    name figure floor ok|short

A floor is `<=4350`, `<100` or `>=0.9`; figures of `ratio` names are medians of
the ratios of each round.  A figure without a floor stands beside another, to
judge it by; it has `-` instead.  Exit status 0: nothing is short, and nothing
that it is compared with is missing; `sh tests/install.sh peers` and the target
`peers` bring the other runtimes and Redis.

    figures.py --build build             all, in about a quarter of an hour
    figures.py --build build --quick     few short rounds: for a first look
    figures.py --build build --only echo.50 --only timers

Servers are pinned to one CPU and clients to another where that is said; so two
CPUs are needed, and nothing else should run on them.
"""
import argparse
import csv
import math
import os
import pathlib
import re
import shutil
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).parent / "posix"))
import compare  # noqa: E402: beside this file, like those that follow
from plan import (  # noqa: E402
    CLIENT_CPU, Plan, SERVER_CPU, Short, Table, all_running, bench,
    count_calls, example, in_short_turns, in_turns, load_all, load_each,
    middle, output, ratio, run)
import unchanged  # noqa: E402

PEERS = ("go", "tokio")


def switch(plan, table):
    rounds = in_turns(plan, [bench(plan, "switch")],
                      [bench(plan, "limits/fcontext")], cpu=SERVER_CPU)
    for kind in ("", ".inexact"):
        table.add(f"switch{kind}.ratio_to_fcontext", middle(
            rounds, lambda r: r[0]["switch.raw" + kind] /
            r[1]["fcontext.switch" + kind]), "<=1.0")


def yields(plan, table):
    rounds = in_turns(plan, [bench(plan, "yield")], [bench(plan, "switch")])
    for fibers in ("2", "1000"):
        table.add(f"yield.{fibers}.ratio_to_switch", middle(
            rounds, lambda r: r[0]["yield." + fibers] / r[1]["switch.raw"]),
            "<=5.0")


def one_and_two(plan, table, program, names):
    """Rounds of dictionaries; what two workers took ends in .w2."""
    one, two = ([bench(plan, program), "-w", n] for n in "12")
    rounds = [{**a, **b} for a, b in in_turns(plan, one, two)]
    for name in names:
        table.add(f"{name}.two_workers_ratio", middle(
            rounds, lambda r: r[name + ".w2"] / r[name]), "<=1.05")
    return rounds


def two_workers(plan, table):
    """Two are not slower than one; and a tree of fibers takes little memory."""
    one_and_two(plan, table, "yield", ["yield.2", "yield.1000"])
    one_and_two(plan, table, "spawn",
                ["spawn.join", "spawn.100000", "spawn.fib25"])
    rounds = one_and_two(plan, table, "skynet", ["skynet"])
    for name in ("rss", "rss.w2"):
        table.add(f"skynet.{name}_mb",
                  max(r["skynet." + name] for r in rounds) / 1e6, "<60")


def memory(plan, table):
    held = run([bench(plan, "memory"), "-n", str(plan.fibers)])
    for name, floor in (("resident", "<=4350"), ("page_tables", "<=140"),
                        ("mappings", "<100"), ("ratio", "<=1.3")):
        table.add(f"memory.{name}", held[f"memory.{name}"], floor)
    for name in "new.ratio", "new.kernel":
        table.add(f"memory.{name}", held[f"memory.{name}"])


def timers(plan, table):
    rounds = in_turns(plan, [bench(plan, "timers"), "-n", "1000"])
    table.add("timers.insert_cancel",
              middle(rounds, lambda r: r[0]["timers.insert_cancel"]), "<=40")


# What fibers use to work together, and the same of others.

def peer(plan, name, *args):
    program = bench(plan, f"peers/{name}_peer")
    if not os.path.exists(program):
        raise Short(f"no {program}: sh tests/install.sh peers, and "
                    f"cmake --build {plan.build} --target peers")
    return [program, *args]


def peers(plan, what):
    """The commands that measure it on two workers."""
    return [peer(plan, name, "-w", "2", what) for name in PEERS]


def beside(plan, table, what):
    """What the peers take for the same, to judge by."""
    rounds = in_turns(plan, *peers(plan, what))
    for side, name in enumerate(PEERS):
        for figure in rounds[0][side]:
            table.add(f"{figure}.{name}",
                      middle(rounds, lambda r: r[side][figure]))


def add_own(table, rounds, floors):
    """Figures of the first program of each round, by name."""
    for name, floor in floors.items():
        table.add(name, middle(rounds, lambda r: r[0][name]), floor)


def mutex(plan, table):
    rounds = in_turns(plan, [bench(plan, "mutex"), "-w", "2"])
    add_own(table, rounds, {"mutex.ratio": "<=1.15", "mutex.8.w2": "<=25"})
    beside(plan, table, "mutex")


def pingpong(plan, table):
    rounds = in_turns(plan, [bench(plan, "pingpong")],
                      [bench(plan, "limits/primitives")])
    add_own(table, rounds, {"pingpong.steps": "-"})
    line = "cache_line.round_trip"  # what two CPUs have to pay for each
    table.add(line, middle(rounds, lambda r: r[1][line]))
    for over in ("pingpong.sem", "pingpong.chan"):
        add_own(table, rounds, {
            over: "-", f"{over}.ratio": "<=1.4", f"{over}.w2.ratio": "<=1.1",
            f"{over}.apart": "<=700"})
    beside(plan, table, "pingpong")


def deadline(plan, table):
    rounds = in_turns(plan, [bench(plan, "pingpong")])
    add_own(table, rounds, {"deadline.same": "<=60", "deadline.fresh": "<=60"})


def chan(plan, table):
    """The rate is what an item takes, upside down."""
    ours = [bench(plan, "chan"), "-w", "2"]
    rounds = in_turns(plan, ours, *peers(plan, "chan"))
    for name in ("chan.1p1c.w2", "chan.4p1c.w2"):
        add_own(table, rounds, {name: "-"})
        for side, other in enumerate(PEERS, 1):
            table.add(f"{name}.rate_ratio_to_{other}", middle(
                rounds, lambda r: r[side][name] / r[0][name]), ">=1.5")


def crowd(plan, table):
    for workers, suffix in (("1", ""), ("2", ".w2")):
        held = run([bench(plan, "crowd"), "-w", workers,
                    "-n", str(plan.fibers)])
        for name, floor in (("heap", "<=0"), ("mappings", "<=0"),
                            ("resident", "-"), ("wait", "-"), ("release", "-"),
                            ("wake", "<=300")):
            name = f"crowd.{name}{suffix}"
            table.add(name, held[name], floor)


# Servers, and the load program.

def echo_servers(plan):
    """The raw loop, and weft's."""
    return ([bench(plan, "limits/echo_epoll"), "127.0.0.1:0"],
            [example(plan, "echo"), "-w", "1", "127.0.0.1:0"])


def echo(connections, floor, load=load_each):
    def measure(plan, table):
        rounds = load(plan, echo_servers(plan), connections=connections,
                      cpu_server=SERVER_CPU, cpu_client=CLIENT_CPU)
        name = f"echo.{connections}"
        table.add(f"{name}.cpu_ratio", ratio(rounds, 1, 0, "cpu_per_request"),
                  floor)
        table.add(f"{name}.p99_ratio", ratio(rounds, 1, 0, "latency.p99"),
                  "<=1.3")
    return measure


def calls_per_request(plan, table):
    """A hundredth is left for the first and the last one of a connection.

    Not by read(2) or write(2), which are the timer's of another thread.
    """
    calls = count_calls(plan, echo_servers(plan)[1], 50)
    for name, spelled in (("recv", ("recvfrom", "recvmsg")),
                          ("send", ("sendto", "sendmsg"))):
        count = sum(calls.get(call, 0) for call in spelled)
        if count < 0.99:
            raise Short(f"{count} {name} a request: it uses another call")
        table.add(f"echo.{name}_per_request", count, "<=1.01")


def one_connection(plan, table):
    """Neither is pinned; a spinning raw loop shows what there is to win."""
    raw, weft = echo_servers(plan)
    spinning = raw[:1] + ["--spin", "50"] + raw[1:]
    rounds = load_all(plan, (raw, weft, spinning), blocking=True)
    table.add("one_connection.round_trip_ratio",
              ratio(rounds, 1, 0, "latency.p50"), "<=0.45")
    table.add("one_connection.round_trip_ratio.raw_spinning",
              ratio(rounds, 2, 0, "latency.p50"))
    for side, name in enumerate(("raw", "weft", "raw_spinning")):
        table.add(f"one_connection.round_trip.{name}",
                  middle(rounds, lambda r: r[side]["latency.p50"]))


def slow_connection(plan, table):
    rounds = load_all(plan, echo_servers(plan), rate=1000)
    table.add("one_connection.1000_per_second.cpu_ratio",
              ratio(rounds, 1, 0, "cpu_per_request"), "<=1.3")


def wrk(server):
    """Its shortest turn."""
    said = output(["taskset", "-c", str(CLIENT_CPU), "wrk", "-t", "1",
                   "-c", "1000", "-d", "1s", f"http://{server.address}/file"])
    if "Non-2xx" in said:
        raise Short(f"{server.command}: answers other than 200")
    return {"rate": float(re.search(r"Requests/sec: *([\d.]+)", said)[1])}


def http(plan, table):
    if not shutil.which("wrk"):
        raise Short("wrk is not installed")
    with tempfile.TemporaryDirectory() as root:
        (pathlib.Path(root) / "file").write_bytes(os.urandom(1024))
        os.chmod(root, 0o755)
        servers = [(compare.Server, program + ["-d", root, "127.0.0.1:0"])
                   for program in ([bench(plan, "limits/http_epoll")],
                                   [example(plan, "httpd"), "-w", "1"])]
        with all_running(servers, SERVER_CPU) as running:
            rounds = in_short_turns(plan, running, wrk)
    table.add("http.1000.rate_ratio", ratio(rounds, 1, 0, "rate"), ">=0.9")


# Redis, and its own load program.

class RedisServer(compare.Server):
    """The real one, which says when it is ready instead of where it listens."""

    def __init__(self, command, cpus):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        super().__init__(command + [
            "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
            "--appendonly", "no"], cpus)

    def read_address(self):
        out, said = self.process.stdout.fileno(), b""
        while b"Ready to accept connections" not in said:
            ready, _, _ = select.select([out], [], [], compare.START_SECONDS)
            piece = os.read(out, 4096) if ready else b""
            if not piece:
                raise RuntimeError(f"{self.command}: does not become ready")
            said += piece
        return f"127.0.0.1:{self.port}"


def redis_server(folder):
    """Its command.  The program is also in redis-tools, by another name."""
    if shutil.which("redis-server"):
        return ["redis-server"]
    twin = shutil.which("redis-check-rdb")
    if not twin or not shutil.which("redis-benchmark"):
        raise Short("no redis-benchmark: sh tests/install.sh peers")
    link = pathlib.Path(folder) / "redis-server"
    link.symlink_to(twin)
    return [str(link)]


def cpu_of(process):
    """Seconds that it has had, the kernel's included."""
    stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
    user, kernel = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(kernel)) / os.sysconf("SC_CLK_TCK")


def redis_rates(server, pinned, requests, pipeline):
    """Requests a second of a server that runs, by command; CPU of all."""
    def load(requests):
        host, port = server.address.rsplit(":", 1)
        return output(["taskset", "-c", str(CLIENT_CPU)] * pinned + [
            "redis-benchmark", "-h", host, "-p", port, "-c", "50", "-n",
            str(requests), "-P", str(pipeline), "-t", "set,get", "--csv"])

    load(requests // 4)  # to warm up
    before = cpu_of(server.process)
    rates = {row["test"].lower(): float(row["rps"])
             for row in csv.DictReader(load(requests).splitlines())}
    return {**rates, "cpu": cpu_of(server.process) - before}


def redis_in_turns(plan, servers, pinned, pipeline):
    """Rounds of one dictionary of figures a server: (kind, command)."""
    cpu = SERVER_CPU if pinned else None
    requests = round(plan.seconds * (150000 if pipeline > 1 else 15000))
    with all_running(servers, cpu) as running:
        return in_short_turns(
            plan, running, lambda server: redis_rates(server, pinned, requests,
                                                      pipeline))


def chance(rounds):
    """How often heads come up in 19 of 20 series of so many throws, at most."""
    below, heads = 1, 0
    while below < 0.95 * 2 ** rounds:
        heads += 1
        below += math.comb(rounds, heads)
    return heads


def add_not_slower(table, name, rounds, what):
    """What is as fast is the slower one in half of the rounds, by chance."""
    table.add(f"{name}.rate_ratio", ratio(rounds, 1, 0, what))
    table.add(f"{name}.noise", ratio(rounds, 2, 0, what))
    table.add(f"{name}.rounds", len(rounds))
    table.add(f"{name}.slower", sum(r[1][what] < r[0][what] for r in rounds),
              f"<={chance(len(rounds))}")


def redis(plan, table):
    """Against the real one, both on one CPU; two workers against one.

    One worker is also measured against another server of its kind: what differs
    there is noise.
    """
    ours = {workers: (compare.Server, [example(plan, "redis"), "-w", workers,
                                       "127.0.0.1:0"]) for workers in "12"}
    one_two_one = ours["1"], ours["2"], ours["1"]
    with tempfile.TemporaryDirectory() as folder:
        theirs = (RedisServer, redis_server(folder))
        for name, pipeline, floor in (("redis", 1, ">=0.95"),
                                      ("redis.p16", 16, ">=0.9")):
            rounds = redis_in_turns(plan, (theirs, ours["1"]), True, pipeline)
            for command in ("set", "get"):
                table.add(f"{name}.{command}.rate_ratio",
                          ratio(rounds, 1, 0, command), floor)
            table.add(f"{name}.cpu_ratio", ratio(rounds, 1, 0, "cpu"))
            rounds = redis_in_turns(plan, one_two_one, False, pipeline)
            for command in ("set", "get"):
                add_not_slower(table, f"{name}.two_workers.{command}", rounds,
                               command)
            table.add(f"{name}.two_workers.cpu_ratio",
                      ratio(rounds, 1, 0, "cpu"))


FIGURES = {
    "switch": switch,
    "yield": yields,
    "two_workers": two_workers,
    "memory": memory,
    "timers": timers,
    "mutex": mutex,
    "pingpong": pingpong,
    "deadline": deadline,
    "chan": chan,
    "crowd": crowd,
    "echo.50": echo(50, "<=1.08", load_all),
    "echo.1000": echo(1000, "<=1.12", load_all),
    "echo.10000": echo(10000, "<=1.20"),
    "echo.calls": calls_per_request,
    "one_connection": one_connection,
    "one_connection.1000_per_second": slow_connection,
    "http": http,
    "redis": redis,
    **unchanged.FIGURES,
}


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build",
                        metavar="DIR", help="the build tree, default ./build")
    parser.add_argument("--only", action="append", metavar="NAME",
                        choices=FIGURES, help="; ".join(FIGURES))
    parser.add_argument("--rounds", type=int, help="default 9, quick 3")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if not (args.build / "tests" / "bench" / "load").is_file():
        parser.error(f"{args.build}: no bench programs there")
    return args


def main():
    args = parse()
    rounds = args.rounds or (3 if args.quick else 9)
    plan = Plan(args.build.resolve(), rounds, 0.7 if args.quick else 2,
                100000 if args.quick else 1000000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    table = Table()
    for name in args.only or FIGURES:
        began = time.monotonic()
        try:
            FIGURES[name](plan, table)
        except (Short, RuntimeError, OSError) as problem:
            table.fail(name, problem)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    sys.exit(table.short)


if __name__ == "__main__":
    main()
