"""What others notice of a task that computes: 64 bytes over TCP and back, on 32 connections, while one task of the
server computes for a second, sleeps for 0.2 s, and again.

The requests fall due at a fixed rate, whatever the answers, and a latency counts from then. The servers are those of
benches/echo with the argument `burn`, two workers each; weft a second time with the option no_rescue; Asio's threads
share one io_context here, which is how its users avoid this. "sharded epoll" is what any runtime does whose
connections stay on their thread.
"""

from harness import Case, Subject
from harness.server import measure
from harness.subject import BUILD

PACKAGES = ["util-linux"]
SUBJECTS = [
    Subject("weft", program=(BUILD / "release" / "benches" / "bench_echo",)),
    Subject("weft, no_rescue", program=(BUILD / "release" / "benches" / "bench_echo",)),
    Subject("Go", "../echo/go.go", flags=("server.go",)),
    Subject("Tokio", "../echo/tokio.rs"),
    Subject("Asio", "asio.cpp"),
    Subject("sharded epoll", "../echo/limit_epoll.c", package="libc6"),
]
CASES = [
    Case("p99 2000/s", "ms", (2,)),
    Case("max 2000/s", "ms", (2,)),
    Case("p99 10000/s", "ms", (2,)),
    Case("max 10000/s", "ms", (2,)),
]


def sample(program, case, workers):
    """One server at one rate, over three bursts."""
    load = case.name.split()[1]
    rate = load.removesuffix("/s")
    burn = "burn-alone" if program.subject.name == "weft, no_rescue" else "burn"
    figures = measure(
        program, workers, "--echo", 64, "--connections", 32, "--rate", rate, "--seconds", 3.6, arguments=(burn,)
    )
    return {f"p99 {load}": figures["p99_us"] / 1000, f"max {load}": figures["max_us"] / 1000}
