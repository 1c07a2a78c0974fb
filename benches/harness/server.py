"""Servers under load: starts one on CPUs of its own, loads it from others, and stops it.

A server is a program that takes `HOST:PORT WORKERS [spin|burn]`, or says with {address} and {workers} where it takes
them, and serves until it is killed. The load is benches/load, as CMake has built it; it counts the server's CPU time
over the same seconds as the requests.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time

from .subject import BUILD, Failure, run

LOAD = BUILD / "release" / "benches" / "bench_load"
READY_SECONDS = 10
PROBE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"  # which an echo server answers as well


def share_cpus(workers):
    """The CPUs of a server and those of its load, apart if there are enough; else both share all."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) > workers:
        return cpus[:workers], cpus[workers : 2 * workers]
    return cpus, cpus


def measure(program, workers, *load, arguments=()):
    """Serves with `program` and loads it with the options `load`; returns what the load says. A wrong answer, an error
    or a dead server is a Failure."""
    server_cpus, load_cpus = share_cpus(workers)
    with serving(program.command, server_cpus, workers, arguments) as (address, process):
        output = run(
            ["taskset", "--cpu-list", _list(load_cpus), str(LOAD), "--address", address]
            + ["--server", _list(family(process.pid)), *map(str, load)],
            timeout=120,
        )
        if process.poll() is not None:
            raise Failure(f"the server ended with {process.returncode}")
    figures = json.loads(output)
    if "server_cpu_us" not in figures:
        raise Failure("no answer in the measured time")
    if figures["wrong"] or figures["errors"]:
        raise Failure(f"{figures['wrong']} wrong answers, {figures['errors']} errors")
    return figures


@contextlib.contextmanager
def serving(command, cpus, workers, arguments=()):
    """A server that answers; gives its address and its process."""
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        ["taskset", "--cpu-list", _list(cpus), *_filled_in(command, address, workers), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_until_ready(address, process)
        yield address, process
    finally:
        _stop(process)


def family(pid):
    """The process `pid` and all that come from it."""
    children = [
        int(child)
        for tasks in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
        for child in tasks.read_text().split()
    ]
    return [pid] + [member for child in children for member in family(child)]


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _filled_in(command, address, workers):
    filled_in = [part.format(address=address, workers=workers) for part in command]
    return [*command, address, str(workers)] if filled_in == list(command) else filled_in


def _list(numbers):
    return ",".join(map(str, numbers))


def _wait_until_ready(address, process):
    host, port = address.split(":")
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failure(f"the server ended with {process.returncode}: {_last_words(process)}")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), READY_SECONDS) as one:
            one.sendall(PROBE)
            if one.recv(1):
                return
        time.sleep(0.01)
    raise Failure(f"the server is not ready after {READY_SECONDS} s")


def _last_words(process):
    return process.stderr.read().decode(errors="replace").strip()[-500:]


def _stop(process):
    """Parents first: nginx replaces a worker that dies."""
    for pid in family(process.pid):
        with contextlib.suppress(OSError):
            os.kill(pid, 9)
    process.wait()
    process.stderr.close()
