""""Hello, World!" over HTTP/1.1, keep-alive, one request in flight on each of 64 connections.

All but the limit have a real parser. With one worker, server and load have a CPU each; with more, they share what there
is.
"""

from harness import Case, Subject
from harness.server import measure
from harness.subject import BENCHES, BUILD

PACKAGES = ["util-linux"]
SUBJECTS = [
    Subject(
        "weft",
        program=(BUILD / "release" / "examples" / "http_hello", "--address", "{address}", "--workers", "{workers}"),
    ),
    Subject("limit uring", "limit_uring.c", flags=("-luring",)),
    Subject("nginx", program=(BENCHES / "http" / "nginx",), package="nginx-light"),
    Subject("Go", "go.go", flags=("server.go",)),
    Subject("hyper", "hyper.rs"),
]
CASES = [Case("CPU 64 clients", "us", (1, 2)), Case("p99 64 clients", "ms", (2,))]


def sample(program, _case, workers):
    """One server under the load; all that this tells."""
    figures = measure(
        program, workers, "--http", "/", "--body", "Hello, World!", "--connections", 64, "--seconds", 1
    )
    return {"CPU 64 clients": figures["server_cpu_us"], "p99 64 clients": figures["p99_us"] / 1000}
