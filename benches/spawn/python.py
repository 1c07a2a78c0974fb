import asyncio

from harness.timing import each_ns, run_case

MANY = 100_000


async def nothing():
    pass


async def one_by_one(count):
    for _ in range(count):
        await asyncio.create_task(nothing())


async def all_at_once(rounds):
    for _ in range(rounds):
        tasks = [asyncio.create_task(nothing()) for _ in range(MANY)]
        for task in tasks:
            await task


run_case({
    "spawn_join": lambda: each_ns(one_by_one),
    "spawn_many": lambda: each_ns(all_at_once) / MANY,
})
