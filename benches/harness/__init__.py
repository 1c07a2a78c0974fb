"""What the benchmarks share. A bench.py needs these."""

from .problem import Case
from .subject import Failure, Subject

__all__ = ["Case", "Failure", "Subject"]
