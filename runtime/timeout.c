/* Timeout scopes. A scope is a timer that cancels its own task; the epoch in which the request was made
 * (future.h) tells, when the scope ends, whether the request is still undelivered and is to be withdrawn.
 *
 *     ACTIVE --timer--> EXPIRING --exit--> ENDED        (-ECANCELED becomes -ETIMEDOUT)
 *     ACTIVE --exit--> ENDED
 *
 * The timer fires on the worker where the scope was entered, while the task may run on another: exit takes
 * the timer back first, and if it is just firing waits until the firing is over (some hundred ns). On a
 * strict-order loop the request takes a turn of the queue, as CPython's timer callbacks do; exit calls it off. */
#include <weft/timeout.h>

#include <stddef.h>

#include "assert.h"
#include "turn.h"
#include "worker.h"

struct scope {
    struct weft__timer timer;
    uintptr_t entered;             /* cookie(self) between enter and exit */
    struct weft__task *task;
    struct weft__call *queued;     /* strict order: the timer has fired, and the request waits for its turn */
    uint32_t delivered_before;     /* the task's cancel requests that were delivered when it was entered */
    uint16_t epoch;                /* written by the timer before `expired` */
    _Atomic bool expired;
};
_Static_assert(sizeof(struct scope) <= sizeof(weft_timeout), "the public record is large enough");

static struct scope *scope_of(const weft_timeout *timeout) { return (struct scope *)(uintptr_t)timeout; }

/* Tells an entered scope from memory that holds anything else. */
static uintptr_t cookie(const struct scope *self) { return (uintptr_t)self ^ (uintptr_t)UINT64_C(0x77656674206c696d); }
static bool is_entered(const struct scope *self) { return self && self->entered == cookie(self); }

static void expire_now(void *arg) {
    struct scope *self = arg;
    self->queued = NULL;
    store_relaxed(&self->expired, weft__cancel_request(self->task, &self->epoch));
}

static void expire(struct weft__timer *timer) {
    struct scope *self = weft__container_of(timer, struct scope, timer);
    struct weft__task *task = self->task;
    struct weft__worker *worker = weft__world_worker();
    weft_ref(&task->future);
    if (worker && worker->strict) self->queued = weft__call_queue(worker, expire_now, self);
    else expire_now(self);
    weft__timer_fired(timer); /* publishes expired and epoch; from here the scope may be gone */
    weft_release(&task->future);
}

/* From here nobody but the task touches the scope. */
static void disarm(struct scope *self) {
    weft__timer_settle(&self->timer);
    if (self->queued) weft__call_off(self->queued);
    self->queued = NULL;
}

/* A timer that is due at once asks for no wheel: the next await that suspends finds the request. */
static void arm(struct scope *self, int64_t deadline_ns, int64_t now_ns) {
    weft__timer_init(&self->timer, &weft__world_worker()->timers, expire);
    if (deadline_ns == INT64_MAX) return;
    if (deadline_ns > now_ns) {
        weft__timer_arm(&self->timer, deadline_ns);
        return;
    }
    store_relaxed(&self->timer.state, WEFT__TIMER_IDLE);
    expire_now(self);
}

static int enter(weft_timeout *timeout, int64_t deadline_ns, int64_t now_ns) {
    struct scope *self = scope_of(timeout);
    struct weft__worker *worker = weft__world_worker();
    if (!self || is_entered(self)) return -EINVAL;
    self->task = worker ? worker->current : NULL;
    store_relaxed(&self->expired, false);
    self->queued = NULL;
    if (!self->task) return -EPERM;
    self->entered = cookie(self);
    self->delivered_before = weft__cancel_delivered(self->task); /* others may come out together with ours */
    arm(self, deadline_ns, now_ns);
    return 0;
}

int weft_timeout_enter_at(weft_timeout *timeout, int64_t deadline_ns) {
    return enter(timeout, deadline_ns, weft__world_now());
}

int weft_timeout_enter(weft_timeout *timeout, int64_t timeout_ns) {
    int64_t now = weft__world_now();
    if (timeout_ns < 0) timeout_ns = 0;
    return enter(timeout, timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns, now);
}

int weft_timeout_reschedule(weft_timeout *timeout, int64_t deadline_ns) {
    struct scope *self = scope_of(timeout);
    if (!is_entered(self)) return -EINVAL;
    if (!weft__world_worker()) return -EPERM;
    disarm(self);
    if (load_relaxed(&self->expired)) return -EALREADY;
    arm(self, deadline_ns, weft__world_now());
    return 0;
}

intptr_t weft_timeout_exit(weft_timeout *timeout, intptr_t result) {
    struct scope *self = scope_of(timeout);
    if (!is_entered(self)) return -EINVAL;
    if (!weft__world_worker()) return -EPERM; /* inside a blocking region */
    disarm(self);
    struct weft__task *task = self->task;
    self->entered = 0;
    if (!load_relaxed(&self->expired)) return result;
    bool alone = weft__cancel_withdraw(task, self->epoch) <= self->delivered_before;
    return result == -ECANCELED && alone ? -ETIMEDOUT : result;
}

bool weft_timeout_expired(const weft_timeout *timeout) {
    return timeout && load_acquire(&scope_of(timeout)->expired);
}
