"""Runs a subject written in Python: python.py asyncio|uvloop FILE CASE WORKERS."""

import pathlib
import runpy
import sys

loop, path = sys.argv[1:3]
sys.argv[:3] = [path]
sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)
if loop == "uvloop":
    import uvloop

    uvloop.install()
runpy.run_path(path, run_name="__main__")
