"""64 bytes over TCP and back: what a request costs the server's CPU, and how long it takes.

With one worker, server and load have a CPU each; with more, they share what there is. The load's connections always
have one request in flight. With one connection the load never sleeps, so that only the server's way to wake up is in
the latency; "spinning" is without that, too, where a server can be told never to sleep.
"""

from harness import Case, Subject
from harness.server import measure

PACKAGES = ["util-linux"]
SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit uring", "limit_uring.c", flags=("-luring",)),
    Subject("limit epoll", "limit_epoll.c"),
    Subject("limit spin", "limit_spin.c", workers=(1,)),
    Subject("Go", "go.go", flags=("server.go",)),
    Subject("Tokio", "tokio.rs"),
    Subject("libuv", "libuv.c", workers=(1, 2)),
    Subject("Asio", "asio.cpp"),
    Subject("asyncio", "python.py"),
    Subject("uvloop", "python.py"),
]
_SPINNERS = ("weft", "limit uring", "limit epoll", "limit spin", "libuv", "Asio")
_SERVERS = tuple(subject.name for subject in SUBJECTS if subject.name != "limit spin")
CASES = [
    Case("CPU 64 clients", "us", (1, 2), _SERVERS),
    Case("p99 64 clients", "ms", (2,), _SERVERS),
    Case("CPU 1000 clients", "us", (1,), _SERVERS),
    Case("p50 1 client", "us", (1,), _SERVERS),
    Case("p50 spinning", "us", (1,), _SPINNERS),
]
_LOADS = {  # of the cases that one run answers
    "64 clients": ("--connections", 64, "--seconds", 1),
    "1000 clients": ("--connections", 1000, "--seconds", 1),
    "1 client": ("--connections", 1, "--seconds", 0.5, "--warmup", 0.2, "--spin"),
    "spinning": ("--connections", 1, "--seconds", 0.5, "--warmup", 0.2, "--spin"),
}


def sample(program, case, workers):
    """One server under one load; all that this tells."""
    load = case.name.split(maxsplit=1)[1]
    arguments = ("spin",) if load == "spinning" else ()
    figures = measure(program, workers, "--echo", 64, *_LOADS[load], arguments=arguments)
    return {
        f"CPU {load}": figures["server_cpu_us"],
        f"p50 {load}": figures["p50_us"],
        f"p99 {load}": figures["p99_us"] / 1000,
    }
