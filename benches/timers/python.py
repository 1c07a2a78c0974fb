import asyncio
import sys
import time

from harness.timing import each_ns, run_case

SLEEPS = 100_000
SCATTER = 7919  # prime: the order is none that a heap would like


# A heap keeps what was cancelled until the loop turns.
async def inserted_and_cancelled(count):
    loop = asyncio.get_running_loop()
    for i in range(count):
        loop.call_later(10, print).cancel()
        if i % 1000 == 999:
            await asyncio.sleep(0)


async def scopes(count):
    for _ in range(count):
        async with asyncio.timeout(10):
            await asyncio.sleep(0)


async def sleep_all():
    late = []
    base = time.monotonic() + 5

    async def sleeper(i):
        when = base + i * SCATTER % SLEEPS / SLEEPS
        await asyncio.sleep(when - time.monotonic())
        late.append(time.monotonic() - when)

    tasks = [asyncio.create_task(sleeper(i)) for i in range(SLEEPS)]
    await asyncio.sleep(base - time.monotonic() - 0.2)
    if time.monotonic() > base:
        sys.exit("the sleeps were not all started in time")
    begin = time.process_time()
    for task in tasks:
        await task
    each = (time.process_time() - begin) / SLEEPS
    late.sort()
    print(f"expire_late_p99 {late[SLEEPS // 100 * 99] * 1e3:.6g}")
    return each * 1e9


run_case({
    "insert_cancel": lambda: each_ns(inserted_and_cancelled),
    "timeout_scope": lambda: each_ns(scopes),
    "expire": lambda: asyncio.run(sleep_all()),
})
