/* How other threads wake the owner of a driver that sleeps. If the driver has operations under way the owner sleeps in the
 * kernel until one completes or an eventfd is readable; else on a futex, which is woken in half the time. One word says
 * which, so that a ring is only as loud as it must be:
 *
 *     owner                                         ring, any thread
 *     S1 AWAKE -> ON_FD or ON_FUTEX (CAS);          R1 exchange RUNG; found
 *        RUNG: AWAKE again, and no sleep               AWAKE, RUNG: nothing to do
 *     S2 sleep                                         ON_FUTEX: wake the futex
 *     S3 exchange AWAKE                                ON_FD: write to the eventfd
 *
 * A ring after S3 of the sleep before keeps the next one from beginning. A write that is late, because its ringer was
 * preempted behind R1, may end a later sleep for nothing. tests/models/doorbell.c runs it. */
#ifndef WEFT_IO_DOORBELL_H
#define WEFT_IO_DOORBELL_H

#include "../runtime/atomics.h"

struct weft__doorbell {
    int fd;                    /* const while open */
    _Atomic uint32_t sleeper;  /* any thread; the futex */
};

/* 0 or -errno. */
int weft__doorbell_open(struct weft__doorbell *self);
void weft__doorbell_close(struct weft__doorbell *self);

/* Wakes the owner, or keeps it from its next sleep. Thread: any. */
void weft__doorbell_ring(struct weft__doorbell *self);

/* All below: the owner. Around a sleep in the kernel that ends when `fd` is readable; false: do not sleep, nor end. */
bool weft__doorbell_begin(struct weft__doorbell *self);
void weft__doorbell_end(struct weft__doorbell *self);
/* Sleeps until there is a ring, or was since the last sleep, or `deadline_ns`; perhaps for less. */
void weft__doorbell_wait(struct weft__doorbell *self, int64_t deadline_ns);
/* Makes `fd` unreadable again. */
void weft__doorbell_hear(struct weft__doorbell *self);

#endif
