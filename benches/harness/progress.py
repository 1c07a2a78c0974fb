"""How far a run is, and how long it will take: on a terminal only."""

import sys
import time


class Progress:
    """`total` steps; step() is called before each."""

    def __init__(self, total):
        self._total = total
        self._done = 0
        self._started = None
        self._shown = sys.stderr.isatty()

    def step(self, what):
        """Says what comes now."""
        self._started = self._started or time.monotonic()
        if self._shown:
            text = f"{self._done} of {self._total}{self._left()}: {what}"
            print(f"\r\033[K{text[:110]}", end="", file=sys.stderr, flush=True)
        self._done += 1

    def clear(self):
        """Takes the line away."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _left(self):
        if self._done < 3:
            return ""
        seconds = (time.monotonic() - self._started) / self._done * (self._total - self._done)
        return f", {seconds / 60:.0f} min left" if seconds >= 90 else f", {seconds:.0f} s left"
