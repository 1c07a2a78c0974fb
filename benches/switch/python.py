import asyncio

from harness.timing import each_ns, run_case


async def yielder(count):
    for _ in range(count // 2):
        await asyncio.sleep(0)


async def take_turns(count):
    await asyncio.gather(yielder(count), yielder(count))


run_case({"yield": lambda: each_ns(take_turns)})
