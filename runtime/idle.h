/* Who sleeps, who searches, whom to wake.
 *
 * Waking a sleeping worker costs 4 us, where idle CPUs halt the sender alone 15 to 19, so: no wake-up while somebody searches, at most
 * one searcher in two workers, and the last searcher that finds work wakes one more.
 *
 *     sleeper                                        waker
 *     S1 state := SLEEPING, idle bit := 1            W1 publish the work
 *     S2 fence                                       W2 fence
 *     S3 recheck every source; found: S5             W3 read searching and the idle bits
 *     S4 sleep in driver.wait                        W4 CAS state SLEEPING -> NOTIFIED; the winner alone
 *     S5 state := AWAKE, idle bit := 0                  rings the doorbell (driver.wake)
 *     S6 found in S3: search again
 *
 * The two fences order S1 before S3 and W1 before W3, so at least one side sees the other: either the
 * sleeper finds the work, or the waker finds the sleeper. A searcher counts as one who will find the work:
 * it stops searching (searching -= 1) before S2, so the same argument covers "no wake-up while somebody
 * searches"; what it finds in S3 may be more than it can do at once, so it then counts as a searcher again
 * (S6), who wakes another one when it begins to work. The doorbell stays rung until the sleeper hears it, so
 * one that is rung between S3 and S4 is not lost. A woken worker starts as a searcher: the waker counts it.
 *
 * tests/models/park.pml checks all of this exhaustively, with a mutant for every step that could be left out. */
#ifndef WEFT_RUNTIME_IDLE_H
#define WEFT_RUNTIME_IDLE_H

#include "atomics.h"

#define WEFT__WORKERS_MOST 1024

struct weft__runtime;
struct weft__worker;

enum weft__sleep_state {
    WEFT__AWAKE,
    WEFT__SLEEPING,
    WEFT__NOTIFIED,             /* for something of its own */
    WEFT__NOTIFIED_TO_SEARCH,   /* and counted as a searcher by the waker */
};

struct weft__idle {
    _Alignas(WEFT__CACHE_LINE) _Atomic uint32_t searching; /* workers that look for work to steal */
    _Atomic uint32_t sleeping;                             /* bits set below */
    _Atomic uint64_t bits[WEFT__WORKERS_MOST / 64];        /* worker i sleeps: bit i */
};

/* Work that anybody may take has been published: wakes a sleeper unless somebody searches. Thread: any. */
void weft__idle_notify(struct weft__runtime *runtime);

/* Work for this worker alone has been published: wakes it if it sleeps. Thread: any. */
void weft__idle_notify_worker(struct weft__worker *worker);

/* Searching: begin fails if enough others search. end: `found` work; wakes another one if it was the last.
 * Thread: the worker's. */
bool weft__idle_search_begin(struct weft__worker *worker);
void weft__idle_search_end(struct weft__worker *worker, bool found);

/* Sleeps until there is something to do. Thread: the worker's. */
void weft__idle_park(struct weft__worker *worker);

#endif
