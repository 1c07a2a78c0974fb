"""Work from a plain thread to a loop. busy: while the loop has other things to do, time until all of it is done,
over their number; busy_from_4: from four threads at once. wake: one thing a millisecond, to a loop that sleeps:
from the call to the callback, the median."""

from harness import Case, Subject

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit futex", "futex.c"),
    Subject("limit eventfd", "eventfd.c"),
    Subject("Go", "go.go"),
    Subject("Tokio", "tokio.rs"),
    Subject("Boost.Fiber", "boost_fiber.cpp"),
    Subject("Asio", "asio.cpp"),
    Subject("libuv", "libuv.c"),
    Subject("asyncio", "python.py"),
    Subject("uvloop", "python.py"),
]
CASES = [
    Case("busy", "ns", subjects=tuple(subject.name for subject in SUBJECTS if not subject.is_limit)),
    Case("busy_from_4", "ns", subjects=("weft",)),
    Case("wake", "us"),
]
