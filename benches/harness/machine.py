"""What the figures were measured on: the machine, its kernel, and the commit."""

import os
import pathlib
import platform
import re

from .subject import BENCHES, Failure, run


def describe():
    """One line."""
    return f"{os.cpu_count()} CPUs, {_processor()}, Linux {platform.release()}, weft at {_commit()}"


def _processor():
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _commit():
    try:
        return run(["git", "-C", str(BENCHES), "describe", "--always", "--dirty"]).strip()
    except Failure:
        return "an unknown commit"
