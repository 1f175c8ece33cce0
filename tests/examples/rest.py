#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An idle server is at rest: no thread of it is scheduled.

    rest.py ECHO [SECONDS]

Starts the echo example with two workers, holds ten thousand connections that
have each been served once (fewer by WEFT_TEST_SCALE), and then counts how often
any of the server's threads gets a CPU in SECONDS, 10 by default, once the
server has settled, which is when none did for a second: not once.  Afterwards
it still answers.
"""
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time

CONNECTIONS = 10000
AT_A_TIME = 500  # so that no backlog overflows
LIMIT = 60  # seconds that any single wait may take
SETTLING = 10  # seconds at most: the server has patience for thirty in all


def dial(address, count):
    socks = []
    while len(socks) < count:
        some = [socket.create_connection(address, timeout=LIMIT)
                for _ in range(min(AT_A_TIME, count - len(socks)))]
        converse(some)
        socks += some
    return socks


def converse(socks):
    for sock in socks:
        sock.sendall(b"still there?")
    for sock in socks:
        assert sock.recv(64) == b"still there?"


def switches(pid):
    """Of each thread, how often it has been given a CPU."""
    found = {}
    for task in pathlib.Path("/proc/%d/task" % pid).iterdir():
        status = (task / "status").read_text().splitlines()
        found[task.name, status[0].split()[1]] = sum(
            int(line.split()[1]) for line in status if "_ctxt_switches" in line)
    return found


def settle(pid):
    """Until a second has passed in which nothing ran, or several have."""
    before, after = None, switches(pid)
    end = time.monotonic() + SETTLING
    while before != after and time.monotonic() < end:
        time.sleep(1)
        before, after = after, switches(pid)


def hold_still(pid, seconds):
    """The threads that did not."""
    before = switches(pid)
    time.sleep(seconds)
    after = switches(pid)
    return ["%s %s: %d times" % (*thread, after[thread] - before.get(thread, 0))
            for thread in after if after[thread] != before.get(thread)]


def main():
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    count = CONNECTIONS // int(os.environ.get("WEFT_TEST_SCALE", "1"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = subprocess.Popen([sys.argv[1], "-w", "2", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True)
    try:
        host, port = server.stdout.readline().split()[-1].rsplit(":", 1)
        socks = dial((host, int(port)), count)
        settle(server.pid)
        restless = hold_still(server.pid, seconds)
        converse(socks)
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(LIMIT)
    print("%d connections, %g s: %s" % (
        count, seconds, "; ".join(restless) or "no thread was scheduled"))
    return 1 if restless or status else 0


if __name__ == "__main__":
    sys.exit(main())
