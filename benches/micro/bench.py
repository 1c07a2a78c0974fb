"""weft's own small things, without rivals."""

from harness import Case, Subject

SUBJECTS = [Subject("weft", "weft.c")]
CASES = [
    Case("lock", "ns"),
    Case("lock_hand_off", "ns", workers=(1, 2)),
    Case("event", "ns"),
    Case("semaphore", "ns"),
    Case("queue", "ns"),
    Case("gather", "ns", workers=(1, 2)),
    Case("wait_for", "ns"),
    Case("wait_for_task", "ns"),
    Case("task_group", "ns", workers=(1, 2)),
]
