#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold a conversation with an example.

    smoke.py [--library LIBRARY] PROGRAM [PART OF A TEST'S NAME ...]

The name of the program says what is expected of it.  With LIBRARY preloaded a
program of threads runs on fibers.  Servers are started on
port 0 and spoken to over real sockets.  Every wait has a limit, none is a
sleep, and whatever was started is ended, by its process id.
"""
import fcntl
import http.client
import os
import pathlib
import random
import re
import selectors
import shutil
import signal
import socket
import subprocess
import struct
import sys
import tempfile
import termios
import threading
import time
import unittest

LIMIT = 100  # seconds that any single wait may take
HUGE = 32 << 20  # bytes, more than the buffers of a connection hold
PROGRAM = ""
PRELOAD = {}  # in a program's environment


def run(*args, **more):
    """Run the program to its end; returns its status, output and errors."""
    done = subprocess.run([PROGRAM, *args], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=LIMIT, text=True,
                          env={**os.environ, **PRELOAD}, **more)
    return done.returncode, done.stdout, done.stderr


def receive(sock, length):
    """Exactly so many bytes, or fewer if the stream ends."""
    data = bytearray()
    while len(data) < length:
        more = sock.recv(min(length - len(data), 65536))
        if not more:
            break
        data += more
    return bytes(data)


def receive_all(sock):
    data = bytearray()
    while more := sock.recv(65536):
        data += more
    return bytes(data)


def send_and_arrive(sock, data):
    """Returns when the other end's kernel has it all."""
    sock.sendall(data)
    unsent = -1
    while unsent:
        unsent, = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ,
                                                 bytes(4)))


def noise(length, seed=1):
    return random.Random(seed).randbytes(length)


class Server:
    """A running example, and the address that it has announced."""

    def __init__(self, *args, **environment):
        self.process = subprocess.Popen(
            [PROGRAM, *args, "127.0.0.1:0"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **PRELOAD, **environment})
        try:
            line = self.first_line().decode()
            match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
            assert match, f"announced {line!r}"
        except BaseException:
            self.kill()
            raise
        self.address = ("127.0.0.1", int(match.group(1)))

    def first_line(self):
        out = self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            assert selector.select(LIMIT), "nothing announced in time"
        return out.readline()

    def connect(self):
        sock = socket.create_connection(self.address, timeout=LIMIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def end(self, signo=signal.SIGTERM):
        """Ask it to end; returns its status and what it said meanwhile."""
        self.process.send_signal(signo)
        return self.ended()

    def ended(self):
        """The same, when it has been asked before."""
        out, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, out, err

    def ask_to_end(self):
        """Returns when it listens no more."""
        self.process.send_signal(signal.SIGTERM)
        try:
            while True:
                self.connect().close()
        except (ConnectionRefusedError, ConnectionResetError):
            pass

    def stop(self):
        """Until it is continued it does not see what happens."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Hello(unittest.TestCase):
    def test_both_fibers_speak_in_turn(self):
        status, out, err = run()
        self.assertEqual((status, err), (0, ""))
        lines = out.splitlines()
        for name in ("warp", "woof"):
            own = [line for line in lines if line.startswith(name)]
            self.assertEqual(own, [f"{name}: hello 1", f"{name}: hello 2",
                                   f"{name}: hello 3", f"{name} has ended"])
        speakers = [line.split(":")[0] for line in lines if ":" in line]
        self.assertEqual(len(speakers), 6)
        for first, second in zip(speakers[::2], speakers[1::2]):
            self.assertNotEqual(first, second)


class Timeout(unittest.TestCase):
    def test_each_wait_ends_as_announced(self):
        status, out, err = run()
        self.assertEqual((status, err), (0, ""))
        seen = []
        for line in out.splitlines():
            match = re.fullmatch(r"(.*?)  +(.*) after (\d+) ms", line)
            self.assertTrue(match, line)
            what, outcome, after = match.groups()
            seen.append((what, outcome))
            if what.startswith("sleep for") or "nobody" in what:
                self.assertGreaterEqual(int(after), 50, line)
        late, cancelled = "Connection timed out", "Operation canceled"
        self.assertEqual(seen, [
            ("sleep for 50 ms", "done"),
            ("read, when nobody writes", late),
            ("read, when somebody does", "done"),
            ("join of a sleeper", late),
            ("join again, the deadline is past", late),
            ("join, the sleeper cancelled", "done"),
            ("and what the sleeper got", cancelled)])


class ServerCase(unittest.TestCase):
    """What all servers have in common.  Each test has a server of its own."""

    kind = socket.SOCK_STREAM
    options = []

    def start(self, *args):
        server = Server(*self.options, *args)
        self.addCleanup(server.kill)
        return server

    def connect(self, server):
        sock = server.connect()
        self.addCleanup(sock.close)
        return sock

    def assert_ends(self, server, signo=signal.SIGTERM):
        self.assertEqual(server.end(signo), (0, b"", b""))

    def assert_has_ended(self, server):
        self.assertEqual(server.ended(), (0, b"", b""))

    def test_help(self):
        for option in ("--help", "-h"):
            status, out, err = run(option)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("usage: " + os.path.basename(PROGRAM), out)
            self.assertIn("-w WORKERS", out)

    def test_bad_usage(self):
        for args in (["--nonsense"], ["-x"], ["-w"], ["-w", "0"],
                     ["-w", "-1"], ["-w", "two"], ["-w", "2x"],
                     ["-w", "257"], ["127.0.0.1:0", "127.0.0.1:0"]):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertIn("usage: ", err, args)

    def test_address_in_use(self):
        with socket.socket(socket.AF_INET, self.kind) as holder:
            holder.bind(("127.0.0.1", 0))
            if self.kind == socket.SOCK_STREAM:
                holder.listen()
            address = "127.0.0.1:%d" % holder.getsockname()[1]
            status, out, err = run(address)
        name = os.path.basename(PROGRAM)
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, f"{name}: {address}: Address already in use\n")

    def test_address_that_is_none(self):
        status, out, err = run("nonsense")
        name = os.path.basename(PROGRAM)
        self.assertEqual((status, out), (1, ""))
        self.assertIn(f"{name}: nonsense: ", err)

    def test_signals_end_it(self):
        for signo in (signal.SIGTERM, signal.SIGINT):
            for workers in ("1", "2", "8"):
                self.assert_ends(self.start("-w", workers), signo)


class StreamCase(ServerCase):
    def test_signal_ends_it_in_the_middle_of_conversations(self):
        server = self.start()
        for i in range(50):
            sock = self.connect(server)
            if i % 2:
                sock.sendall(b"G")
        self.assert_ends(server)

    def test_raises_the_descriptor_limit(self):
        server = self.start()
        with open(f"/proc/{server.process.pid}/limits") as limits:
            line = next(l for l in limits if l.startswith("Max open files"))
        soft, hard = line.split()[3:5]
        self.assertEqual(soft, hard)


class EchoCase(StreamCase):
    """What echo does, and any server with an echo behind it."""

    def test_several_clients_at_once(self):
        server = self.start("-w", "2")
        socks = [self.connect(server) for _ in range(40)]
        for turn in range(5):
            for i, sock in enumerate(socks):
                sock.sendall(b"%d says %d" % (i, turn))
            for i, sock in enumerate(socks):
                text = b"%d says %d" % (i, turn)
                self.assertEqual(receive(sock, len(text)), text)
        self.assert_ends(server)

    def test_half_close(self):
        server = self.start()
        sock = self.connect(server)
        sock.sendall(b"the last words")
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(sock), b"the last words")
        self.assert_ends(server)

    def test_more_than_the_buffers_hold(self):
        server = self.start("-w", "2")
        sock = self.connect(server)
        data = noise(8 << 20)

        def send():
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        self.assertEqual(receive_all(sock), data)
        sender.join(LIMIT)
        self.assert_ends(server)

    def test_a_reset_harms_nobody_else(self):
        server = self.start()
        good = self.connect(server)
        for _ in range(20):
            bad = server.connect()
            bad.sendall(b"x" * 1000)
            bad.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                           b"\1\0\0\0\0\0\0\0")
            bad.close()
        good.sendall(b"still here")
        self.assertEqual(receive(good, 10), b"still here")
        self.assert_ends(server)


    def test_what_has_come_before_the_signal_is_sent_back(self):
        server = self.start("-w", "2")
        socks = [self.connect(server) for _ in range(20)]
        for sock in socks:
            sock.sendall(b"first")
            self.assertEqual(receive(sock, 5), b"first")
        data = noise(50000)
        server.stop()
        for sock in socks:
            send_and_arrive(sock, data)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        for sock in socks:
            self.assertEqual(receive_all(sock), data)
        self.assert_has_ended(server)

    def stuck(self):
        """A server that a client lets wait for ever: it sends, and takes
        nothing."""
        os.environ["WEFT_DUMP_ON_QUIT"] = "1"
        self.addCleanup(os.environ.pop, "WEFT_DUMP_ON_QUIT")
        server = self.start()
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.connect(server.address)

        def send():
            try:
                sock.sendall(bytes(HUGE))
            except OSError:
                pass

        threading.Thread(target=send, daemon=True).start()
        said = b""
        while b" waits: write " not in said:
            server.process.send_signal(signal.SIGQUIT)
            said += os.read(server.process.stderr.fileno(), 65536)
        return server

    def test_a_second_signal_cuts_off_who_is_left(self):
        server = self.stuck()
        server.ask_to_end()
        self.assertEqual(server.end()[0], 0)

    def test_who_is_left_is_cut_off_in_the_end(self):
        server = self.stuck()
        begin = time.monotonic()
        self.assertEqual(server.end()[0], 0)
        self.assertGreaterEqual(time.monotonic() - begin, self.grace)


class Echo(EchoCase):
    grace = 5


class PthreadEcho(EchoCase):
    """The same of threads; so many workers are for the library to have."""

    grace = 5

    def start(self, *args):
        if "LD_PRELOAD" in PRELOAD:
            workers = {"WEFT_WORKERS": args[1]} if args else {}
        else:
            workers = {}
        server = Server(**workers)
        self.addCleanup(server.kill)
        return server

    def test_help(self):
        for option in ("--help", "-h"):
            status, out, err = run(option)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("usage: pthread_echo", out)

    def test_bad_usage(self):
        for args in (["--nonsense"], ["-x"], ["127.0.0.1:0", "127.0.0.1:0"]):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertIn("usage: ", err, args)

    def test_an_address_that_is_none(self):
        for address in ("127.0.0.1", "127.0.0.1:", "127.0.0.1:http",
                        "127.0.0.1:65536", "127.0.0.1:0x", "localhost:0"):
            self.assertEqual(run(address), (
                1, "", f"pthread_echo: {address}: Invalid argument\n"))

    def test_a_connection_is_a_thread_or_takes_none(self):
        server = self.start("-w", "2")
        socks = [self.connect(server) for _ in range(100)]
        for sock in socks:
            sock.sendall(b"x")
            self.assertEqual(receive(sock, 1), b"x")
        def threads():
            return len(os.listdir(f"/proc/{server.process.pid}/task"))

        if "LD_PRELOAD" in PRELOAD:
            # One that has stood in for another may be about to end.
            limit = time.monotonic() + LIMIT
            while threads() > 8 and time.monotonic() < limit:
                pass
            self.assertLessEqual(threads(), 8)
        else:
            self.assertEqual(threads(), 102)
        self.assert_ends(server)

    def stuck(self):
        """It sleeps although there is something to read, so it writes."""
        server = self.start()
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.connect(server.address)
        sock.setblocking(False)
        limit = time.monotonic() + LIMIT
        while not self.sleeps_over_input(server, sock):
            self.assertLess(time.monotonic(), limit, "it takes everything")
            try:
                sock.send(bytes(65536))
            except BlockingIOError:
                pass
        return server

    def sleeps_over_input(self, server, sock):
        before = self.unread(server, sock)
        tasks = pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()
        try:
            states = {(task / "stat").read_text().rpartition(") ")[2][0]
                      for task in tasks}
        except (FileNotFoundError, ProcessLookupError):
            return False  # one has ended meanwhile
        return states == {"S"} and before and (
            before == self.unread(server, sock))

    def unread(self, server, sock):
        """What the server's kernel has for it from that client."""
        ends = [":%04X" % end[1] for end in (server.address,
                                              sock.getsockname())]
        with open("/proc/net/tcp") as table:
            for line in table:
                fields = line.split()
                if [fields[1][8:], fields[2][8:]] == ends:
                    return int(fields[4].partition(":")[2], 16)
        return 0


class Upstream:
    """A server to stand behind the proxy, whose ends the test holds."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(LIMIT)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def accept(self):
        sock, _ = self.listener.accept()
        sock.settimeout(LIMIT)
        return sock

    def echo_for_ever(self):
        """Accept and echo, each connection in a thread."""
        def echo(sock):
            with sock:
                try:
                    while data := sock.recv(65536):
                        sock.sendall(data)
                except OSError:
                    pass

        def accept():
            try:
                while True:
                    sock = self.accept()
                    threading.Thread(target=echo, args=(sock,),
                                     daemon=True).start()
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()


class Fanout(unittest.TestCase):
    """Servers are what the test holds: each accepts when it wants to."""

    def setUp(self):
        self.servers = []
        self.program = None

    def tearDown(self):
        if self.program and self.program.poll() is None:
            self.program.kill()
            self.program.communicate()
        for server in self.servers:
            server.listener.close()

    def serve(self, count):
        self.servers = [Upstream() for _ in range(count)]
        return [server.address for server in self.servers]

    def start(self, *args):
        self.program = subprocess.Popen(
            [PROGRAM, *args], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self):
        out, err = self.program.communicate(timeout=LIMIT)
        return self.program.returncode, sorted(out.splitlines()), \
            err.splitlines()

    def accept(self, server, question=b"who?\n"):
        sock = server.accept()
        self.assertEqual(receive(sock, len(question)), question)
        return sock

    def test_each_answer_is_told(self):
        addresses = self.serve(5)
        self.start("who?", *addresses)
        for number, server in enumerate(self.servers):
            with self.accept(server) as sock:
                sock.sendall(b"number %d\nand more\n" % number)
        self.assertEqual(self.end(), (0, sorted(
            f"{a}: number {i}" for i, a in enumerate(addresses)), []))

    def test_no_more_than_the_limit_ask_at_a_time(self):
        addresses = self.serve(6)
        self.start("-j", "2", "who?", *addresses)
        asking = [self.accept(server) for server in self.servers[:2]]
        for server in self.servers[2:]:
            # A connection that was made would be in the backlog by now.
            server.listener.setblocking(False)
            self.assertRaises(BlockingIOError, server.listener.accept)
            server.listener.settimeout(LIMIT)
            with asking.pop(0) as sock:
                sock.sendall(b"me\n")
            asking.append(self.accept(server))
        for sock in asking:
            with sock:
                sock.sendall(b"me\n")
        self.assertEqual(self.end(),
                         (0, sorted(f"{a}: me" for a in addresses), []))

    def test_the_first_error_cancels_the_others(self):
        addresses = self.serve(4)
        self.start("-t", "60000", "who?", *addresses)
        asking = [self.accept(server) for server in self.servers]
        asking[1].sendall(b"me\n")
        self.assertEqual(self.program.stdout.readline(),
                         f"{addresses[1]}: me\n")
        asking[2].close()
        self.assertEqual(self.end(), (1, [], [
            f"fanout: {addresses[2]}: No data available",
            "fanout: 1 of 4 answered: No data available"]))
        for sock in (asking[0], asking[3]):
            with sock:
                self.assertEqual(sock.recv(1), b"")
        asking[1].close()

    def test_a_server_that_is_not_there(self):
        self.serve(2)
        self.servers[1].listener.close()
        gone = self.servers[1].address
        self.start("-t", "60000", "who?", self.servers[0].address, gone)
        self.assertEqual(self.end(), (1, [], [
            f"fanout: {gone}: Connection refused",
            "fanout: 0 of 2 answered: Connection refused"]))

    def test_the_deadline_bounds_everything(self):
        addresses = self.serve(3)
        begin = time.monotonic()
        self.start("-t", "100", "-j", "2", "who?", *addresses)
        status, out, err = self.end()
        self.assertGreaterEqual(time.monotonic() - begin, 0.1)
        self.assertEqual((status, out), (1, []))
        self.assertEqual(err[-1],
                         "fanout: 0 of 3 answered: Connection timed out")

    def test_help(self):
        for option in ("--help", "-h"):
            status, out, err = run(option)
            self.assertEqual((status, err), (0, ""))
            self.assertIn("usage: fanout", out)

    def test_bad_usage(self):
        for args in ((), ("who?",), ("-j", "0", "who?", "x"), ("-x",),
                     ("-j", "2x", "who?", "x"), ("-t", "x", "who?", "x"),
                     ("-t", "86400001", "who?", "x")):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertIn("usage: fanout", err, args)


class Proxy(EchoCase):
    grace = 1

    def setUp(self):
        upstream = self.upstream()
        upstream.echo_for_ever()
        self.options = ["-g", "1", "-t", upstream.address]

    def upstream(self):
        upstream = Upstream()
        self.addCleanup(upstream.listener.close)
        return upstream

    def both_ends(self, *args):
        """A proxy, the client's end and the one behind the proxy."""
        upstream = self.upstream()
        server = self.start("-t", upstream.address, *args)
        client = self.connect(server)
        behind = upstream.accept()
        self.addCleanup(behind.close)
        return server, client, behind

    def test_half_close_of_the_client_is_passed_on(self):
        server, client, behind = self.both_ends()
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(behind), b"question")
        for i in range(10):
            behind.sendall(b"answer %d" % i)
            self.assertEqual(receive(client, 8), b"answer %d" % i)
        behind.close()
        self.assertEqual(receive_all(client), b"")
        self.assert_ends(server)

    def test_half_close_of_the_upstream_is_passed_on(self):
        server, client, behind = self.both_ends()
        behind.sendall(b"that is all")
        behind.shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(client), b"that is all")
        for i in range(10):
            client.sendall(b"more %d" % i)
            self.assertEqual(receive(behind, 6), b"more %d" % i)
        client.close()
        self.assertEqual(receive_all(behind), b"")
        self.assert_ends(server)

    def test_both_ways_at_once(self):
        server, client, behind = self.both_ends()
        down, up = noise(2 << 20, 1), noise(2 << 20, 2)
        senders = [threading.Thread(target=sock.sendall, args=(data,),
                                    daemon=True)
                   for sock, data in ((client, up), (behind, down))]
        got = []
        reader = threading.Thread(
            target=lambda: got.append(receive(behind, len(up))), daemon=True)
        for thread in (*senders, reader):
            thread.start()
        self.assertEqual(receive(client, len(down)), down)
        for thread in (*senders, reader):
            thread.join(LIMIT)
        self.assertEqual(got, [up])
        self.assert_ends(server)

    def test_an_answer_under_way_is_passed_on(self):
        server, client, behind = self.both_ends("-g", "86400")
        client.sendall(b"question")
        self.assertEqual(receive(behind, 8), b"question")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(receive_all(behind), b"")
        self.assertRaises(ConnectionRefusedError, server.connect)
        for i in range(10):
            behind.sendall(b"answer %d" % i)
            self.assertEqual(receive(client, 8), b"answer %d" % i)
        behind.close()
        self.assertEqual(receive_all(client), b"")
        self.assert_has_ended(server)

    def test_no_upstream(self):
        upstream = self.upstream()
        upstream.listener.close()
        server = self.start("-t", upstream.address)
        client = self.connect(server)
        self.assertEqual(receive_all(client), b"")
        status, out, err = server.end()
        self.assertEqual((status, out), (0, b""))
        self.assertEqual(err.decode(), f"proxy: {upstream.address}: "
                         "Connection refused\n")


class Sieve(unittest.TestCase):
    def test_primes_in_order(self):
        limit = 4000
        sieve = [n for n in range(2, limit)
                 if all(n % d for d in range(2, int(n ** 0.5) + 1))]
        for count in (1, 2, 300):
            status, out, err = run(str(count))
            self.assertEqual((status, err), (0, ""))
            self.assertEqual([int(line) for line in out.split()],
                             sieve[:count])

    def test_help(self):
        for option in ("--help", "-h"):
            self.assertEqual(run(option), (
                0, "usage: sieve HOW MANY PRIMES, 1 to 100000\n", ""))

    def test_bad_usage(self):
        for args in ((), ("0",), ("-1",), ("x",), ("3x",), ("100001",),
                     ("3", "4")):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertIn("usage: sieve", err)


class Chat(StreamCase):
    def enter(self, server, name):
        """A guest, who is in the room by now."""
        sock = self.connect(server)
        sock.sendall(name.encode() + b"\n")
        guest = sock.makefile("r", encoding="utf-8", newline="\n")
        self.addCleanup(guest.close)
        self.assertEqual(guest.readline(), "* welcome\n")
        return sock, guest

    def room(self, *args, names=("ann", "bob", "eve")):
        server = self.start(*args)
        guests = []
        for name in names:
            guests.append(self.enter(server, name))
            for _, guest in guests[:-1]:
                self.assertEqual(guest.readline(), f"* {name} has come\n")
        return server, guests

    def test_everybody_hears_the_others(self):
        server, guests = self.room("-w", "2")
        for speaker, name in enumerate(("ann", "bob", "eve")):
            guests[speaker][0].sendall(f"I am {name}\r\nh\xe9\n\n".encode())
            for listener, (_, guest) in enumerate(guests):
                if listener != speaker:
                    self.assertEqual(guest.readline(), f"{name}: I am {name}\n")
                    self.assertEqual(guest.readline(), f"{name}: h\xe9\n")
        self.assert_ends(server)

    def test_lines_that_come_in_pieces_or_together(self):
        server, ((ann, _), (_, bob)) = self.room(names=("ann", "bob"))
        for piece in (b"on", b"e\ntwo\nth", b"r", b"ee\n"):
            ann.sendall(piece)
        for word in ("one", "two", "three"):
            self.assertEqual(bob.readline(), f"ann: {word}\n")
        with self.connect(server) as sock:
            sock.sendall(b"eve\nat once\n")
            self.assertEqual(bob.readline(), "* eve has come\n")
            self.assertEqual(bob.readline(), "eve: at once\n")

    def test_who_leaves_is_missed(self):
        server, ((ann, _), (_, bob)) = self.room(names=("ann", "bob"))
        ann.sendall(b"bye\n")
        ann.shutdown(socket.SHUT_WR)
        self.assertEqual(bob.readline(), "ann: bye\n")
        self.assertEqual(bob.readline(), "* ann has gone\n")
        self.assert_ends(server)

    def test_what_would_drive_a_terminal_is_hidden(self):
        server, ((ann, _), (_, bob)) = self.room(names=("a\x1b\x07", "bob"))
        ann.sendall(b"\x1b[2J\x7f\0!\n")
        self.assertEqual(bob.readline(), "a??: ?[2J??!\n")

    def test_a_line_too_long_ends_the_conversation(self):
        server, ((ann, guest), (_, bob)) = self.room(names=("ann", "bob"))
        ann.sendall(b"x" * 399 + b"\n")
        self.assertEqual(bob.readline(), "ann: " + "x" * 399 + "\n")
        ann.sendall(b"x" * 401)
        self.assertEqual(bob.readline(), "* ann has gone\n")
        try:
            self.assertEqual(guest.read(), "")
        except ConnectionResetError:
            pass

    def test_a_name_is_cut(self):
        self.room(names=("n" * 23, "bob"))
        server = self.start()
        _, ann = self.enter(server, "ann")
        self.enter(server, "x" * 100)
        self.assertEqual(ann.readline(), "* " + "x" * 23 + " has come\n")

    def test_who_does_not_listen_is_told_what_is_lost(self):
        server = self.start("-m", "8")
        sock, guest = self.enter(server, "ann")
        speaker, other = self.enter(server, "bob")
        self.assertEqual(guest.readline(), "* bob has come\n")
        _, bystander = self.enter(server, "eve")
        self.assertEqual(guest.readline(), "* eve has come\n")
        self.assertEqual(other.readline(), "* eve has come\n")
        # Beyond what kernels keep for a connection.  Nobody waits for ann:
        # the bystander hears, or is told of, all of it meanwhile.
        total, said = 30000, 0
        for first in range(0, total, 50):
            lines = ["%d %s" % (i, "." * 300)
                     for i in range(first, first + 50)]
            speaker.sendall(("\n".join(lines) + "\n").encode())
            while said < first + 50:
                said += self.heard(bystander.readline(), said)
        # Now she listens again.
        speaker.sendall(b"the end\n")
        heard = losses = 0
        while heard < total:
            line = guest.readline()
            losses += line.startswith("*")
            heard += self.heard(line, heard)
        self.assertEqual(heard, total)
        self.assertEqual(guest.readline(), "bob: the end\n")
        self.assertGreater(losses, 0)
        self.assert_ends(server)

    def heard(self, line, number):
        """How much of what was said a line accounts for."""
        missed = re.fullmatch(r"\* you have missed (\d+)\n", line)
        if missed:
            return int(missed.group(1))
        self.assertTrue(line.startswith(f"bob: {number} "), line[:40])
        return 1

    def test_bad_number(self):
        for number in ("0", "-1", "x", "65537"):
            status, out, err = run("-m", number)
            self.assertEqual((status, out), (2, ""))
            self.assertIn("usage: chat", err)

    def test_at_the_end_everybody_hears_it(self):
        server, guests = self.room()
        self.assert_ends(server)
        for _, guest in guests:
            for line in guest:
                self.assertRegex(line, r"\* \w+ has gone\n")


class UdpEcho(ServerCase):
    kind = socket.SOCK_DGRAM

    def client(self, server):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.settimeout(LIMIT)
        sock.connect(server.address)
        return sock

    def test_datagrams_of_several_clients(self):
        server = self.start("-w", "2")
        clients = [self.client(server) for _ in range(20)]
        for turn in range(20):
            for i, sock in enumerate(clients):
                sock.send(b"%d says %d" % (i, turn))
            for i, sock in enumerate(clients):
                self.assertEqual(sock.recv(100), b"%d says %d" % (i, turn))
        self.assert_ends(server)

    def test_datagrams_of_all_sizes(self):
        server = self.start()
        sock = self.client(server)
        for size in (0, 1, 1472, 9000, 65507):
            data = noise(size)
            sock.send(data)
            self.assertEqual(sock.recv(65536), data)
        self.assert_ends(server)


class Httpd(StreamCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.root = os.path.join(cls.top, "root")
        os.makedirs(os.path.join(cls.root, "dir", "bare"))
        cls.files = {
            "small": noise(1024), "empty": b"", "big": noise(3 << 20),
            "edge": noise(16384), "a b%": b"odd name", "index.html": b"top",
            "dir/index.html": b"below", "..dots": b"not a way up"}
        for name, data in cls.files.items():
            with open(os.path.join(cls.root, name), "wb") as file:
                file.write(data)
        for size in range(16384 - 110, 16384 - 40):
            cls.files[f"s{size}"] = b"x" * size
            with open(os.path.join(cls.root, f"s{size}"), "wb") as file:
                file.write(b"x" * size)
        with open(os.path.join(cls.top, "secret"), "wb") as file:
            file.write(b"SECRET")
        for name, target in {
                "out": "../secret", "dir/out": "../../secret", "up": "..",
                "absolute": os.path.join(cls.top, "secret"), "all": "/",
                "loop": "loop", "inside": "dir/../small"}.items():
            os.symlink(target, os.path.join(cls.root, name))
        os.mkfifo(os.path.join(cls.root, "fifo"))
        with open(os.path.join(cls.root, "huge"), "wb") as file:
            file.truncate(HUGE)
        cls.options = ["-d", cls.root]

    def ask(self, sock, text):
        if isinstance(text, str):
            text = text.encode("latin-1")
        sock.sendall(text)

    def answer(self, sock, method="GET"):
        """The next answer: status, fields, body."""
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            self.assertTrue(byte, f"the stream ended after {bytes(head)}")
            head += byte
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        match = re.fullmatch(r"HTTP/1\.1 (\d\d\d) [A-Za-z ]+", first)
        self.assertTrue(match, first)
        fields = dict(line.lower().split(": ", 1) for line in lines)
        length = int(fields["content-length"]) if method != "HEAD" else 0
        body = receive(sock, length)
        self.assertEqual(len(body), length)
        return int(match.group(1)), fields, body

    def get(self, sock, target, version="1.1", *fields, method="GET"):
        lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields]
        self.ask(sock, "\r\n".join(lines) + "\r\n\r\n")
        return self.answer(sock, method)

    def assert_closed(self, sock):
        self.assertEqual(sock.recv(1), b"")

    def test_files_come_as_they_are_over_one_connection(self):
        server = self.start()
        sock = self.connect(server)
        for name, data in self.files.items():
            target = "/" + name.replace("%", "%25").replace(" ", "%20")
            status, fields, body = self.get(sock, target)
            self.assertEqual((status, body == data), (200, True), name)
            self.assertEqual(fields["connection"], "keep-alive")
        for target in ("/", "/?x=y", "/small?", "/%73mall", "/%73%6Dall?/../",
                       "/dir/", "/dir/../small", "/inside"):
            status, _, body = self.get(sock, target)
            self.assertEqual(status, 200, target)
            self.assertIn(body, self.files.values())
        self.assert_ends(server)

    def test_what_is_not_there(self):
        server = self.start()
        sock = self.connect(server)
        for target in ("/none", "/dir", "/dir/bare", "/dir/bare/", "/small/",
                       "/small/x", "/fifo", "/loop", "/" + "x" * 300,
                       "/" + "x/" * 400, "/" + "x" * 2000):
            status, fields, _ = self.get(sock, target)
            self.assertEqual(status, 404, target)
            if len(target) < 1000:
                self.assertEqual(fields["connection"], "keep-alive")
        self.assert_ends(server)

    def test_nothing_outside_of_the_directory(self):
        server = self.start()
        sock = self.connect(server)
        for target in ("/../secret", "/%2e%2e/secret", "/..%2fsecret",
                       "/%2e%2e%2fsecret", "/%2E%2E%2Fsecret", "/..",
                       "/dir/../../secret", "/dir/%2e%2e/%2e%2e/secret",
                       "/out", "/dir/out", "/up/secret", "/up/root/small",
                       "/absolute", "/all/etc/passwd", "//etc/passwd",
                       "/" + self.top + "/secret", "/%2fetc%2fpasswd",
                       "/%252e%252e/secret", "/..%5csecret",
                       "/root/../../secret", "/./../secret"):
            status, _, body = self.get(sock, target)
            self.assertEqual((status, body), (404, b""), target)
        self.assert_ends(server)

    def test_garbage_gets_400_and_the_end(self):
        server = self.start()
        lines = ["garbage", "GET", "GET /small", "GET small HTTP/1.1", "",
                 "GET  /small HTTP/1.1", "GET /small HTTP/1.1 x", " GET / ",
                 "GET /small HTTP/2.0", "GET /small HTTP/1.", "PRI * HTTP/2.0",
                 "GET /small HTTP/1.10", "GET /%0 HTTP/1.1",
                 "GET /% HTTP/1.1", "GET /%zz HTTP/1.1",
                 "GET /small%00.html HTTP/1.1", "GET /sm\0all HTTP/1.1",
                 "GET /small HTTP/1.1\r\nno colon",
                 "GET /small HTTP/1.1\r\nA: \0", "\x16\x03\x01\x02\0\x01\n"]
        for line in lines:
            sock = self.connect(server)
            self.ask(sock, line + "\r\n\r\nGET /small HTTP/1.1\r\n\r\n")
            status, fields, body = self.answer(sock)
            self.assertEqual((status, body), (400, b""), repr(line))
            self.assertEqual(fields["connection"], "close")
            self.assert_closed(sock)
        self.assert_ends(server)

    def test_random_bytes_do_no_harm(self):
        server = self.start("-w", "2")
        for seed in range(100):
            sock = self.connect(server)
            self.ask(sock, noise(seed * 40, seed))
            sock.shutdown(socket.SHUT_WR)
            self.assertNotIn(b" 200 ", receive_all(sock))
        self.assertEqual(self.get(self.connect(server), "/small")[0], 200)
        self.assert_ends(server)

    def test_other_methods_get_405(self):
        server = self.start()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "get", "G", "GETS"):
            sock = self.connect(server)
            status, fields, _ = self.get(sock, "/small", method=method)
            self.assertEqual((status, fields["allow"]), (405, "get, head"))
            self.assert_closed(sock)
        self.assert_ends(server)

    def test_too_much_gets_431(self):
        server = self.start()
        for text in ("GET /" + "x" * 20000, "x" * 100000,
                     "GET / HTTP/1.1\r\nCookie: " + "x" * 20000,
                     "GET / HTTP/1.1\r\n" + "A: b\r\n" * 5000):
            sock = self.connect(server)
            self.ask(sock, text + "\r\n\r\n")
            self.assertEqual(self.answer(sock)[0], 431)
            self.assert_closed(sock)
        self.assert_ends(server)

    def test_head_has_no_body(self):
        server = self.start()
        sock = self.connect(server)
        for target, status, length in (("/small", 200, 1024), ("/big", 200,
                                       3 << 20), ("/none", 404, 0)):
            got, fields, _ = self.get(sock, target, method="HEAD")
            self.assertEqual((got, fields["content-length"]),
                             (status, str(length)))
        self.assertEqual(self.get(sock, "/dir/")[2], b"below")
        self.assert_ends(server)

    def test_when_connections_end(self):
        server = self.start()
        for version, fields, kept in (
                ("1.1", [], True), ("1.0", [], False),
                ("1.1", ["Connection: close"], False),
                ("1.1", ["connection:Close"], False),
                ("1.1", ["Connection: x, close"], False),
                ("1.0", ["Connection: keep-alive"], True),
                ("1.0", ["Connection: Keep-Alive"], True),
                ("1.1", ["Connection: Keep-Alive, close"], False),
                ("1.1", ["Content-Length: 5"], False),
                ("1.1", ["Transfer-Encoding: chunked"], False)):
            sock = self.connect(server)
            status, answer, body = self.get(sock, "/small", version, *fields)
            self.assertEqual((status, body), (200, self.files["small"]))
            self.assertEqual(answer["connection"],
                             "keep-alive" if kept else "close", fields)
            if kept:
                self.assertEqual(self.get(sock, "/dir/")[2], b"below")
            else:
                self.assert_closed(sock)
        self.assert_ends(server)

    def test_a_body_is_not_taken_for_a_request(self):
        server = self.start()
        sock = self.connect(server)
        inner = "GET /dir/ HTTP/1.1\r\n\r\n"
        self.ask(sock, "GET /small HTTP/1.1\r\nContent-Length: "
                 f"{len(inner)}\r\n\r\n{inner}")
        self.assertEqual(self.answer(sock)[2], self.files["small"])
        self.assert_closed(sock)
        self.assert_ends(server)

    def test_pipelined_requests_are_answered_in_order(self):
        server = self.start()
        sock = self.connect(server)
        targets = ["/small", "/none", "/edge", "/dir/", "/big", "/empty"] * 5
        self.ask(sock, "".join(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"
                               for target in targets))
        sock.shutdown(socket.SHUT_WR)
        for target in targets:
            status, _, body = self.answer(sock)
            name = target[1:] + ("index.html" if target[-1] == "/" else "")
            self.assertEqual(status, 200 if name in self.files else 404)
            self.assertEqual(body == self.files.get(name, b""), True, target)
        self.assert_closed(sock)
        self.assert_ends(server)

    def test_lines_may_end_in_a_bare_newline(self):
        server = self.start()
        sock = self.connect(server)
        self.ask(sock, "GET /small HTTP/1.1\nHost: test\n\n")
        self.assertEqual(self.answer(sock)[2], self.files["small"])
        self.assert_ends(server)

    def test_a_client_that_sends_byte_by_byte(self):
        server = self.start("-w", "1")
        slow, quick = self.connect(server), self.connect(server)
        for byte in "GET /small HTTP/1.1\r\nHost: test\r\n\r\n":
            self.assertEqual(self.get(quick, "/dir/")[2], b"below")
            self.ask(slow, byte)
        self.assertEqual(self.answer(slow)[2], self.files["small"])
        self.assert_ends(server)

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        server = self.start("-w", "1")
        slow, quick = self.connect(server), self.connect(server)
        self.ask(slow, "GET /big HTTP/1.1\r\n\r\n" * 20)
        for _ in range(20):
            self.assertEqual(self.get(quick, "/small")[2], self.files["small"])
        for _ in range(20):
            self.assertEqual(self.answer(slow)[2] == self.files["big"], True)
        self.assert_ends(server)

    def test_many_clients_at_once(self):
        server = self.start("-w", "2")
        socks = [self.connect(server) for _ in range(100)]
        for sock in socks:
            self.ask(sock, "GET /small HTTP/1.1\r\nHost: test\r\n\r\n")
        for sock in socks:
            self.assertEqual(self.answer(sock)[2], self.files["small"])
        self.assert_ends(server)

    def test_an_ordinary_client(self):
        server = self.start()
        connection = http.client.HTTPConnection(*server.address, timeout=LIMIT)
        self.addCleanup(connection.close)
        for _ in range(3):
            connection.request("GET", "/small", headers={"X": "y" * 4000})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.read(), self.files["small"])
        self.assert_ends(server)

    def slow(self, server):
        """A client in the middle of an answer that fits no buffers."""
        sock = self.connect(server)
        self.ask(sock, "GET /huge HTTP/1.1\r\nHost: test\r\n\r\n")
        self.assertEqual(receive(sock, 12), b"HTTP/1.1 200")
        return sock

    def test_an_answer_under_way_is_finished(self):
        server = self.start("-g", "86400")
        slow, idle, silent = (self.slow(server), self.connect(server),
                              self.connect(server))
        self.assertEqual(self.get(idle, "/small")[0], 200)
        server.ask_to_end()
        self.assert_closed(idle)
        self.assert_closed(silent)
        head, _, body = receive_all(slow).partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d" % HUGE, head)
        self.assertEqual(len(body), HUGE)
        self.assert_has_ended(server)

    def test_a_request_that_has_come_before_the_signal_is_answered(self):
        server = self.start("-g", "86400")
        sock = self.connect(server)
        self.assertEqual(self.get(sock, "/small")[1]["connection"],
                         "keep-alive")
        server.stop()
        send_and_arrive(sock, b"GET /big HTTP/1.1\r\nHost: test\r\n\r\n")
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        status, _, body = self.answer(sock)
        self.assertEqual((status, body == self.files["big"]), (200, True))
        self.assert_closed(sock)
        self.assert_has_ended(server)

    def test_a_second_signal_cuts_off_who_is_left(self):
        server = self.start("-g", "86400")
        self.slow(server)
        server.ask_to_end()
        self.assert_ends(server)

    def test_who_is_left_is_cut_off_in_the_end(self):
        for grace in 0, 1:
            server = self.start("-g", str(grace))
            self.slow(server)
            begin = time.monotonic()
            self.assert_ends(server)
            self.assertGreaterEqual(time.monotonic() - begin, grace)

    def test_files_do_not_stay_open(self):
        server = self.start()
        sock = self.connect(server)

        def count():
            # The last file is closed once the next request is answered.
            self.assertEqual(self.get(sock, "/none")[0], 404)
            return len(os.listdir(f"/proc/{server.process.pid}/fd"))

        before = count()
        for target in ("/small", "/none", "/dir", "/big", "/fifo") * 10:
            self.get(sock, target)
            self.get(sock, target, method="HEAD")
        # weft itself looks into /proc for a moment now and then.
        self.assertLess(count(), before + 5)
        self.assert_ends(server)

    def test_a_directory_that_is_not_there(self):
        status, out, err = run("-d", self.top + "/none", "127.0.0.1:0")
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, f"httpd: {self.top}/none: "
                         "No such file or directory\n")


def main(cases=None):
    """`cases`: by the names of programs; those above, unless given."""
    global PROGRAM
    if sys.argv[1:2] == ["--library"] and len(sys.argv) > 2:
        PRELOAD["LD_PRELOAD"] = os.path.abspath(sys.argv[2])
        del sys.argv[1:3]
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if "mprotect" in os.environ.get("WEFT_WITHOUT", "").split(","):
        os.environ["WEFT_GUARD"] = "canary"  # asked for, it is not news
    cases = cases or {
        "hello": Hello, "timeout": Timeout, "echo": Echo, "proxy": Proxy,
        "udp_echo": UdpEcho, "httpd": Httpd, "fanout": Fanout,
        "sieve": Sieve, "chat": Chat, "pthread_echo": PthreadEcho}
    case = cases[os.path.basename(PROGRAM)]
    loader = unittest.TestLoader()
    if len(sys.argv) > 1:
        loader.testNamePatterns = [f"*{part}*" for part in sys.argv[1:]]
    suite = loader.loadTestsFromTestCase(case)
    if suite.countTestCases() == 0:
        sys.exit("smoke.py: no such test")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
