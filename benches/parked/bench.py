"""Memory of a task that sleeps: resident bytes and page tables, 200,000 tasks at once. small_stacks: with 64 KiB
of address space each. given_back: what is left of it, a task, a second after all of them have ended.

A subject, `PROGRAM CASE TASKS`, prints a line before it starts the tasks, waits for one on stdin, and prints
another one when its memory can be looked at.
"""

import pathlib
import re
import subprocess
import threading

from harness import Case, Failure, Subject

TASKS = 200_000
SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit page", "page.c"),
    Subject("Go", "go.go"),
    Subject("Tokio", "tokio.rs"),
    Subject("Boost.Fiber", "boost_fiber.cpp"),
    Subject("asyncio", "python.py"),
]
CASES = [
    Case("sleeping", "bytes"),
    Case("small_stacks", "bytes", subjects=("weft", "limit page")),
    Case("given_back", "bytes", subjects=("weft", "Go", "Tokio", "asyncio")),
]


def sample(program, case, _workers):
    command = [*program.command, case.name, str(TASKS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        impatience = threading.Timer(120, process.kill)
        impatience.start()
        try:
            return (-memory_at_next_line(process) + memory_at_next_line(process)) / TASKS
        finally:
            impatience.cancel()
            process.kill()


def memory_at_next_line(process):
    """Waits for a line of the process, and lets it go on."""
    if not process.stdout.readline():
        raise Failure("it ended, or took too long, before its tasks were parked")
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    process.stdin.write("\n")
    process.stdin.flush()
    return sum(int(kilobytes) * 1024 for kilobytes in re.findall(r"^Vm(?:RSS|PTE):\s*(\d+) kB", status, re.M))
