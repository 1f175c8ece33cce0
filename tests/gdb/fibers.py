#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fibers.py - the gdb script on a server with a hundred connections.

    fibers.py ECHO SCRIPT

Attaches gdb to examples/echo, and opens a core of it: every fiber is listed,
and the backtraces lead to the function that serves a connection.  The server
answers before and afterwards.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

SKIP = 77
LIMIT = 100  # seconds for one gdb
CONNECTIONS = 100
FIBERS = CONNECTIONS + 2  # one listens, one waits for signals
ECHO = SCRIPT = ""


def gdb(*commands, program=(), core=None):
    """What a gdb in batch mode says to the commands."""
    words = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off",
             "-iex", "set auto-load no"]
    for command in ("set pagination off", "set width 0", f"source {SCRIPT}",
                    *commands):
        words += ["-ex", command]
    done = subprocess.run([*words, *program], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=LIMIT, errors="replace")
    return done.stdout


class Server:
    def __init__(self, **environment):
        self.process = subprocess.Popen(
            [ECHO, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
            env={**os.environ, **environment})
        line = self.process.stdout.readline()
        host, port = re.search(r"([\d.]+):(\d+)", line).groups()
        self.address = host, int(port)
        self.clients = [socket.create_connection(self.address, LIMIT)
                        for _ in range(CONNECTIONS)]
        self.talk()

    def talk(self):
        """Each connection is answered, and so its fiber waits again."""
        for n, client in enumerate(self.clients):
            client.sendall(b"%05d" % n)
        for n, client in enumerate(self.clients):
            answer = b""
            while len(answer) < 5:
                more = client.recv(5 - len(answer))
                assert more, "the server has closed"
                answer += more
            assert answer == b"%05d" % n, answer

    def end(self):
        for client in self.clients:
            client.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT)
        self.process.stdout.close()


class Gdb(unittest.TestCase):
    def start(self, **environment):
        self.server = Server(**environment)
        self.addCleanup(self.server.end)

    def check_list(self, said):
        end = f"\n{FIBERS} fibers\n"
        self.assertIn(end, said)
        said = said[:said.index(end)]
        served = re.findall(r"^0x\w+ '.*' serve: waits: read \d+, for [\d.]+ s$",
                            said, re.M)
        self.assertEqual(len(served), CONNECTIONS, said)
        self.assertRegex(said, r"'main' \w+: waits: accept \d+, for ")

    def check_backtraces(self, said):
        self.assertEqual(len(re.findall(r"^#\d+ .*\bserve \(", said, re.M)),
                         CONNECTIONS, said)
        for function in ("wf_sched_leave", "main_of_fiber", "wf_context_start"):
            self.assertEqual(said.count(" %s (" % function), FIBERS, said)
        self.assertNotIn("corrupt stack", said)

    def attach(self, *commands):
        pid = self.server.process.pid
        said = gdb(*commands, program=[ECHO, str(pid)])
        if "ptrace: Operation not permitted" in said:
            self.skipTest("gdb may not attach here")
        return said

    def test_attached(self):
        self.start()
        said = self.attach("weft fibers", "weft bt all", "bt")
        self.check_list(said)
        self.check_backtraces(said)
        self.server.talk()

    def test_one(self):
        self.start()
        said = self.attach("weft fibers")
        handle = re.search(r"^(0x\w+) '.*' serve: ", said, re.M).group(1)
        said = self.attach(f"weft bt {handle}", "weft bt 1", "weft bt")
        self.assertEqual(len(re.findall(r" in serve \(", said)), 1, said)
        self.assertIn("no such fiber", said)
        self.assertIn("weft bt HANDLE, or weft bt all", said)
        self.server.talk()

    def test_core(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        core = os.path.join(folder, "core")
        # gdb's own cores leave out what follows an installed guard.
        self.start(WEFT_GUARD="mprotect")
        self.attach(f"generate-core-file {core}")
        self.server.talk()
        said = gdb("weft fibers", "weft bt all", program=[ECHO, core])
        self.check_list(said)
        self.check_backtraces(said)

    def test_without_debug_information(self):
        said = gdb("weft fibers", program=["/bin/true"])
        self.assertIn("debug information is not there", said)


def main():
    global ECHO, SCRIPT
    ECHO, SCRIPT = sys.argv[1:3]
    if not shutil.which("gdb"):
        print("no gdb")
        return SKIP
    if "there" not in gdb("python print('the' + 're')"):
        print("this gdb has no Python")
        return SKIP
    result = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
