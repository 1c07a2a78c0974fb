/* Debug mode's report of a deadlock: every worker sleeps, and nothing is under way that could ever wake one. It
 * prints what each task waits for, once a run, and changes nothing. Other threads of the program may still do
 * something; that cannot be known, and the report says so.
 *
 *     worker, between S3 and S5 of idle.h              watchman, all asleep, before B1 of watchman.h
 *     F1 no operation of its driver is under way:      L1 read `asleep`: not everybody is in it: nothing to do
 *        asleep += 1 sleeper and 1 fall                L2 timers, signal handlers: nothing to do
 *     F2 if it is the last one, arms the watchman      L3 somebody is busy elsewhere, or inside our gate: looks
 *     S4 sleep                                            again, after 4 ms, 8 ms, 16 ms, ...
 *     F3 asleep -= 1 sleeper                           L4 read each sleep_state; one is not SLEEPING: nothing to do
 *                                                      L5 read what the tasks wait for
 *                                                      L6 `asleep` has changed: nothing to do; else: the report
 *
 * Why nobody is reported who goes on by himself: from L1 to L6 every worker stays between F1 and F3, for one that
 * leaves changes the number of sleepers, and one that comes back the number of falls. There its queues are empty (S3)
 * and its driver completes nothing. So what might still wake one is a message that is published and not heard, or one
 * that is yet to come from another thread. The first has changed a sleep_state (W4) before its sender was no
 * longer counted as busy or inside: L3 before L4. The watchman, who moves tasks from queue to queue, is here.
 *
 * Why no deadlock is missed: whoever falls asleep last finds the watchman disarmed (B2) and arms it, or the watchman
 * finds after B2 that `asleep` is not what L1 saw. All are seq_cst. Where there is nothing to do, a worker will wake
 * up and fall asleep again, or there is no deadlock. The timers are asked in L2 and not in F1, for they can be
 * cancelled while their worker sleeps.
 *
 * An idle process does not wake up for this, but for the looks of L3, each after twice the time. Who is busy
 * elsewhere counts himself, debug mode or not: pool threads when they wake up and fall asleep, jobs of process pools,
 * tasks that wait for the end of such a pool. A loop of one's own (event_loop.c) has no watchman, so nobody looks.
 *
 * Tasks that await each other in a circle will never go on, whatever else does. So whoever awaits a task follows the chain
 * of awaits, as a canceller does (cancel.c): if that leads back to him, it is reported at once. Each link that he has
 * passed stays: a task of the chain ends its wait only when the next one is done, which it is not while it waits for
 * him; or when it is cancelled.
 *
 * Rejected: that the last worker to fall asleep decides by itself. It cannot know whether the watchman has a task in
 * its hands that it has taken from a stuck worker's queue. */
#ifndef WEFT_RUNTIME_DEADLOCK_H
#define WEFT_RUNTIME_DEADLOCK_H

#include "atomics.h"

struct weft__runtime;
struct weft__task;
struct weft__worker;

struct weft__deadlock {
    /* any thread */
    _Atomic uint64_t asleep; /* workers between F1 and F3; from bit 32 on: how often one has fallen asleep */
    /* the watchman's own */
    uint64_t seen;           /* by the last look */
    int64_t again_ns;        /* how long it said to wait for the next one */
    bool reported;
};

/* F1 and F2; whether it was counted, and F3. Thread: the worker's. */
bool weft__deadlock_sleep(struct weft__worker *worker);
void weft__deadlock_wake(struct weft__worker *worker);

/* L1 to L6. Returns after how many ns to look again; 0: not. Thread: the watchman's. */
int64_t weft__deadlock_look(struct weft__runtime *runtime);
/* Whether everybody has fallen asleep since then. Thread: the watchman's. */
bool weft__deadlock_to_look(struct weft__runtime *runtime);

/* Reports a circle of awaits that the task has closed: its wait is published, and it cannot be woken yet. Two that close
 * one together may both. Thread: a worker's scheduler. */
void weft__deadlock_awaits(struct weft__task *task);

/* Around what may wake a task from outside of all loops. `end` comes after the wake-up. Thread: any. */
extern _Atomic uint32_t weft__elsewhere;
static inline void weft__elsewhere_begin(void) { fetch_add_relaxed(&weft__elsewhere, 1); }
static inline void weft__elsewhere_end(void) {
    atomic_fetch_sub_explicit(&weft__elsewhere, 1, memory_order_release); /* pairs with L3 */
}

#endif
