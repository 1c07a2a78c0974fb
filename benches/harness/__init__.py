"""What the benchmarks share. A bench.py needs these two."""

from .problem import Case
from .subject import Subject

__all__ = ["Case", "Subject"]
