/* A worker that waits for a CPU does not keep the others' clients waiting with it.
 *
 * io_uring completes an operation in the thread that submitted it. While that thread is ready to run but somebody else has
 * its CPU, a client or another process, its completions wait for a tick (4 ms) or more, although another worker has time.
 * What lies in its queues can be stolen, what lies in its ring cannot.
 *
 * So the watchman reads how long each worker has waited to run, every 20 ms. One that in three looks in a row has waited
 * longer than another one, by a quarter of the time, is crowded. (Where all wait alike, as two workers do that share
 * two CPUs with two clients, nobody is better off as a host: it cost 12 % of the requests.) Operations that begin on a
 * crowded worker are posted to another one, its host, which submits them in its next turn (op.c has the protocol). It
 * goes on to steal tasks and to run them; what it holds when it loses the CPU can be stolen from it. What is under way
 * in its driver completes there: so its connections leave one by one, each with its next request. When it has waited
 * longer by less than an eighth of the time in five looks it is its own host again.
 *
 * A host that is stuck (watchman.h) is none at the next look, and what was posted to it goes to another one. So what is
 * posted lies in a list that any thread can take: a Treiber stack, of which all is taken at once, so there is no ABA.
 * tests/models/crowding.c runs it.
 *
 * Measured with 64 connections, two workers and the load on two CPUs: p99 of an echo 4.1 ms becomes 0.7 ms. A message to
 * the host costs 0.1 us.
 *
 * A server's accepts move with the next connection. Not given away: other operations of pinned tasks, watchers, timers.
 * A runtime without a watchman (one worker, or no_rescue) does without, and a kernel that does not count
 * (CONFIG_SCHED_INFO). */
#ifndef WEFT_RUNTIME_CROWDING_H
#define WEFT_RUNTIME_CROWDING_H

#include "atomics.h"

struct weft__runnable;
struct weft__runtime;
struct weft__worker;

/* Of one worker. */
struct weft__crowding {
    /* the watchman's own */
    int delays;           /* weft__world_thread_open_delays */
    int64_t waited_ns;    /* since its thread began, as of the last look */
    int64_t share_ns;     /* of that, between the last two looks */
    unsigned busy, calm;  /* looks in a row */
    bool crowded;
};

/* Of the runtime. */
struct weft__crowd {
    int64_t since_ns;     /* the last look; the watchman's own */
    _Atomic uint32_t crowded; /* how many are; written by the watchman, read by any thread */
};

/* Who submits the operations of an uncrowded worker: itself. */
struct weft__worker *weft__crowding_home(struct weft__worker *worker);

/* Has some worker, at best `host`, run this with itself as the argument. Thread: any. */
void weft__crowding_post(struct weft__worker *host, struct weft__runnable *runnable);
/* Runs what was posted to the worker. Thread: its own. */
void weft__crowding_serve(struct weft__worker *worker);

/* Around the looks. Thread: the watchman's, or who starts and ends it. */
void weft__crowding_begin(struct weft__runtime *runtime);
void weft__crowding_end(struct weft__runtime *runtime);

/* Decides anew, if it is time, and who hosts whom, of those that are not stuck. Thread: the watchman's. */
void weft__crowding_look(struct weft__runtime *runtime, int64_t now_ns);

#endif
