"""Timers. insert_cancel: one that is taken back at once. timeout_scope: a limit of time around something that
gives way once and is in time. expire: a million sleeps that end within a second (100,000 in Python): CPU for
each, and how late the latest hundredth is."""

from harness import Case, Subject

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("libuv", "libuv.c"),
    Subject("Asio", "asio.cpp"),
    Subject("Go", "go.go"),
    Subject("Tokio", "tokio.rs"),
    Subject("asyncio", "python.py"),
    Subject("uvloop", "python.py"),
]
CASES = [
    Case("insert_cancel", "ns"),
    Case("timeout_scope", "ns", subjects=("weft", "Go", "Tokio", "asyncio", "uvloop")),
    Case("expire_cpu", "ns", run="expire"),
    Case("expire_late_p99", "ms", run="expire"),
]
