"""fib(27), every inner call a task: the time for each. fib_parallel is weft_parallel, whose records need no stack
unless they are stolen, beside what Rayon and oneTBB do anyway."""

from harness import Case, Subject

SUBJECTS = [
    Subject("weft", "weft.c"),
    Subject("limit serial C", "serial.c"),
    Subject("Rayon", "rayon.rs"),
    Subject("oneTBB", "onetbb.cpp"),
    Subject("Tokio", "tokio.rs"),
    Subject("Go", "go.go"),
]
CASES = [
    Case("fib_tasks", "ns", workers=(1, 2)),
    Case("fib_parallel", "ns", workers=(1, 2), subjects=("weft", "limit serial C", "Rayon", "oneTBB")),
]
