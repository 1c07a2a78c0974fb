import asyncio
import sys


def look():
    print("look", flush=True)
    sys.stdin.readline()


async def park_all(tasks, to_the_end):
    look()
    sleeping = [asyncio.create_task(asyncio.sleep(1 if to_the_end else 3600)) for _ in range(tasks)]
    await asyncio.sleep(0)  # they have all begun after that
    if to_the_end:
        await asyncio.gather(*sleeping)
        del sleeping
        await asyncio.sleep(1)
    look()


asyncio.run(park_all(int(sys.argv[2]), sys.argv[1] == "given_back"))
