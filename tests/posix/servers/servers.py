#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""servers.py - a real server does the same on fibers as on threads.

    servers.py SERVER --library LIBRARY [--microhttpd PROGRAM]
    servers.py SERVER --plain-only [--microhttpd PROGRAM]

Starts the server as it comes from the distribution, on loopback, with a
configuration of its own; many clients at once hold conversations with it, of
which each byte is verified; then it gets SIGTERM.  All of that again with
LIBRARY preloaded and two workers: it has to end with the same status, and to
have no more than a few OS threads for all of them.

Clients, and whatever the server itself talks to, are in this process.
"""
import argparse
import asyncio
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile

LIMIT = 200  # seconds that a server may take for all of its conversations
ENDING = 100  # and to end
WORKERS = 2
MOST_THREADS = 8  # on fibers
SHOWN = 30  # threads and lines of a server that failed
LOOK = 0.02  # seconds between two looks at what has no event
LOOKS = 15


class Failed(Exception):
    """The server, or what it needs, is not as it has to be."""


def noise(seed, length):
    return random.Random(seed).randbytes(length)


def expect(what, got, wanted):
    if got != wanted:
        at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b),
                  min(len(got), len(wanted)))
        raise Failed(f"{what}: {len(got)} bytes for {len(wanted)}, different "
                     f"from byte {at} on: {got[at:at + 40]!r}")


async def together(conversations):
    """All at once; the first that fails ends them all."""
    tasks = [asyncio.ensure_future(each) for each in conversations]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Meeting:
    """Lets its guests go on when all of them have come, and `look` is over."""

    def __init__(self, guests, look):
        self.missing = guests
        self.look = look
        self.over = asyncio.Event()

    async def come(self):
        self.missing -= 1
        if self.missing == 0:
            await self.look()
            self.over.set()
        await self.over.wait()


# What servers talk to.

async def serve_echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def read_head(reader):
    """The first line, and the fields by lower-case name."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = (line.partition(": ") for line in lines[1:-2])
    return lines[0], {name.lower(): value for name, _, value in fields}


class Web:
    """GET /SEED/LENGTH gets noise, a POST what it has sent; the first
    requests are answered when all of them have come."""

    def __init__(self, meeting):
        self.meeting = meeting

    async def serve(self, reader, writer):
        try:
            first, fields = await read_head(reader)
            if self.meeting.missing > 0:
                await self.meeting.come()
            method, path, _ = first.split(" ")
            if method == "POST":
                body = await reader.readexactly(int(fields["content-length"]))
            else:
                body = noise(*map(int, path.split("/")[1:]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
                         b"Connection: close\r\n\r\n" % len(body) + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


# What clients do.

async def echo_rounds(reader, writer, seed, rounds, longest):
    dice = random.Random(seed)
    for i in range(rounds):
        data = dice.randbytes(dice.randint(1, longest))
        writer.write(data)
        await writer.drain()
        expect(f"echo {i} of client {seed}",
               await reader.readexactly(len(data)), data)


async def ask(reader, writer, request, wanted):
    """One request of HTTP on a connection, and its answer."""
    writer.write(request)
    await writer.drain()
    first, fields = await read_head(reader)
    asked = request[:60]
    expect(f"status of {asked}", first.split(" ")[1], "200")
    if "content-length" in fields:
        length = int(fields["content-length"])
        body = await reader.readexactly(length)
    else:
        body = await reader.read(-1)
    expect(f"body of {asked}", body, wanted)


def show_thread(task):
    try:
        print(task.name, *((task / what).read_text().strip()
                           for what in ("comm", "wchan", "syscall")))
    except OSError:
        pass  # it has ended meanwhile


class Server:
    """One of them: how it is started, and the conversations with it.

    `crowd` clients meet: then all are connected, and none says anything.
    """
    package = ""
    program = ""
    crowd = 100

    def __init__(self, folder, options):
        self.folder = folder
        self.options = options
        self.process = None
        self.holder = socket.socket()
        self.listeners = []
        self.open = []
        self.threads = None  # while the clients meet
        self.most_threads = 0

    # To be said for each.

    def command(self):
        raise NotImplementedError

    async def converse(self):
        raise NotImplementedError

    # What they have in common.

    def find_program(self):
        found = shutil.which(self.program)
        if not found:
            raise Failed(f"no {self.program} here; it is in Debian's package "
                         f"{self.package}: sh tests/install.sh test")
        return found

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    async def listen(self, serve):
        """A listener of the test, on both loopback addresses if there are."""
        async def until_cancelled(reader, writer):
            self.open.append(writer)
            try:
                await serve(reader, writer)
            except asyncio.CancelledError:
                pass  # asyncio would complain of it

        async def listen_on(host, port):
            listener = await asyncio.start_server(until_cancelled, host, port,
                                                  backlog=1024)
            self.listeners.append(listener)
            return listener.sockets[0].getsockname()[1]

        port = await listen_on("127.0.0.1", 0)
        try:
            return await listen_on("::1", port)
        except OSError:
            return port

    async def connect(self, **more):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port,
                                                       **more)
        self.open.append(writer)
        return reader, writer

    async def start(self, library):
        # Taken but not listened on, so that nobody else gets the number; the
        # server may still have it, as both set SO_REUSEADDR.
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.port = self.holder.getsockname()[1]
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("WEFT_") and name != "LD_PRELOAD"}
        if library:
            environment.update(LD_PRELOAD=library, WEFT_WORKERS=str(WORKERS))
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT)
        await self.until_it_listens()
        if library:
            maps = pathlib.Path(f"/proc/{self.process.pid}/maps").read_text()
            if library not in maps:
                raise Failed("the library was not loaded")

    async def until_it_listens(self):
        while True:
            if self.process.poll() is not None:
                raise Failed(f"before the first client it {self.condition()}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1",
                                                          self.port)
                writer.close()
                return
            except ConnectionRefusedError:
                await asyncio.sleep(LOOK)

    def condition(self):
        status = self.process.poll()
        return "runs" if status is None else f"has ended, status {status}"

    def count_threads(self):
        count = len(os.listdir(f"/proc/{self.process.pid}/task"))
        self.most_threads = max(self.most_threads, count)
        return count

    async def watch_threads(self):
        while True:
            self.count_threads()
            await asyncio.sleep(LOOK)

    async def look_at_crowd(self):
        """The fewest of some looks: one that is about to end is none."""
        self.threads = self.count_threads()
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK)
            self.threads = min(self.threads, self.count_threads())

    async def drive(self):
        watcher = asyncio.ensure_future(self.watch_threads())
        conversations = asyncio.ensure_future(self.converse())
        try:
            done, _ = await asyncio.wait(
                [watcher, conversations], timeout=LIMIT,
                return_when=asyncio.FIRST_COMPLETED)
            if not done:
                raise Failed(f"conversations not over in {LIMIT} s")
            for task in done:
                task.result()
        except (asyncio.IncompleteReadError, OSError, ValueError,
                IndexError) as problem:
            raise Failed(f"{type(problem).__name__}: {problem}; it "
                         f"{self.condition()}") from problem
        finally:
            for task in (watcher, conversations):
                task.cancel()
            await asyncio.gather(watcher, conversations,
                                 return_exceptions=True)

    async def end(self):
        """Its status after SIGTERM, with some clients still connected."""
        if self.process.poll() is not None:
            raise Failed(f"after the conversations it {self.condition()}")
        self.process.send_signal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, self.process.wait, ENDING)
        except subprocess.TimeoutExpired as problem:
            raise Failed(f"still there {ENDING} s after SIGTERM") from problem

    def show(self):
        """What there is to know of it when something went wrong."""
        if self.process and self.process.poll() is None:
            tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
            for task in list(tasks.iterdir())[:SHOWN]:
                show_thread(task)
        output = self.folder / "output"
        text = output.read_text(errors="replace") if output.exists() else ""
        if text:
            print("--- the last that it has said:")
            print("\n".join(text.splitlines()[-SHOWN:]))

    async def clean_up(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for writer in self.open:
            writer.transport.abort()
        for listener in self.listeners:
            listener.close()
        self.holder.close()

    async def run(self, library):
        """Its status, and how many threads it had."""
        try:
            await self.prepare()
            await self.start(library)
            await self.drive()
            return await self.end(), self.threads, self.most_threads
        except Failed:
            self.show()
            raise
        finally:
            await self.clean_up()


class Microsocks(Server):
    """SOCKS5 to an echo server; each fourth looks up a name for it."""
    package = program = "microsocks"
    crowd = 200

    def command(self):
        return [self.find_program(), "-i", "127.0.0.1", "-p", str(self.port)]

    async def prepare(self):
        self.echo = await self.listen(serve_echo)
        self.meeting = Meeting(self.crowd, self.look_at_crowd)

    async def dial(self, by_name):
        reader, writer = await self.connect()
        writer.write(b"\5\1\0")
        expect("method", await reader.readexactly(2), b"\5\0")
        to = b"\3\x09localhost" if by_name else b"\1\x7f\0\0\1"
        writer.write(b"\5\1\0" + to + self.echo.to_bytes(2, "big"))
        expect("reply", (await reader.readexactly(10))[:4], b"\5\0\0\1")
        return reader, writer

    async def client(self, number):
        reader, writer = await self.dial(by_name=number % 4 == 0)
        await echo_rounds(reader, writer, number, 1, 1000)
        await self.meeting.come()
        await echo_rounds(reader, writer, number, 20, 20000)
        if number % 10:  # the others stay until SIGTERM
            writer.close()

    async def in_turn(self):
        for number in range(100):
            reader, writer = await self.dial(by_name=False)
            await echo_rounds(reader, writer, number, 1, 100)
            writer.close()

    async def converse(self):
        await together(map(self.client, range(self.crowd)))
        await together(self.in_turn() for _ in range(4))


class Tinyproxy(Server):
    """A proxy of HTTP: what a server sends, what it is sent, and CONNECT."""
    package, program = "tinyproxy-bin", "tinyproxy"
    crowd = 120

    def command(self):
        path = self.write("tinyproxy.conf", f"""
Port {self.port}
Listen 127.0.0.1
Allow 127.0.0.1
Timeout 600
MaxClients 1000
LogLevel Connect
""")
        return [self.find_program(), "-d", "-c", path]

    async def prepare(self):
        self.meeting = Meeting(self.crowd, self.look_at_crowd)
        self.web = await self.listen(Web(self.meeting).serve)
        self.echo = await self.listen(serve_echo)

    async def get(self, seed, length):
        request = (f"GET http://127.0.0.1:{self.web}/{seed}/{length} "
                   f"HTTP/1.1\r\nHost: 127.0.0.1:{self.web}\r\n\r\n")
        reader, writer = await self.connect()
        await ask(reader, writer, request.encode(), noise(seed, length))
        writer.close()

    async def post(self, seed, length):
        body = noise(seed, length)
        request = (f"POST http://127.0.0.1:{self.web}/ HTTP/1.1\r\n"
                   f"Host: 127.0.0.1:{self.web}\r\n"
                   f"Content-Length: {length}\r\n\r\n")
        reader, writer = await self.connect()
        await ask(reader, writer, request.encode() + body, body)
        writer.close()

    async def tunnel(self, number):
        reader, writer = await self.connect()
        writer.write(f"CONNECT 127.0.0.1:{self.echo} HTTP/1.1\r\n\r\n".encode())
        first, _ = await read_head(reader)
        expect("status of CONNECT", first.split(" ")[1], "200")
        await echo_rounds(reader, writer, number, 10, 20000)

    async def client(self, number):
        await self.get(number, 1000)  # the one for which they meet
        dice = random.Random(number)
        for i in range(8):
            length = dice.randint(1, 100000)
            await (self.post if i % 3 == 2 else self.get)(number + i, length)

    async def converse(self):
        await together(map(self.client, range(self.crowd)))
        await together([self.get(1, 5 << 20), self.get(2, 5 << 20),
                        self.post(3, 5 << 20)])
        await together(map(self.tunnel, range(20)))


class Stunnel(Server):
    """TLS in front of an echo server, with a certificate made here."""
    package, program = "stunnel4", "stunnel4"
    crowd = 100

    def command(self):
        path = self.write("stunnel.conf", f"""
foreground = yes
pid =
debug = notice
[echo]
accept = 127.0.0.1:{self.port}
connect = 127.0.0.1:{self.echo}
cert = {self.folder}/cert.pem
key = {self.folder}/key.pem
""")
        return [self.find_program(), path]

    def make_certificate(self):
        if not shutil.which("openssl"):
            raise Failed("no openssl here: sh tests/install.sh test")
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost",
             "-days", "2", "-keyout", self.folder / "key.pem", "-out",
             self.folder / "cert.pem"], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=LIMIT)
        if done.returncode:
            raise Failed(f"openssl: {done.stdout.decode()}")

    async def prepare(self):
        self.echo = await self.listen(serve_echo)
        self.make_certificate()
        self.trust = ssl.create_default_context(
            cafile=self.folder / "cert.pem")
        self.meeting = Meeting(self.crowd, self.look_at_crowd)

    async def client(self, number):
        reader, writer = await self.connect(
            ssl=self.trust, server_hostname="localhost",
            ssl_handshake_timeout=LIMIT)
        await echo_rounds(reader, writer, number, 1, 1000)
        await self.meeting.come()
        await echo_rounds(reader, writer, number, 15, 40000)
        if number % 10:
            writer.close()

    async def converse(self):
        await together(map(self.client, range(self.crowd)))


class Microhttpd(Server):
    """Connections that are kept, a thread each; see microhttpd.c."""
    package, program = "libmicrohttpd-dev", "microhttpd"
    crowd = 150

    def command(self):
        program = os.path.abspath(self.options.microhttpd or self.program)
        if not os.access(program, os.X_OK):
            raise Failed(f"no {program}: it is built with "
                         f"Debian's package {self.package}: sh "
                         "tests/install.sh test, and cmake again")
        return [program, str(self.port)]

    async def prepare(self):
        self.meeting = Meeting(self.crowd, self.look_at_crowd)

    async def get(self, reader, writer, length):
        path = b"/%d" % length
        await ask(reader, writer,
                  b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path,
                  (path * (length // len(path) + 1))[:length])

    async def client(self, number):
        dice = random.Random(number)
        reader, writer = await self.connect()
        await self.get(reader, writer, 100)
        await self.meeting.come()
        for _ in range(15):
            await self.get(reader, writer, dice.randint(1, 50000))
        if number < 4:
            await self.get(reader, writer, 5 << 20)
        if number % 10:
            writer.close()

    async def converse(self):
        await together(map(self.client, range(self.crowd)))


SERVERS = {each.program: each
           for each in (Microsocks, Tinyproxy, Stunnel, Microhttpd)}


def run(options, library):
    with tempfile.TemporaryDirectory(prefix="weft-server-") as folder:
        server = SERVERS[options.server](pathlib.Path(folder), options)
        return asyncio.run(server.run(library))


def report(options, how, status, threads, most):
    print(f"{options.server}, on {how}: status {status}; {threads} OS threads "
          f"with {SERVERS[options.server].crowd} clients that wait, "
          f"{most} at most")


def compare(options):
    status, threads, most = run(options, None)
    report(options, "threads", status, threads, most)
    if threads < SERVERS[options.server].crowd:
        raise Failed("that is not a thread for each connection")
    if options.plain_only:
        return
    ended, few, most = run(options, os.path.abspath(options.library))
    report(options, "fibers", ended, few, most)
    if ended != status:
        raise Failed(f"status {ended} after SIGTERM, on threads {status}")
    if few > MOST_THREADS:
        raise Failed(f"{few} OS threads on fibers")


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", choices=SERVERS)
    parser.add_argument("--library", metavar="LIBRARY")
    parser.add_argument("--plain-only", action="store_true")
    parser.add_argument("--microhttpd", metavar="PROGRAM")
    options = parser.parse_args()
    if not options.library and not options.plain_only:
        parser.error("no --library")
    return options


def main():
    options = parse()
    try:
        compare(options)
    except Failed as problem:
        sys.exit(f"servers.py: {options.server}: {problem}")


if __name__ == "__main__":
    main()
