/* weft/debug.h: what the runtime counts. */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counters since the start of the runtime, summed over its workers. */
typedef struct weft_stats {
    unsigned workers;        /* loops of this runtime */
    const char *driver;      /* "uring" or "epoll"; a constant string */
    uint64_t switches;       /* steps: times a task was given a worker */
    uint64_t spawns;         /* tasks scheduled */
    uint64_t in_place;       /* of these, run as a call inside their awaiter */
    uint64_t steals;         /* tasks and calls taken from another worker */
    uint64_t steal_attempts; /* victims looked at */
    uint64_t parks;          /* times a worker went to sleep in the kernel */
    uint64_t wakes;          /* doorbells rung for a sleeping worker */
    uint64_t enters;         /* system calls that the driver made to submit and wait */
    uint64_t submissions;    /* operations handed to the driver */
    uint64_t completions;    /* operations that the driver completed */
    uint64_t timers;         /* timers that fired */
    uint64_t stack_hits;     /* stacks served by a worker's own cache */
    uint64_t stack_misses;   /* stacks that came from the shared pool or from the kernel */
    unsigned pool_threads;   /* at this moment: threads of the default executor, for names, in blocking regions */
    uint64_t pool_queued;    /* at this moment: jobs and regions that wait for one */
    uint64_t rescues;        /* times a worker was found stuck in a task, and its work was given to the others */
    unsigned stuck_workers;  /* stuck at this moment, */
    unsigned blocked_workers; /* and of these in a system call: see weft_to_thread for what belongs elsewhere */
    unsigned crowded_workers; /* at this moment: wait for a CPU so often that others submit their operations */
} weft_stats;

/* Fills `stats` for the runtime of the calling task or callback. The counters of other workers are read
 * while these go on: each is exact for some recent moment.
 * Thread: loop. Suspends: no. Owns: the caller. Errors: -EINVAL (NULL), -EPERM (no running loop). */
int weft_stats_get(weft_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
