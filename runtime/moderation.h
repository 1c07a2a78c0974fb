/* Wake-up moderation: under load a worker that is woken lets whoever runs finish.
 *
 * Where clients and workers share CPUs, the kernel lets a worker that is woken for one request preempt the client that is
 * just about to send the next ones: a switch to and fro per request, and batches of one. Network cards have the same
 * problem with interrupts, and the same answer: under load fewer of them. A thread of the class SCHED_BATCH does not
 * preempt when it is woken; it runs once the other sleeps, or at the next tick. Measured with 64 connections, two
 * workers and the load on two CPUs: HTTP 105,000 requests a second become 164,000, CPU 8.9 us each 6.1. A
 * CPU that is idle is no different: who is woken there runs at once.
 *
 * Without load it would only cost latency beside others that compute (up to a tick, 1 to 4 ms). So the watchman, at each
 * look, compares the completions since the last one with the time; every worker follows when it goes to sleep the
 * next time. A runtime without a watchman (one worker, or no_rescue) does without.
 *
 * Threads that a worker starts, and children that it forks, are of the ordinary class again (world.h). A thread whose
 * class somebody else has chosen keeps it. */
#ifndef WEFT_RUNTIME_MODERATION_H
#define WEFT_RUNTIME_MODERATION_H

#include "atomics.h"

struct weft__runtime;

struct weft__moderation {
    /* the watchman's own */
    uint64_t completions;   /* of all workers, at */
    int64_t since_ns;
    /* written by the watchman, read by the workers */
    _Atomic bool on;
};

/* Decides anew. Thread: the watchman. */
void weft__moderation_look(struct weft__runtime *runtime, int64_t now_ns);

#endif
