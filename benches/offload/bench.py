"""Jobs away from the loop: in a thread of a pool; in place, where the task itself goes to a thread that may
block; in a process of a pool. An empty job, from its submission until the task goes on, one at a time; _64:
what each takes if 64 tasks run one after the other. echo: so many bytes to a process, which copies them, and
back, one at a time.

The pools are as large as they make themselves: libuv's has 4 threads, the others' 4 more than there are CPUs,
and a process for each CPU. Tokio's would be far too large, see there. The limit has one thread or process at
work.
"""

from harness import Case, Subject

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit futex", "limit_futex.c"),
    Subject("Tokio", "tokio.rs"),
    Subject("libuv", "libuv.c"),
    Subject("asyncio", "python.py"),
    Subject("uvloop", "python.py"),
]
IN_PLACE = ("weft", "Tokio")
PROCESSES = ("weft", "limit futex", "asyncio", "uvloop")
CASES = [
    Case("thread", "us"),
    Case("thread_64", "us"),
    Case("in_place", "us", subjects=IN_PLACE),
    Case("in_place_64", "us", subjects=IN_PLACE),
    Case("process", "us", subjects=PROCESSES),
    Case("process_64", "us", subjects=PROCESSES),
    *(Case(f"echo_{size}", "us", subjects=PROCESSES) for size in ("1B", "4KiB", "64KiB", "1MiB", "16MiB")),
]
