"""Reads of 4 KiB at random places of a file, 32 in flight: from the page cache, and past it (O_DIRECT).

"CPU" is what a read costs the process, its kernel threads included; "time" is what goes by for each of the reads that
are in flight together.
"""

import mmap
import os
import shutil
import struct

from harness import Case, Subject
from harness.subject import BUILD, Failure

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit uring", "limit_uring.c", flags=("-luring",)),
    Subject("limit pread", "limit_pread.c"),
    Subject("Go", "go.go"),
    Subject("Tokio", "tokio.rs"),
    Subject("libuv", "libuv.c"),
]
CASES = [
    Case("CPU cached", "us"),
    Case("time cached", "us"),
    Case("CPU direct", "us"),
    Case("time direct", "us"),
]
FILE = BUILD / "bench" / "reads" / "file"
BLOCK_BYTES = 4096
CHUNK_BLOCKS = 4096


def sample(program, case, _workers):
    """The CPU time and the time of a read."""
    kind = case.name.split()[1]
    make_file()
    if kind == "direct":
        require_direct()
    else:
        fill_cache()
    cpu, time = map(float, program.run(FILE, kind).split())
    return {f"CPU {kind}": cpu, f"time {kind}": time}


def make_file():
    """The file, on the disk: 1 GiB, or a quarter of what memory and disk have free. A block begins with its number."""
    if FILE.exists():
        return
    memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    size = min(1 << 30, memory // 4, shutil.disk_usage(FILE.parent).free // 4)
    chunk_bytes = CHUNK_BLOCKS * BLOCK_BYTES
    unfinished = FILE.with_suffix(".new")
    with unfinished.open("wb") as file:
        for first in range(0, size // chunk_bytes * CHUNK_BLOCKS, CHUNK_BLOCKS):
            numbers = range(first, first + CHUNK_BLOCKS)
            file.write(b"".join(struct.pack("<Q", number).ljust(BLOCK_BYTES, b"w") for number in numbers))
        os.fsync(file.fileno())
    unfinished.rename(FILE)


def fill_cache():
    """Reads it once."""
    with FILE.open("rb") as file:
        while file.read(1 << 20):
            pass


def require_direct():
    """Fails where the file system has no O_DIRECT."""
    try:
        file = os.open(FILE, os.O_RDONLY | os.O_DIRECT)
        try:
            os.preadv(file, [mmap.mmap(-1, BLOCK_BYTES)], 0)
        finally:
            os.close(file)
    except OSError as error:
        raise Failure(f"not possible here: O_DIRECT: {error.strerror}") from error
