import asyncio
import statistics
import threading
import time

from harness.timing import each_ns, run_case

WAKES = 400
WARM_UP = 50


async def calls(count):
    loop = asyncio.get_running_loop()
    called = 0

    def count_call():
        nonlocal called
        called += 1

    def produce():
        for _ in range(count):
            loop.call_soon_threadsafe(count_call)

    producer = threading.Thread(target=produce)
    producer.start()
    while called < count:
        await asyncio.sleep(0)
    producer.join()


def wake():
    loop = asyncio.new_event_loop()
    took = []

    def send():
        for _ in range(WAKES):
            time.sleep(0.001)
            sent = time.monotonic_ns()
            loop.call_soon_threadsafe(lambda sent=sent: took.append(time.monotonic_ns() - sent))
        loop.call_soon_threadsafe(loop.stop)

    sender = threading.Thread(target=send)
    sender.start()
    loop.run_forever()
    sender.join()
    return statistics.median(took[WARM_UP:]) / 1000


run_case({"busy": lambda: each_ns(calls), "wake": wake})
