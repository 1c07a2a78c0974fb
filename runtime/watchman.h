/* A task that computes for a second, or blocks in a system call, must not stall anybody but itself.
 *
 * The watchman is a thread per runtime of several workers. Every 4 ms while any worker is awake it looks at each one's
 * visible_tick, which counts steps, callbacks and turns. A worker that is awake and has not moved on between two looks is
 * stuck. What it holds then goes to the others, at once and every millisecond until it moves on:
 *
 *     queues       what is in its ring, its LIFO slot, and the oldest of its deque, into the injector, which wakes a
 *                  sleeper (ready.c). Not what only it may run: pinned tasks, callbacks, messages
 *     timers       those of tasks that are due fire on the watchman's thread; call_later's stay (timer.c)
 *     completions  those that lie in its CQ complete on the watchman's thread (driver.h: rescue). With io_uring the
 *                  kernel may hold some back until the worker enters it, and operations that were prepared in the same
 *                  turn have not been submitted; a worker that computes is therefore sent SIGURG, and its handler does
 *                  both (driver.h: fetch) and rings the alarm. One that blocks in a system call is
 *                  not: a signal might cut the call short. There completions wait
 *
 * To all of these the watchman is a plain thread: it has no queues, runs no task and no callback, and whatever it wakes
 * goes into the injector or to the worker that it is pinned to.
 *
 * An idle process does not wake up. The watchman's alarm is set only while a worker is awake:
 *
 *     worker, waking up                             watchman, all asleep
 *     A1 sleep_state := AWAKE (S5 of idle.h)        B1 alarm off
 *     A2 armed? if not: exchange true, and who      B2 armed := false
 *        found false sets the alarm                 B3 read each sleep_state; one awake: as in A2
 *
 * All four are seq_cst, so either the worker sees B2, or the watchman sees A1. The alarm is off before B2, so it cannot
 * turn off what A2 set; tests/models/alarm.pml checks it exhaustively. (In debug mode B1 may leave it set for one
 * more look, and B3 may want one: deadlock.h.) A busy worker pays a plain addition per step; one that wakes up, a
 * load, and after a pause a timerfd_settime (0.5 us, nobody is woken by it); the process, 250 looks a second while it
 * works.
 *
 * visible_tick may lie in both directions without harm: everything that the watchman does to a worker it may do to one
 * that is not stuck.
 *
 * The handler is async-signal-safe, runs on the alternate stack that overflow.c makes, and leaves errno alone. It is
 * installed if nobody else handles SIGURG, and no signal is sent once somebody does. Whoever blocks SIGURG in a task
 * gets no rescue of completions. A forked child has no watchman, and nothing that needs one.
 *
 * Rejected: a CPU-time timer per worker, whose signal does what the watchman does. It would have to wake a parked worker
 * from the handler, interrupts every worker 200 times a second whether it is stuck or not, and says nothing of a worker
 * that blocks: that takes somebody who watches from outside. A parked worker as watchman: it would have to be
 * woken when another one wakes, at 4 to 15 us. */
#ifndef WEFT_RUNTIME_WATCHMAN_H
#define WEFT_RUNTIME_WATCHMAN_H

#include "atomics.h"
#include "world.h"

struct weft__runtime;
struct weft__task;
struct weft__worker;

struct weft__watchman {
    /* const while it runs */
    bool rescues_others;           /* else it only reports slow steps */
    bool has_alarm;
    int alarm;                     /* closed with the runtime: who wakes up late may still set it */
    weft__thread thread;
    struct weft__runtime *runtime;
    /* any thread */
    _Atomic bool on;
    _Atomic bool armed;            /* stays true while there is no watchman */
    _Atomic bool over;
    /* written by the watchman, read by any thread */
    _Atomic uint64_t rescues;
    _Atomic uint32_t stuck, blocked;
    /* the watchman's own */
    struct weft__task *spare;      /* a record for a parallel call */
};

/* What is known of one worker. */
struct weft__watch {
    /* the watchman's own */
    uint32_t tick;                 /* when it was seen first, at */
    int64_t since_ns;
    bool stuck;
    int thread;                    /* weft__world_thread_open */
};

/* Starts and ends the watchman of a runtime whose drivers are open; if it cannot be started nobody is rescued.
 * Thread: that of worker 0. */
void weft__watchman_start(struct weft__runtime *runtime);
void weft__watchman_stop(struct weft__runtime *runtime);
/* The runtime is gone, or going. */
void weft__watchman_fini(struct weft__watchman *watchman);

/* A2, apart from the load. Thread: any. */
void weft__watchman_arm(struct weft__watchman *watchman);

/* A worker is awake. Thread: its own, after A1. */
static inline void weft__watchman_see(struct weft__watchman *watchman) {
    if (!load_seq_cst(&watchman->armed)) weft__watchman_arm(watchman); /* pairs with B2 */
}

#endif
