import asyncio
import concurrent.futures

from harness.timing import each_ns, run_case

OUTSTANDING = 64


def nothing():
    pass


def echo(data):
    return data


def alone_us(pool, job, *arguments):
    async def run_jobs(count):
        loop = asyncio.get_running_loop()
        for _ in range(count):
            assert await loop.run_in_executor(pool, job, *arguments) == (arguments[0] if arguments else None)

    return each_ns(run_jobs) / 1000


def together_us(pool):
    async def run_jobs(count):
        loop = asyncio.get_running_loop()
        left = iter(range(count))

        async def run_some():
            for _ in left:
                await loop.run_in_executor(pool, nothing)

        await asyncio.gather(*(run_some() for _ in range(OUTSTANDING)))

    return each_ns(run_jobs) / 1000


def echo_us(pool, size):
    return alone_us(pool, echo, b"w" * size)


def with_pool(kind, measure, *arguments):
    """A case: the figure of measure(pool, ...)."""

    def case():
        with kind() as pool:
            return measure(pool, *arguments)

    return case


Threads = concurrent.futures.ThreadPoolExecutor
Processes = concurrent.futures.ProcessPoolExecutor

run_case(
    {
        "thread": with_pool(Threads, alone_us, nothing),
        "thread_64": with_pool(Threads, together_us),
        "process": with_pool(Processes, alone_us, nothing),
        "process_64": with_pool(Processes, together_us),
        "echo_1B": with_pool(Processes, echo_us, 1),
        "echo_4KiB": with_pool(Processes, echo_us, 4 << 10),
        "echo_64KiB": with_pool(Processes, echo_us, 64 << 10),
        "echo_1MiB": with_pool(Processes, echo_us, 1 << 20),
        "echo_16MiB": with_pool(Processes, echo_us, 16 << 20),
    }
)
