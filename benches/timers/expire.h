/* The run `expire`, for C and C++. A subject plans, starts the sleeps, calls expire_begin when the first of them
 * is about to end and expired at the end of each; its figure is expire_finish. */
#ifndef BENCHES_EXPIRE_H
#define BENCHES_EXPIRE_H

#include <stdbool.h>

#include "harness/timing.h"

enum { SLEEPS = 1000000, SCATTER = 7919 /* prime */ };

static double expire_base_ns, expire_cpu_ns;
static double expire_late_ns[SLEEPS];
static long expire_count;

static inline double cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

/* The sleeps end within a second that begins so many seconds from now. */
static inline void expire_plan(double seconds_from_now) { expire_base_ns = now_ns() + seconds_from_now * 1e9; }

/* When sleep `i` is to end; the order is none that a heap or a wheel would like. */
static inline double expire_when_ns(long i) {
    return expire_base_ns + (double)(i * SCATTER % SLEEPS) * 1e9 / SLEEPS;
}

static inline double expire_begin_ns(void) { return expire_base_ns - 200e6; }

static inline void expire_begin(void) {
    if (now_ns() >= expire_base_ns) {
        fprintf(stderr, "the sleeps were not all started in time\n");
        exit(1);
    }
    expire_cpu_ns = cpu_ns();
}

/* Returns whether it was the last one. */
static inline bool expired(long i) {
    expire_late_ns[i] = now_ns() - expire_when_ns(i);
    return ++expire_count == SLEEPS;
}

static inline int expire_order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double expire_finish(void) {
    double each = (cpu_ns() - expire_cpu_ns) / SLEEPS;
    qsort(expire_late_ns, SLEEPS, sizeof expire_late_ns[0], expire_order);
    printf("expire_late_p99 %.6g\n", expire_late_ns[SLEEPS / 100 * 99] / 1e6);
    return each;
}

#endif
