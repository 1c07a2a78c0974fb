/* The case `wake`, for C and C++. */
#ifndef BENCHES_WAKE_H
#define BENCHES_WAKE_H

#include <unistd.h>

#include "harness/timing.h"

enum { WAKES = 400, WARM_UP = 50 };

static double wake_sent, wake_took[WAKES];
static int wakes; /* written by whom is woken, released to the sender */

/* What the loop calls. */
static inline void woken(void) {
    wake_took[wakes] = now_ns() - wake_sent;
    __atomic_store_n(&wakes, wakes + 1, __ATOMIC_RELEASE);
}

static inline int wake_order(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Calls submit(arg) from this thread, which has woken() called in the loop; the loop sleeps in between. Returns
 * the median in microseconds. */
static inline double wake_p50_us(void (*submit)(void *arg), void *arg) {
    for (int i = 0; i < WAKES; i++) {
        do usleep(1000);
        while (__atomic_load_n(&wakes, __ATOMIC_ACQUIRE) < i);
        wake_sent = now_ns();
        submit(arg);
    }
    while (__atomic_load_n(&wakes, __ATOMIC_ACQUIRE) < WAKES) usleep(1000);
    qsort(wake_took + WARM_UP, WAKES - WARM_UP, sizeof wake_took[0], wake_order);
    return wake_took[(WAKES + WARM_UP) / 2] / 1000;
}

#endif
