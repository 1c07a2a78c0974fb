"""Giving way among tasks that are ready: two of them take turns."""

from harness import Case, Subject

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit fcontext", "fcontext.c", package="libboost-context1.81-dev", flags=("-l:libboost_context.a",)),
    Subject("Go", "go.go"),
    Subject("Tokio", "tokio.rs"),
    Subject("Boost.Fiber", "boost_fiber.cpp"),
    Subject("asyncio", "python.py"),
    Subject("uvloop", "python.py"),
]
CASES = [Case("yield", "ns")]
