# SPDX-License-Identifier: MIT
"""Unchanged programs, on threads and on fibers: groups of figures.py.

In each round the same program runs as it is, and then with libweft_posix.so
preloaded; servers with the same client.  They know nothing of weft: real
servers, as Debian has them, and the programs beside this file.
"""
import contextlib
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import compare
from plan import (
    CLIENT_CPU, LONGEST, SERVER_CPU, Short, bench, count_calls, load_each,
    load_options, in_turns, middle, ratio)

# stunnel has malloc map what takes 4 KiB or more, and each record of OpenSSL's
# takes 17: unless there happens to be room in a heap, which decides about half
# of the rate on either side, each message maps and unmaps memory.
NO_MAPPING = "MALLOC_MMAP_MAX_=0"
LOOK = 0.02  # seconds between two looks at what has no event
PAIRS = 15  # of rounds, where a few percent have to be seen
THREADS, FIBERS = 0, 1  # sides of a round


def on_both(plan, command, *settings):
    """The command for threads, and that for fibers."""
    library = plan.build / "libweft_posix.so"
    if not library.exists():
        raise Short(f"no {library}")
    settings = settings or ("WEFT_WORKERS=2",)
    return command, ["env", f"LD_PRELOAD={library}", *settings, *command]


def find(program, package):
    found = shutil.which(program)
    if not found:
        raise Short(f"no {program}, of Debian's package {package}: "
                    "sh tests/install.sh test")
    return found


# Programs that print `name value unit`.

def add_both(table, rounds, name, floor="-"):
    """What fibers have, to a floor, and what threads have."""
    for side, how in ((THREADS, "on_threads"), (FIBERS, "on_fibers")):
        table.add(f"posix.{name}.{how}",
                  middle(rounds, lambda r: r[side][name]),
                  floor if side == FIBERS else "-")


def memory(plan, table):
    for parked, options in (("parked", []), ("parked.read", ["--read"])):
        rounds = in_turns(plan, *on_both(
            plan, [bench(plan, "posix/parked"), *options], "WEFT_WORKERS=2",
            "WEFT_STACK=256K"))
        for what, floor in (("resident", "<=8800"), ("page_tables", "-"),
                            ("kernel_stack", "<=100"), ("slab", "-"),
                            ("mappings", "-"), ("threads", "<=8")):
            add_both(table, rounds, f"{parked}.{what}", floor)


def create(plan, table):
    rounds = in_turns(plan, *on_both(plan, [bench(plan, "posix/create")]))
    add_both(table, rounds, "create.join", "<=1000")
    add_both(table, rounds, "create.many")
    add_both(table, rounds, "create.first")


def lines(plan, table):
    rounds = in_turns(plan, *on_both(plan, [bench(plan, "posix/lines")]))
    add_both(table, rounds, "lines.read", ">=500")
    add_both(table, rounds, "lines.time")
    add_both(table, rounds, "lines.threads")


def stuck(plan, table):
    """One worker, which is lost each time."""
    rounds = in_turns(plan, *on_both(plan, [bench(plan, "posix/stuck")],
                                     "WEFT_WORKERS=1"))
    for how in ("stuck.blocked", "stuck.computing"):
        add_both(table, rounds, how, "<=15")
        add_both(table, rounds, how + ".worst")


# Servers, each a context: what starts it on a port, and what to say to the load.

@contextlib.contextmanager
def microsocks(plan, _folder):
    program = find("microsocks", "microsocks")
    with echo_server(plan) as echo:
        yield (lambda port: [program, "-i", "127.0.0.1", "-p", str(port)],
               ["--socks", echo.address])


@contextlib.contextmanager
def microhttpd(plan, _folder):
    program = plan.build / "tests" / "posix" / "servers" / "microhttpd"
    if not program.exists():
        raise Short(f"no {program}: it needs libmicrohttpd-dev")
    yield lambda port: [str(program), str(port)], ["--http", "/100"]


@contextlib.contextmanager
def stunnel4(plan, folder):
    program = find("stunnel4", "stunnel4")
    make_certificate(folder)
    config = folder / "stunnel.conf"
    with echo_server(plan) as echo:
        def command(port):
            config.write_text(
                "foreground = yes\npid =\ndebug = err\n[echo]\n"
                f"accept = 127.0.0.1:{port}\nconnect = {echo.address}\n"
                f"cert = {folder}/cert.pem\nkey = {folder}/key.pem\n")
            return ["env", NO_MAPPING, program, str(config)]
        yield command, ["--tls"]


@contextlib.contextmanager
def tinyproxy(plan, folder):
    program = find("tinyproxy", "tinyproxy-bin")
    config = folder / "tinyproxy.conf"
    (folder / "file").write_bytes(os.urandom(1024))
    with compare.Server([bench(plan, "limits/http_epoll"), "-d", str(folder),
                         "127.0.0.1:0"], None) as web:
        def command(port):
            config.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\n"
                              "Allow 127.0.0.1\nMaxClients 2000\n"
                              "LogLevel Critical\n")
            return [program, "-d", "-c", str(config)]
        yield command, [f"http://{web.address}/file"]


def echo_server(plan):
    return compare.Server([bench(plan, "limits/echo_epoll"), "127.0.0.1:0"],
                          None)


def make_certificate(folder):
    subprocess.run(
        [find("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048",
         "-nodes", "-subj", "/CN=localhost", "-days", "2", "-keyout",
         folder / "key.pem", "-out", folder / "cert.pem"], check=True,
        stderr=subprocess.DEVNULL)


class Listener(compare.Server):
    """A server that was told where to listen, and does not say when."""

    def __init__(self, command, port):
        self.port = port
        super().__init__(command, None, stderr=subprocess.DEVNULL)

    def read_address(self):
        limit = time.monotonic() + compare.START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return f"127.0.0.1:{self.port}"
            except ConnectionRefusedError:
                if time.monotonic() > limit or self.process.poll() is not None:
                    raise Short(f"{self.command}: does not listen") from None
                time.sleep(LOOK)

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def cpu(self):
        """Nanoseconds that it has had."""
        clock = ~self.process.pid << 3 | 2  # as clock_getcpuclockid(3) does
        return time.clock_gettime_ns(clock)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def drive(server, client):
    """What a client says, and how many threads the server mostly had."""
    limit, threads = time.monotonic() + LONGEST, []
    with subprocess.Popen(client, stdout=subprocess.PIPE, text=True) as running:
        while True:
            try:
                said, _ = running.communicate(timeout=LOOK)
                break
            except subprocess.TimeoutExpired:
                threads.append(server.threads())
                if time.monotonic() > limit:
                    running.kill()
    if running.returncode:
        raise Short(f"{server.command}: {client[0]} has failed")
    return said, statistics.median(threads)


def load(plan, server, connections, more, rate=None):
    options = load_options(plan, connections=connections, rate=rate)
    said, threads = drive(server, [
        *compare.load_command(options), "--pid", str(server.process.pid), *more,
        server.address])
    results = (line.split() for line in said.splitlines())
    return {"threads": threads,
            **{name: float(value) for name, value, _ in results}}


def ab(plan, server, connections, more):
    requests = max(connections * 2, round(8000 * plan.seconds))
    before = server.cpu()
    said, threads = drive(server, [
        find("ab", "apache2-utils"), "-q", "-c", str(connections), "-n",
        str(requests), "-X", server.address, *more])
    failed = re.search(r"^Failed requests: +(\d+)", said, re.M)
    if not failed or int(failed[1]) or "Non-2xx" in said:
        raise Short(f"{server.command}: ab: {said}")
    return {"threads": threads,
            "cpu_per_request": (server.cpu() - before) / requests,
            "rate": float(re.search(r"^Requests per second: +([\d.]+)", said,
                                    re.M)[1]),
            "latency.p99": float(re.search(r"^ +99% +(\d+)", said, re.M)[1])}


def run_under(client, plan, command, port, *args):
    """What a client finds of a server that runs only meanwhile."""
    with Listener(command, port) as server:
        return client(plan, server, *args)


def serve(kind, client, connections, **floors):
    def measure(plan, table):
        with tempfile.TemporaryDirectory() as folder, \
                kind(plan, pathlib.Path(folder)) as (command, more):
            rounds = []
            for _ in range(plan.rounds):
                rounds.append([])
                port = free_port()
                for side in on_both(plan, command(port)):
                    rounds[-1].append(run_under(client, plan, side, port,
                                                connections, more))
        add_server(table, f"posix.{kind.__name__}.{connections}", rounds,
                   floors)
    return measure


def tail(connections, part):
    """Latencies at a part of what threads can do, the same for both sides.

    A client that asks again as soon as it is answered finds connections / rate
    whoever is fair: its p99 says no more than its rate.  How little it can be
    the bare loop shows, which serves a file of that size.  `slices` leaves out
    moments in which the whole machine stood still: see load.c.
    """
    def measure(plan, table):
        rounds = []  # both at the rate, threads at their most, the bare loop
        with tempfile.TemporaryDirectory() as folder, \
                microhttpd(plan, folder) as (server, more):
            length = more[-1].strip("/")
            (pathlib.Path(folder) / length).write_bytes(bytes(int(length)))
            bare = [bench(plan, "limits/http_epoll"), "-d", folder]
            for _ in range(plan.rounds):
                port = free_port()
                sides = on_both(plan, server(port))
                most, least = (
                    run_under(load, plan, command, port, connections, more)
                    for command in (sides[THREADS],
                                    [*bare, f"127.0.0.1:{port}"]))
                rounds.append([
                    run_under(load, plan, side, port, connections, more,
                              part * most["rate"]) for side in sides])
                rounds[-1] += most, least
        name = f"posix.microhttpd.{connections}"
        table.add(f"{name}.p99_ratio.least",
                  ratio(rounds, 3, 2, "latency.p99"))
        for figure, floor in (("p50", "-"), ("p99", "<=0.5"),
                              ("p99.slices", "<=0.5")):
            table.add(f"{name}.at_rate.{figure}_ratio", ratio(
                rounds, FIBERS, THREADS, f"latency.{figure}"), floor)
        table.add(f"{name}.at_rate.cpu_ratio",
                  ratio(rounds, FIBERS, THREADS, "cpu_per_request"))
    return measure


def add_server(table, name, rounds, floors):
    for figure, of in (("rate_ratio", "rate"), ("p99_ratio", "latency.p99"),
                       ("cpu_ratio", "cpu_per_request")):
        table.add(f"{name}.{figure}", ratio(rounds, FIBERS, THREADS, of),
                  floors.get(figure, "-"))
    for side, how in ((THREADS, "on_threads"), (FIBERS, "on_fibers")):
        table.add(f"{name}.rate.{how}", middle(rounds,
                                               lambda r: r[side]["rate"]))
        table.add(f"{name}.os_threads.{how}",
                  max(r[side]["threads"] for r in rounds),
                  floors.get("threads", "-") if side == FIBERS else "-")


def epoll(plan, table):
    """A program without threads, and the same calls as without the library."""
    sides = on_both(plan, [bench(plan, "limits/echo_epoll"), "127.0.0.1:0"])
    rounds = load_each(plan._replace(rounds=max(PAIRS, plan.rounds)), sides,
                       connections=50, cpu_server=SERVER_CPU,
                       cpu_client=CLIENT_CPU)
    table.add("posix.epoll.cpu_ratio",
              ratio(rounds, FIBERS, THREADS, "cpu_per_request"), "<=1.05")
    calls = [sum(count_calls(plan, side, 1).values()) for side in sides]
    for side, how in ((THREADS, "without"), (FIBERS, "with")):
        table.add(f"posix.epoll.calls_per_request.{how}", calls[side])
    table.add("posix.epoll.calls_ratio", calls[FIBERS] / calls[THREADS],
              "<=1.01")


def raised(measure):
    """With as many descriptors as are allowed, as children inherit it."""
    def with_limit(plan, table):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        try:
            measure(plan, table)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return with_limit


FIGURES = {f"posix.{name}": raised(measure) for name, measure in {
    "microsocks": serve(microsocks, load, 1000, rate_ratio=">=1.5",
                        threads="<=8"),
    "microhttpd": serve(microhttpd, load, 10000, rate_ratio=">=1.2",
                        p99_ratio="<=0.5"),
    "microhttpd.rate": tail(10000, 0.75),
    "tinyproxy.100": serve(tinyproxy, ab, 100, rate_ratio=">=1.0"),
    "tinyproxy.1000": serve(tinyproxy, ab, 1000, rate_ratio=">=1.0"),
    "stunnel4.50": serve(stunnel4, load, 50, rate_ratio=">=1.0"),
    "stunnel4.1000": serve(stunnel4, load, 1000, rate_ratio=">=1.0"),
    "memory": memory,
    "create": create,
    "lines": lines,
    "stuck": stuck,
    "epoll": epoll,
}.items()}
