"""For the subjects written in Python: PROGRAM CASE WORKERS prints one number."""

import asyncio
import sys
import time


def each_ns(body):
    """Nanoseconds of the coroutine body(count), over count. It runs with more and more, which warms it up, until
    that takes 50 ms; then for 0.4 s, which count."""
    loop = asyncio.new_event_loop()
    count = 1
    while (took := took_ns(loop, body, count)) < 50e6:
        count *= 10 if took < 5e6 else 2
    count = int(count * 400e6 / took) if took < 400e6 else 1
    return took_ns(loop, body, count) / count


def took_ns(loop, body, count):
    """Nanoseconds of the coroutine body(count)."""
    start = time.monotonic_ns()
    loop.run_until_complete(body(count))
    return time.monotonic_ns() - start


def run_case(cases):
    """Runs the case that the arguments name."""
    if len(sys.argv) != 3 or sys.argv[1] not in cases:
        sys.exit(f"usage: {sys.argv[0]} CASE WORKERS")
    print(f"{cases[sys.argv[1]]():.6g}")
