/* weft/timeout.h: sleep and timeout scopes (asyncio.sleep, asyncio.timeout).
 *
 *     weft_timeout limit;
 *     weft_timeout_enter(&limit, WEFT_SEC(1));
 *     intptr_t r = weft_timeout_exit(&limit, fetch(url));      // -ETIMEDOUT if the second was over first
 *
 * A scope cancels its own task when the deadline passes, and turns the -ECANCELED that comes out into
 * -ETIMEDOUT. Scopes nest; a value that came before the deadline is never lost. */
#ifndef WEFT_TIMEOUT_H
#define WEFT_TIMEOUT_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Suspends the current task for at least `duration_ns`. Zero or less gives up control for one turn of the
 * loop. On a plain thread it blocks that thread.
 * Thread: any but a loop's callback. Suspends: yes. Errors: -ECANCELED, -EPERM (a loop's callback). */
int weft_sleep(int64_t duration_ns);

/* The same until weft_time() is at least `deadline_ns`. */
int weft_sleep_until(int64_t deadline_ns);

/* A scope; lives on the stack of the task that entered it. Its content is weft's. */
typedef struct weft_timeout {
    void *opaque[16];
} weft_timeout;

/* Begins a scope that ends `timeout_ns` from now; WEFT_FOREVER: never; zero or less: at the first await
 * that suspends.
 * Thread: task. Suspends: no. Owns: the scope must stay where it is until weft_timeout_exit.
 * Errors: -EINVAL (NULL, entered and not exited), -EPERM (not in a task). */
int weft_timeout_enter(weft_timeout *timeout, int64_t timeout_ns);
int weft_timeout_enter_at(weft_timeout *timeout, int64_t deadline_ns);

/* Moves the deadline of an entered scope that has not expired; WEFT_FOREVER removes it.
 * Thread: the task that entered. Suspends: no. Errors: -EINVAL (not entered, or ended), -EPERM (in a blocking
 * region), -EALREADY (has expired). */
int weft_timeout_reschedule(weft_timeout *timeout, int64_t deadline_ns);

/* Ends the scope. `result` is what the body came to; returns -ETIMEDOUT in its place if that is
 * -ECANCELED and comes from this scope alone. A request of this scope that was not delivered is withdrawn.
 * Thread: the task that entered. Suspends: no. Errors: `result`, -ETIMEDOUT, -EINVAL (not entered), -EPERM
 * (in a blocking region: the scope is left outside). */
intptr_t weft_timeout_exit(weft_timeout *timeout, intptr_t result);

/* Whether the deadline has passed and cancelled the body.
 * Thread: the task that entered. Suspends: no. Errors: none. */
bool weft_timeout_expired(const weft_timeout *timeout);

#ifdef __cplusplus
}
#endif
#endif
