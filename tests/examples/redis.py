#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold conversations with the redis example, and with Redis itself.

    redis.py PROGRAM [PART OF A TEST'S NAME ...]

What is expected of the example is what Redis answers: most tests say the same
to both, through redis-cli, redis-benchmark and sockets, and compare.  Without
Redis' tools (Debian: redis-tools, which has the server too) nothing is tested,
and the status is 77.
"""
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import smoke
from smoke import LIMIT, noise, receive, receive_all

SEED = int(os.environ.get("WEFT_SEED", random.randrange(1 << 32)))
SCALE = int(os.environ.get("WEFT_TEST_SCALE", "1"))


def reference_program():
    """Redis' server; Debian's redis-tools has it under another name."""
    return shutil.which("redis-server") or shutil.which("redis-check-rdb")


class Reference:
    """A Redis that listens on a Unix socket and leaves nothing behind."""

    def __init__(self):
        self.directory = tempfile.mkdtemp()
        self.address = os.path.join(self.directory, "socket")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.address,
             "--save", "", "--appendonly", "no", "--dir", self.directory],
            executable=reference_program(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if "ready to accept connections" in line:
                return
        self.end()
        raise AssertionError("redis-server does not start")

    def connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(LIMIT)
        sock.connect(self.address)
        return sock

    def end(self):
        self.process.terminate()
        self.process.communicate()
        shutil.rmtree(self.directory)


def encode(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Client:
    """Speaks RESP2; an answer is what was sent, a list of that if an array."""

    def __init__(self, server):
        self.sock = server.connect()
        self.file = self.sock.makefile("rb")

    def send(self, *words):
        self.sock.sendall(encode(*words))

    def read(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"the stream ended after {line}"
        length = int(line[1:]) if line[:1] in b"$*" else 0
        if line[:1] == b"*" and length >= 0:
            return [self.read() for _ in range(length)]
        if line[:1] == b"$" and length >= 0:
            line += self.file.read(length + 2)
        return line

    def ask(self, *words):
        self.send(*words)
        return self.read()

    def value(self, *words):
        """What is in a bulk, or a number."""
        answer = self.ask(*words)
        if answer[:1] == b":":
            return int(answer[1:])
        assert answer[:1] == b"$", answer
        return None if answer == b"$-1\r\n" else \
            answer.split(b"\r\n", 1)[1][:-2]

    def close(self):
        self.file.close()
        self.sock.close()


def until(what):
    """Wait for it to be true; the limit is only there to end."""
    deadline = time.monotonic() + LIMIT
    while not what():
        assert time.monotonic() < deadline, "it has not come true in time"
        time.sleep(0.001)


def cli(server, *args, text=None):
    """What redis-cli prints, given a command or a script of them."""
    to = ["-s", server.address] if isinstance(server, Reference) else \
        ["-h", server.address[0], "-p", str(server.address[1])]
    done = subprocess.run(["redis-cli", *to, "--no-raw", *args], input=text,
                          stdin=None if text else subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


# Through redis-cli, in this order.
SCRIPT = r"""
ping
ping hello
ping one two
PiNg
echo "hello world"
echo
echo a b
get
get a b
get none
set a 1
set a
get a
GET a
set a ""
get a
set "" empty
get ""
set a "\x00\xff\r\n"
get a
set a b nx
get a
set n b nx
set n c nx
set n c xx
set none c xx
get n
exists none
set n c nx xx
set n c xx nx
set n c what
set n c ex
set n c ex 10 px 10
set n c ex x
set n c ex 0
set n c ex -1
set n c px 0
set n c ex 1.5
set n c ex 9223372036854775807
set n c px 9223372036854775808
ttl n
set n c ex 100
ttl n
set n c px 100400 nx
set n c px 200400 xx
ttl n
set n d
ttl n
ttl none
ttl
ttl a b
expire none 10
expire n 50
ttl n
expire n x
expire n
expire none 99999999999999999
expire n 9223372036854775807
ttl n
expire n 0
exists n
set n d
expire n -1
exists n
set n 1
expire n 100
incr n
append n 5
ttl n
mset n 2 m 3
ttl n
mget n m none
mget
mset n 1 m
mset n
mset x 1 x 2
get x
del
del none
del n m x x
exists
exists a a none a
incr count
incr count
decr count
decr count
decr count
incr
incr a
set count 9223372036854775806
incr count
incr count
get count
set count -9223372036854775807
decr count
decr count
set count " 1"
incr count
set count 01
incr count
set count 1.0
incr count
set count +1
incr count
set count -0
incr count
set count -
incr count
set count ""
incr count
set count 99999999999999999999
incr count
set count 0
decr count
append text hello
append text " world"
append text ""
get text
append text
lpush list a
lpush list b c d
rpush list x y z
lpush list
rpush
lrange list 0 -1
lrange list 1 2
lrange list -3 -2
lrange list -100 100
lrange list 5 2
lrange list 100 200
lrange list 0 -100
lrange none 0 -1
lrange list a 1
lrange list 0 1.5
lrange list 0
lrange list 9223372036854775807 -9223372036854775808
lrange list -9223372036854775808 9223372036854775807
lpop list
rpop list
lpop none
rpop none
rpop
lpop
exists list
rpush list a b
get list
set text2 a
incr list
append list a
mget list text2
lpush text2 a
rpush text2 a
lpop text2
lrange text2 0 -1
expire list 100
rpush list c
ttl list
set list string nx
set list string
ttl list
get list
rpush list2 a
mset list2 string
get list2
publish nobody hears
publish nobody
subscribe
publish
keys
keys a b
del a "" text text2 list list2 count
set only one
keys *
keys o??y
keys [a-z]nly
keys none
"""

# Where a bracket is not closed, or backwards, the example does as fnmatch(3).
PATTERNS = r"""
* ** *a a* *a* a ? ?? a? [ab] [^ab] [a-c]* \* \? \[a] \a *\* [\]] [\a] [^\]]
*b*a* a*b*c *[ab] *[^ab] [a-c][a-c] ?*? ***? a** *a*a*a*a*a*a*a*a*a*b
""".split()

NAMES = ["a", "b", "c", "ab", "abc", "ba", "cab", "*", "?", "[", "]", "[a]",
         "a]", "\\", "a\\", "\\a", "-", "^", "\xff", "aaaaaaaaaaaaaaaaaaaaaaaa",
         "abcabc", "a*b"]

# What comes over a socket, and whether the connection goes on.
PROTOCOL = [
    (b"PING\r\n", True),
    (b"PING\n", True),
    (b"  PING  \r\n", True),
    (b"ECHO a\tb\r\nECHO  ab\r\n", True),
    (b"\r\n\r\n\n", True),
    (b"   \r\n", True),
    (b"*0\r\n", True),
    (b"*1\r\n$4\r\nPING\r\n", True),
    (b"*1\r\n$4\r\nPINGxx", True),
    (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", True),
    (b"*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", True),
    (b"*x\r\n", False),
    (b"*\r\n", False),
    (b"*1 \r\n", False),
    (b"*99999999999999999999\r\n", False),
    (b"*4294967296\r\n", False),
    (b"*1\r\n$-1\r\n", False),
    (b"*1\r\n$x\r\n", False),
    (b"*1\r\n$\r\n", False),
    (b"*2\r\n$4\r\nECHO\r\n$1073741824\r\n", False),
    (b"*2\r\n$4\r\nECHO\r\n$536870913\r\n", False),
    (b"*2\r\n$4\r\nECHO\r\n$9223372036854775807\r\n", False),
    (b"*1\r\n$-9223372036854775808\r\n", False),
    (b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*1\r\n$z\r\n", False),
    (b"GET / HTTP/1.1\r\n", True),
]


class Redis(smoke.StreamCase):
    def start(self, *args):
        server = super().start(*args)

        def see_that_it_ends():
            if server.process.poll() is None:
                self.assert_ends(server)

        self.addCleanup(see_that_it_ends)
        return server

    def client(self, server):
        client = Client(server)
        self.addCleanup(client.close)
        return client

    def both(self, *args):
        """The example, and Redis."""
        reference = Reference()
        self.addCleanup(reference.end)
        return self.start(*args), reference

    def memory(self, server, what):
        with open(f"/proc/{server.process.pid}/status") as status:
            text = status.read()
        return int(re.search(what + r":\s+(\d+) kB", text).group(1)) << 10

    def test_redis_cli_cannot_tell_it_from_redis(self):
        mine, theirs = self.both()
        mine, theirs = (cli(server, text=SCRIPT).splitlines()
                        for server in (mine, theirs))
        self.assertGreater(len(theirs), 150)
        self.maxDiff = None
        self.assertEqual(mine, theirs)

    def test_every_command_is_in_the_script(self):
        server = self.start()
        names = [line.split()[-1].strip('"') for line in
                 cli(server, "command").splitlines()
                 if re.match(r" *\d+\) 1\) ", line)]
        self.assertIn("lrange", names)
        said = {line.split()[0].strip('"').lower()
                for line in SCRIPT.split("\n") if line}
        elsewhere = {"info", "command"}
        self.assertEqual(set(names) - said, elsewhere)

    def test_arities_are_those_of_redis(self):
        mine, theirs = (self.client(server) for server in self.both())
        for name, arity, *_ in mine.ask("command"):
            name = name.split(b"\r\n")[1]
            if name not in (b"command", b"expire", b"lpop", b"rpop"):
                self.assertEqual(theirs.ask("command", "info", name)[0][1],
                                 arity, name)

    def test_info(self):
        server = self.start()
        first, second = self.client(server), self.client(server)
        first.ask("set", "a", "b")
        second.ask("set", "b", "c", "ex", "1000")
        text = first.value("info").decode()
        self.assertEqual(text, "connected_clients:2\r\ndb0:keys=2\r\n")

    def keys(self, client):
        """How many there are, without looking at one."""
        return int(re.search(rb"keys=(\d+)", client.value("info")).group(1))

    def test_patterns(self):
        mine, theirs = (self.client(server) for server in self.both())
        for name in NAMES:
            for client in (mine, theirs):
                client.ask("set", name.encode("latin-1"), "x")
        for pattern in PATTERNS:
            self.assertEqual(sorted(mine.ask("keys", pattern)),
                             sorted(theirs.ask("keys", pattern)), pattern)

    def test_a_bad_pattern_takes_no_time(self):
        client = self.client(self.start())
        client.ask("set", "a" * 5000, "x")
        self.assertEqual(client.ask("keys", "a*" * 1000 + "b"), [])

    def test_protocol(self):
        mine, theirs = self.both()
        for data, goes_on in PROTOCOL:
            answers = []
            for server in (mine, theirs):
                sock = server.connect()
                sock.sendall(data)
                if goes_on:
                    sock.shutdown(socket.SHUT_WR)
                with self.subTest(data=data[:60], server=server):
                    answers.append(receive_all(sock))
                sock.close()
            self.assertEqual(answers[0], answers[1], data[:60])
            self.assertEqual(b"Protocol error" not in answers[0], goes_on,
                             data[:60])
        self.assert_ends(mine)

    def test_what_makes_no_sense_is_refused(self):
        server = self.start()
        for data in (b"*1\r\nPING\r\n", b"*1\r\n:4\r\n", b"*-1\r\n",
                     b"*" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000,
                     b"x" * 70000):
            sock = self.connect(server)
            sock.sendall(data)
            self.assertTrue(receive_all(sock).startswith(
                b"-ERR Protocol error: "), data[:60])
            sock.close()

    def test_garbage_harms_nobody(self):
        server = self.start()
        good = self.client(server)
        rng = random.Random(SEED)
        for _ in range(200):
            sock = server.connect()
            data = bytearray(encode("set", "a", "b") * 3)
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data))] = rng.choice(b"\r\n*$-09az\0")
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            try:
                receive_all(sock)
            except ConnectionResetError:
                pass
            sock.close()
            self.assertEqual(good.ask("ping"), b"+PONG\r\n", f"seed {SEED}")
        self.assert_ends(server)

    def conversation(self, rng, length):
        """Commands that make sense, mostly."""
        keys = ["k%d" % i for i in range(8)]
        values = ["", "1", "-5", "x", "9223372036854775807", "hello " * 50]
        numbers = ["0", "1", "-1", "2", "-3", "100", "x", "1000000"]
        forms = {
            "get": "k", "set": "kv", "del": "kk", "exists": "kkk",
            "incr": "k", "decr": "k", "append": "kv", "mget": "kkk",
            "mset": "kvkv", "lpush": "kvv", "rpush": "kv", "lpop": "k",
            "rpop": "k", "lrange": "knn", "expire": "kn", "echo": "v",
            "ttl": "k"}
        pools = {"k": keys, "v": values, "n": numbers}
        for _ in range(length):
            name = rng.choice(list(forms))
            words = [rng.choice(pools[c]) for c in forms[name]]
            if rng.random() < 0.05:
                words = words[:-1]
            if name == "set" and rng.random() < 0.3:
                words += rng.choice((["nx"], ["xx"], ["EX", "1000"],
                                     ["px", "999000", "NX"], ["zz"]))
            yield [name, *words]

    def test_long_conversations_are_those_with_redis(self):
        mine, theirs = (self.client(server) for server in self.both())
        rng = random.Random(SEED)
        for _ in range(100 // SCALE):
            batch = list(self.conversation(rng, 100))
            data = b"".join(encode(*words) for words in batch)
            for client in (mine, theirs):
                client.sock.sendall(data)
            for words in batch:
                answers = mine.read(), theirs.read()
                if words[0] == "ttl":  # on either side of a second
                    answers = [re.sub(rb"\d\r", b"\r", a) for a in answers]
                self.assertEqual(answers[0], answers[1],
                                 f"{words}, seed {SEED}")

    def test_a_conversation_byte_by_byte(self):
        rng = random.Random(SEED)
        batch = list(self.conversation(rng, 60))
        data = b"".join(encode(*words) for words in batch) + b"PING\r\n"
        answers = []
        for step in (len(data), 1, 7):
            client = self.client(self.start())
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(0, len(data), step):
                client.sock.sendall(data[i:i + step])
            answers.append([client.read() for _ in batch] + [client.read()])
        self.assertEqual(answers[0], answers[1], f"seed {SEED}")
        self.assertEqual(answers[0], answers[2], f"seed {SEED}")

    def test_pipelined_answers_come_together(self):
        client = self.client(self.start())
        client.sock.sendall(encode("ping") * 200)
        self.assertEqual(receive(client.sock, 7 * 200), b"+PONG\r\n" * 200)

    def test_large_values(self):
        client = self.client(self.start())
        for size in (1, 2000, 2048, 16384, 100000, 5 << 20, 40 << 20):
            data = noise(size)
            self.assertEqual(client.ask("set", "a", data), b"+OK\r\n")
            self.assertEqual(client.value("get", "a") == data, True, size)
        self.assertEqual(client.value("append", "a", "x"), size + 1)
        client.ask("del", "a")
        self.assertEqual(client.value("append", "b", data), size)
        self.assertEqual(client.value("append", "b", data), 2 * size)
        self.assertEqual(client.value("get", "b") == data + data, True)

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        server = self.start("-w", "1")
        slow, quick = self.client(server), self.client(server)
        data = noise(1 << 20)
        quick.ask("set", "a", data)
        slow.sock.sendall(encode("get", "a") * 40)
        for _ in range(40):
            self.assertEqual(quick.ask("ping"), b"+PONG\r\n")
        for _ in range(40):
            self.assertEqual(slow.read()[10:-2] == data, True)
        self.assert_ends(server)

    def test_what_is_announced_takes_no_memory(self):
        server = self.start()
        client = self.client(server)
        client.ask("ping")
        before = self.memory(server, "VmSize")
        socks = []
        for header in (b"*2\r\n$4\r\nECHO\r\n$536870912\r\nabc",
                       b"*1048576\r\n$4\r\nMSET\r\n$1\r\na"):
            for _ in range(50):
                sock = self.connect(server)
                sock.sendall(header)
                socks.append(sock)
        until(lambda: b"connected_clients:101\r" in client.value("info"))
        if not is_sanitized():
            self.assertLess(self.memory(server, "VmSize") - before, 2 << 30)
        for sock in socks:
            sock.close()
        until(lambda: b"connected_clients:1\r" in client.value("info"))
        self.assert_ends(server)

    def test_many_arguments(self):
        client = self.client(self.start())
        words = [str(i) for i in range(200000 // SCALE)]
        self.assertEqual(client.ask("rpush", "a", *words),
                         b":%d\r\n" % len(words))
        answer = client.ask("lrange", "a", 0, -1)
        self.assertEqual([a.split(b"\r\n")[1].decode() for a in answer], words)
        client.sock.sendall(encode("lpop", "a") * len(words))
        self.assertEqual([client.read() for _ in words], answer)
        self.assertEqual(self.keys(client), 0)

    def test_many_keys(self):
        client = self.client(self.start())
        count = 50000 // SCALE
        client.sock.sendall(b"".join(
            encode("set", f"key:{i}", i) for i in range(count)))
        self.assertEqual(receive(client.sock, 5 * count), b"+OK\r\n" * count)
        client.send("mget", *(f"key:{i}" for i in range(count)))
        self.assertEqual(client.read(), [
            b"$%d\r\n%d\r\n" % (len(str(i)), i) for i in range(count)])
        self.assertEqual(len(client.ask("keys", "*")), count)
        client.send("del", *(f"key:{i}" for i in range(0, count, 2)))
        self.assertEqual(client.read(), b":%d\r\n" % (count // 2))
        self.assertEqual(client.value("get", "key:1"), b"1")
        self.assertEqual(client.value("get", "key:2"), None)
        self.assertEqual(self.keys(client), count // 2)

    def test_clients_on_several_workers_share_the_keys(self):
        for workers in ("1", "2", "8"):
            server = self.start("-w", workers)
            clients = [self.client(server) for _ in range(50)]
            data = (encode("incr", "n") + encode("rpush", "l", "x")) * 100
            for client in clients:
                client.sock.sendall(data)
            for client in clients:
                numbers = [int(client.read()[1:]) for _ in range(200)]
                self.assertEqual(numbers[0::2], sorted(numbers[0::2]))
            self.assertEqual(clients[0].value("get", "n"), b"5000")
            self.assertEqual(len(clients[0].ask("lrange", "l", 0, -1)), 5000)
            self.assert_ends(server)

    def test_expired_keys_vanish_without_being_read(self):
        server = self.start()
        client = self.client(server)
        rng = random.Random(SEED)
        client.ask("mset", "stays", 1, "kept", 2)
        for i in range(300):
            delay = rng.randrange(1, 300)
            client.ask("set", f"far{i}", "v", "ex", 1000 - delay)
            client.ask("set", f"k{i}", "v", "px", delay)
        client.ask("set", "kept", "v", "px", 300)
        client.ask("set", "kept", "v")
        client.ask("set", "later", "v", "px", 1000)
        client.ask("expire", "later", 1000)
        until(lambda: self.keys(client) == 303)
        self.assertEqual(sorted(client.ask("keys", "[^f]*")), [
            b"$4\r\nkept\r\n", b"$5\r\nlater\r\n", b"$5\r\nstays\r\n"])
        self.assertEqual(len(client.ask("keys", "far*")), 300)

    def test_a_key_does_not_expire_too_soon(self):
        server = self.start()
        client = self.client(server)
        client.ask("set", "long", "v", "ex", 1000)
        for how in (["set", "a", "v", "px", "150"], ["expire", "b", "1"]):
            key = how[1]
            client.ask("set", key, "v")
            before = time.monotonic()
            client.ask(*how)
            until(lambda: client.value("get", key) is None)
            least = 0.15 if key == "a" else 1
            self.assertGreaterEqual(time.monotonic() - before, least)

    def test_an_expired_key_is_as_if_it_had_never_been(self):
        client = self.client(self.start())
        for n in range(50):
            client.sock.sendall(
                encode("rpush", "a", "v") + encode("expire", "a", 1000) +
                encode("set", "a", n, "px", 1))
            for _ in range(3):
                client.read()
            until(lambda: client.value("exists", "a") == 0)
            self.assertEqual(client.ask("ttl", "a"), b":-2\r\n")
            self.assertEqual(client.ask("incr", "a"), b":1\r\n")
            self.assertEqual(client.ask("ttl", "a"), b":-1\r\n")
            client.ask("del", "a")

    def test_subscribers(self):
        for server in self.both():
            one, two, other = (self.client(server) for _ in range(3))
            one.sock.sendall(encode("ping") + encode("subscribe", "a", "b",
                                                     "a"))
            self.assertEqual([one.read() for _ in range(4)], [
                b"+PONG\r\n",
                [b"$9\r\nsubscribe\r\n", b"$1\r\na\r\n", b":1\r\n"],
                [b"$9\r\nsubscribe\r\n", b"$1\r\nb\r\n", b":2\r\n"],
                [b"$9\r\nsubscribe\r\n", b"$1\r\na\r\n", b":2\r\n"]])
            two.ask("subscribe", "a")
            self.assertEqual(other.ask("publish", "a", "x"), b":2\r\n")
            self.assertEqual(other.ask("publish", "b", ""), b":1\r\n")
            self.assertEqual(other.ask("publish", "c", "y"), b":0\r\n")
            hears = [b"$7\r\nmessage\r\n", b"$1\r\na\r\n", b"$1\r\nx\r\n"]
            self.assertEqual((one.read(), two.read()), (hears, hears))
            self.assertEqual(one.read(), [b"$7\r\nmessage\r\n",
                                          b"$1\r\nb\r\n", b"$0\r\n\r\n"])
            two.sock.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(two.sock), b"")
            one.close()
            until(lambda: other.value("publish", "a", "") == 0)

    def test_redis_cli_subscribes(self):
        server = self.start()
        with subprocess.Popen(
                ["redis-cli", "-p", str(server.address[1]), "subscribe", "a"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                text=True) as reader:
            client = self.client(server)
            try:
                until(lambda: client.value("publish", "a", "hello") == 1)
                heard = [reader.stdout.readline() for _ in range(6)]
            finally:
                reader.kill()
        self.assertEqual(heard, ["subscribe\n", "a\n", "1\n", "message\n",
                                 "a\n", "hello\n"])
        until(lambda: client.value("publish", "a", "hello") == 0)
        self.assert_ends(server)

    def test_a_subscriber_that_does_not_read_is_let_go(self):
        server = self.start("-w", "2")
        slow, quick, sender = (self.client(server) for _ in range(3))
        slow.ask("subscribe", "a")
        quick.ask("subscribe", "a")
        data = noise(1 << 20)
        sent = 0
        while sent < 200 and sender.value("publish", "a", data) == 2:
            answer = quick.read()
            self.assertEqual(answer[2][10:-2] == data, True)
            sent += 1
        self.assertLess(sent, 200)
        self.assertGreater(sent, 30)
        quick.read()
        until(lambda: sender.value("publish", "b", "x") == 0 and
              sender.value("publish", "a", "x") == 1)
        self.assertLess(self.memory(server, "VmHWM"), 400 << 20)
        self.assert_ends(server)

    def test_messages_to_many(self):
        server = self.start("-w", "2")
        readers = [self.client(server) for _ in range(100)]
        for reader in readers:
            reader.ask("subscribe", "a")
        senders = [self.client(server) for _ in range(4)]

        def send(client, number):
            for i in range(100):
                assert client.value("publish", "a", f"{number} {i}") == 100

        threads = [threading.Thread(target=send, args=(client, number),
                                    daemon=True)
                   for number, client in enumerate(senders)]
        for thread in threads:
            thread.start()
        for reader in readers:
            heard = [reader.read()[2].split()[1:] for _ in range(400)]
            for number in range(4):
                own = [int(i) for n, i in heard if int(n) == number]
                self.assertEqual(own, list(range(100)))
        for thread in threads:
            thread.join(LIMIT)
        for reader in readers[::2]:
            reader.close()
        until(lambda: senders[0].value("publish", "a", "x") == 50)
        self.assert_ends(server)

    def test_what_was_asked_and_published_is_still_sent_at_the_end(self):
        server = self.start("-w", "2")
        asks, hears = self.client(server), self.client(server)
        hears.ask("subscribe", "a")
        asks.sock.sendall(encode("publish", "a", "x" * 100) * 300)
        self.assertEqual(asks.read(), b":1\r\n")
        self.assert_ends(server)
        answers = asks.file.read()
        heard = answers.count(b":1\r\n")
        # Who hears may see the end before all that was asked has been done.
        self.assertEqual(answers, b":1\r\n" * heard +
                         b":0\r\n" * (299 - heard))
        for _ in range(1 + heard):
            self.assertEqual(hears.read()[2], b"$100\r\n" + b"x" * 100 +
                             b"\r\n")
        self.assertEqual(hears.file.read(), b"")

    def test_redis_benchmark(self):
        names = {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH",
                 "RPUSH", "LPOP", "RPOP", "LRANGE_100", "LRANGE_300",
                 "LRANGE_500", "LRANGE_600", "MSET"}
        for more in ([], ["-P", "16"], ["-P", "16", "-r", "1000"],
                     ["-d", "3000"], ["-c", "1"]):
            server = self.start("-w", "2")
            done = subprocess.run(
                ["redis-benchmark", "-p", str(server.address[1]), "-n", "2000",
                 "-q", "-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,lrange,"
                 "mset", *more],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=5 * LIMIT)
            self.assertEqual((done.returncode, done.stderr), (
                0, "WARNING: Could not fetch server CONFIG\n"), more)
            self.assertNotRegex(done.stdout, "(?i)err|warn|could not")
            self.assertEqual(set(re.findall(
                r"(\w+)[^\r\n:]*: [0-9.]+ requests per second",
                done.stdout)), names, more)
            self.assert_ends(server)


def is_sanitized():
    with open(smoke.PROGRAM, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def main():
    if not (shutil.which("redis-cli") and shutil.which("redis-benchmark") and
            reference_program()):
        print("redis-cli, redis-benchmark or redis-server is missing")
        sys.exit(77)
    smoke.main({"redis": Redis})


if __name__ == "__main__":
    main()
