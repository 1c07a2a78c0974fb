import asyncio

from harness.timing import each_ns, run_case


async def future_round_trips(count):
    loop = asyncio.get_running_loop()
    there, back = loop.create_future(), loop.create_future()

    async def answers():
        nonlocal there
        for i in range(count):
            await there
            there = loop.create_future()
            back.set_result(i)

    task = asyncio.create_task(answers())
    for i in range(count):
        answer = back
        there.set_result(i)
        await answer
        back = loop.create_future()
    await task


async def queue_round_trips(count):
    there, back = asyncio.Queue(), asyncio.Queue()

    async def echoes():
        while True:
            back.put_nowait(await there.get())

    task = asyncio.create_task(echoes())
    for i in range(count):
        there.put_nowait(i)
        await back.get()
    task.cancel()


run_case({
    "futures": lambda: each_ns(future_round_trips),
    "queues": lambda: each_ns(queue_round_trips),
})
