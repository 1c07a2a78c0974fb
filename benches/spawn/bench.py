"""Starting a task and waiting for its end: one after the other, and a million at once (100,000 where that would
take too long)."""

from harness import Case, Subject

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit fcontext", "fcontext.c", package="libboost-context1.81-dev", flags=("-l:libboost_context.a",)),
    Subject("Go", "go.go"),
    Subject("Tokio", "tokio.rs"),
    Subject("Boost.Fiber", "boost_fiber.cpp"),
    Subject("oneTBB", "onetbb.cpp"),
    Subject("asyncio", "python.py"),
    Subject("uvloop", "python.py"),
]
CASES = [Case("spawn_join", "ns"), Case("spawn_many", "ns", workers=(1, 2))]
