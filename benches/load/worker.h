/* One thread of the load and its share of the connections. */
#ifndef LOAD_WORKER_H
#define LOAD_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "connection.h"
#include "histogram.h"

struct worker {
    /* const once the thread runs */
    const struct options *options;
    struct connection *connections;
    unsigned count;
    int cpu;                     /* -1: any */
    int64_t origin, begin, end;  /* CLOCK_MONOTONIC; what starts from begin to end is measured */
    double interval_ns, offset_ns; /* open loop: request i falls due at origin + offset + i * interval */
    pthread_t thread;
    /* the thread's; main's after the join */
    int epoll;
    uint64_t next_due;    /* open loop: the first request that has not fallen due */
    uint64_t outstanding; /* due (open loop) or sent (closed), and not answered; none of lost connections */
    uint64_t unanswered;  /* outstanding when patience ended */
    uint64_t wrong, lost;
    struct histogram latencies;
    char buffer[IN_BYTES];
    /* any thread */
    _Atomic uint64_t answered; /* relaxed: a count, nothing is published by it */
};

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Starts the thread; returns 0 or an errno of pthread_create. */
int worker_start(struct worker *self);

/* After the thread has ended: nothing but memory is left. */
void worker_join(struct worker *self);

#endif
