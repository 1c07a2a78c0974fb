/* A worker's timers: the wheel under a lock, so that any thread can cancel.
 *
 * A timer is armed for the worker whose wheel it enters, fired by that worker or, if that is stuck, by the watchman, and
 * cancelled by anyone; the lock decides who. Its life: INIT -> ARMED -> FIRING -> IDLE, or CANCELLED.
 * A cancel that comes before arming (between publishing a wait and arming its timer) leaves CANCELLED, and
 * the arming then fails: so it cannot be missed. */
#ifndef WEFT_RUNTIME_TIMER_H
#define WEFT_RUNTIME_TIMER_H

#include "timer_wheel.h"
#include "world.h"

enum weft__timer_state { WEFT__TIMER_INIT, WEFT__TIMER_ARMED, WEFT__TIMER_FIRING, WEFT__TIMER_IDLE, WEFT__TIMER_CANCELLED };

struct weft__timers {
    weft__lock lock;
    struct weft__timer_wheel wheel;  /* lock */
    _Atomic int64_t next_ns;         /* written under lock: a lower bound */
    _Atomic uint64_t fired;          /* counter, written under lock */
};

struct weft__timer {
    struct weft__wheel_node node;    /* lock */
    struct weft__timers *timers;     /* const after init */
    /* Thread: the worker's or, unless own_worker, the watchman's, which is no worker. FIRING before it; it must leave
     * the state IDLE (weft__timer_fired) as the last touch, unless it hands the timer back to a task that can no
     * longer cancel it. */
    void (*fire)(struct weft__timer *timer);
    _Atomic uint8_t state;           /* written under lock but for FIRING -> IDLE */
    bool own_worker;                 /* const after init: no rescuer may fire it */
};

void weft__timers_init(struct weft__timers *timers, int64_t now_ns);

static inline void weft__timer_init(struct weft__timer *timer, struct weft__timers *timers,
                                    void (*fire)(struct weft__timer *timer)) {
    timer->timers = timers;
    timer->fire = fire;
    timer->own_worker = false;
    atomic_init(&timer->state, WEFT__TIMER_INIT);
}

/* False if the timer was cancelled before. arm_due: the deadline has passed, so it fires in the next turn. Thread: the
 * worker's; or any, which then wakes the worker, that may sleep for longer. */
bool weft__timer_arm(struct weft__timer *timer, int64_t deadline_ns);
bool weft__timer_arm_due(struct weft__timer *timer, int64_t deadline_ns);

/* Thread: any. What the timer was: CANCELLED means that it was armed and will not fire, INIT that arming
 * will fail, FIRING that it fires right now, IDLE that it has fired. */
enum weft__timer_cancel { WEFT__CANCEL_DONE, WEFT__CANCEL_EARLY, WEFT__CANCEL_FIRING, WEFT__CANCEL_LATE };
enum weft__timer_cancel weft__timer_cancel(struct weft__timer *timer);

/* Takes the timer out of the wheel, or waits until its firing is over: nobody touches it any more. Not for a
 * timer whose fire function hands it over to somebody. Thread: any but the one that fires it. */
void weft__timer_settle(struct weft__timer *timer);

/* The last touch of a fire function. Pairs with weft__timer_settle. */
static inline void weft__timer_fired(struct weft__timer *timer) {
    store_release(&timer->state, WEFT__TIMER_IDLE);
}

/* Fires what is due at `now_ns`. `strict`: all of it, in order of (deadline, insertion); else some, and more in the next
 * turn. Thread: the worker's. */
void weft__timers_fire(struct weft__timers *timers, int64_t now_ns, bool strict);

/* Fires what is due at `now_ns`, but for the timers that only their worker may fire. Thread: the watchman. */
void weft__timers_rescue(struct weft__timers *timers, int64_t now_ns);

/* When to look again; INT64_MAX: no timer. Thread: any. */
static inline int64_t weft__timers_next(struct weft__timers *timers) { return load_relaxed(&timers->next_ns); }

#endif
