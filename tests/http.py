#!/usr/bin/env python3
"""examples/http_hello as HTTP clients see it: good ones, wrong ones, and those that vanish.

    http.py SERVER [options of the server]

Starts SERVER on a free port with --idle 1, checks, stops it with SIGTERM. Standard library only.
"""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n%s\r\nHello, World!"
HELLO, CLOSE, KEEP = OK % b"", OK % b"Connection: close\r\n", OK % b"Connection: keep-alive\r\n"
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b" / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
LIMIT = 8192  # bytes of request line and headers
MEGABYTE = 1 << 20


def chunks(size, count):
    return (b"%x\r\n" % size + b"b" * size + b"\r\n") * count


def request_of(size):
    """A request whose line and headers have `size` bytes."""
    start = b"GET / HTTP/1.1\r\nA: "
    return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"


# name, what the client sends, and what it gets: bytes, or the status of the only reply
CASES = [
    ("get", GET, HELLO),
    ("pipelined", GET * 1000, HELLO * 1000),
    ("pipelined, shortest", b"GET / HTTP/1.1\r\n\r\n" * 5000, HELLO * 5000),
    ("head", b"HEAD / HTTP/1.1\r\n\r\n" + GET, HELLO[:-13] + HELLO),
    ("1.0", b"GET / HTTP/1.0\r\n\r\n", CLOSE),
    ("1.0 keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2, KEEP * 2),
    ("garbage", b"\x16\x03\x01garbage\r\n\r\n", 400),
    ("garbage after a request", GET + b"BLA\r\n\r\n",
     HELLO + b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    ("long header", b"GET / HTTP/1.1\r\nA: " + b"a" * 9000, 431),
    ("endless header", b"GET / HTTP/1.1\r\nA: " + b"a" * 5000000, 431),
    ("endless path", b"GET /" + b"a" * 900000, 431),
    ("endless headers", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100000, 431),
    ("headers at the limit", request_of(LIMIT), HELLO),
    ("headers beyond the limit", request_of(LIMIT + 1), 431),
    ("headers at the limit, repeated", request_of(LIMIT) * 3, HELLO * 3),
    ("endless method", b"A" * 100000, 400),
    ("post", POST % 5 + b"abcde" + GET, HELLO * 2),
    ("post at the limit", POST % MEGABYTE + b"a" * MEGABYTE + GET, HELLO * 2),
    ("post at the limit, twice", (POST % MEGABYTE + b"a" * MEGABYTE) * 2, HELLO * 2),
    ("post beyond the limit", POST % (MEGABYTE + 1) + b"a" * (MEGABYTE + 1) + GET, 413),
    ("post of 5 MB", POST % 5000000 + b"a" * 5000000 + GET, 413),
    ("post, huge length", POST % 10**18, 413),
    ("post, length beyond 64 bits", POST % 2**64, 400),
    ("post, negative length", POST % -3 + b"abc", 400),
    ("chunked", CHUNKED + chunks(10, 3) + b"0\r\n\r\n" + GET, HELLO * 2),
    ("chunked at the limit", CHUNKED + chunks(4096, 256) + b"0\r\n\r\n" + GET, HELLO * 2),
    ("chunked beyond the limit", CHUNKED + chunks(4096, 256) + chunks(1, 1) + b"0\r\n\r\n" + GET, 413),
    ("chunked, bad size", CHUNKED + b"zz\r\n", 400),
    ("chunked, endless extension", CHUNKED + b"5;" + b"a" * 100000, 431),
    ("chunked, trailers", CHUNKED + b"5\r\nabcde\r\n0\r\nX: y\r\n\r\n" + GET, HELLO * 2),
    ("chunked with a length",
     b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400),
    ("upgrade", b"GET" + UPGRADE + b"\r\n\x00\x01" + GET, CLOSE),
    ("upgrade with a body", b"POST" + UPGRADE + b"Content-Length: 3\r\n\r\nabc" + GET, CLOSE),
    ("connect", b"CONNECT a:1 HTTP/1.1\r\n\r\n" + b"x" * 100000, CLOSE),
    ("http/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("nothing", b"", b""),
    ("half a request", GET[:10], b""),
]


class Server:
    def __init__(self, command):
        self.process = subprocess.Popen(
            command[:1] + ["--address", "127.0.0.1:0", "--idle", "1", "--stats", "-"] + command[1:],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def stop(self, number):
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=20)
        return self.process.returncode, json.loads(output)


def talk(server, data, half_close=True, byte_by_byte=False):
    """Everything that the server answers until it closes, and how long that took."""
    start, answer = time.monotonic(), b""
    with server.connect() as connection:
        try:
            for piece in (bytes([byte]) for byte in data) if byte_by_byte else [data]:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused half-way: its answer is what counts
        while block := connection.recv(65536):
            answer += block
    return answer, time.monotonic() - start


failures = 0


def check(name, right, detail=""):
    global failures
    if not right:
        failures += 1
        print("FAILED:", name, detail)


def check_answer(name, answer, expected):
    if isinstance(expected, int):
        right = answer.startswith(b"HTTP/1.1 %d " % expected) and answer.count(b"HTTP/1.1") == 1
    else:
        right = answer == expected
    check(name, right, answer[:200])


def check_idle(server):
    """--idle 1: closes a silent connection after a second, whatever came before."""
    for name, data, expected in [("idle", b"", b""), ("idle in a request", GET[:10], b""),
                                 ("idle after a request", GET, HELLO)]:
        answer, seconds = talk(server, data, half_close=False)
        check_answer(name, answer, expected)
        check(name, 0.9 < seconds < 10, "%.2f s" % seconds)


def check_never_reads(server):
    """A client that sends and never reads is given up as well."""
    with server.connect() as connection:
        connection.settimeout(0.1)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                connection.send(GET * 1000)
            except TimeoutError:
                pass
            except OSError:
                return
    check("a client that never reads", False)


def check_vanishing(server):
    """Clients that reset the connection in the middle of everything."""
    for i in range(200):
        with server.connect() as connection:
            connection.sendall(GET * (i % 50) + GET[:i % len(GET)])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    check_answer("after clients that vanished", talk(server, GET)[0], HELLO)


def check_keep_alive(server):
    with server.connect() as connection:
        for _ in range(100):
            connection.sendall(GET)
            answer = b""
            while len(answer) < len(HELLO):
                block = connection.recv(65536)
                if not block:
                    break
                answer += block
            check_answer("keep-alive", answer, HELLO)


def wait_for_descriptors(server, expected):
    """Connections end on the server's side a moment after the client has seen their last byte."""
    end = time.monotonic() + 20
    while (count := server.descriptors()) != expected and time.monotonic() < end:
        os.sched_yield()
    check("descriptors", count == expected, "%d, not %d" % (count, expected))


def main():
    server = Server(sys.argv[1:])
    with server.connect() as connection:  # open on both sides, as it is answered and kept
        connection.sendall(GET)
        connection.recv(1000)
        at_start = server.descriptors() - 1
    for name, data, expected in CASES:
        check_answer(name, talk(server, data)[0], expected)
    check_answer("connection: close", talk(server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + GET * 10,
                                           half_close=False)[0], CLOSE)
    check_answer("byte by byte", talk(server, GET, byte_by_byte=True)[0], HELLO)
    check_keep_alive(server)
    check_idle(server)
    check_never_reads(server)
    check_vanishing(server)
    wait_for_descriptors(server, at_start)
    with server.connect() as connection:  # one that is open when the server ends
        connection.sendall(GET)
        connection.recv(1000)
        status, statistics = server.stop(signal.SIGTERM)
    check("exit status", status == 0, status)
    check("requests counted", statistics["requests"] > 10000, statistics)
    print("%d failures" % failures)
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
