"""A round trip of two tasks: through a new future each way, or through two queues that stay. queues_across:
between two weft tasks that are pinned to a worker each; elsewhere both may end up on one."""

from harness import Case, Subject

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("Go", "go.go"),
    Subject("Tokio", "tokio.rs"),
    Subject("Boost.Fiber", "boost_fiber.cpp"),
    Subject("asyncio", "python.py"),
    Subject("uvloop", "python.py"),
]
CASES = [
    Case("futures", "ns", workers=(1, 2)),
    Case("queues", "ns", workers=(1, 2)),
    Case("queues_across", "ns", workers=(2,), subjects=("weft",)),
]
