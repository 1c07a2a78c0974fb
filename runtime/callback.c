/* Callbacks of a loop: call_soon, call_later, call_at, done callbacks.
 *
 * A record of the slab, whose state word stays readable when the record is used for something else, and then never
 * looks like a callback's: so a handle is a plain value, address and serial, that can be kept for ever.
 *
 *     QUEUED --the loop--> RUNNING --> 0 (gone)
 *     QUEUED --cancel--> CANCELLED --the loop finds it, or the end of the loop--> 0
 *     with a timer:  QUEUED --cancel--> CANCELLING, then whoever comes second frees the record:
 *                      the canceller, if it took the timer out of the wheel, or finds HANDED_OVER
 *                      the loop, if it finds CANCELLED; before that it leaves HANDED_OVER
 *
 * The state word is below WEFT__REFERENCE, so that walkers over the slab pass a callback by. */
#include <weft/loop.h>

#include "assert.h"
#include "context.h"
#include "worker.h"

enum { GONE, QUEUED, RUNNING, CANCELLED, CANCELLING, HANDED_OVER };
#define LIFE UINT64_C(7)
#define SERIAL_SHIFT 3

struct callback {
    _Atomic uint64_t state;
    char stable[WEFT__SLAB_STABLE_BYTES - sizeof(uint64_t)];
    /* const after init */
    struct weft__runnable runnable;
    void (*fn)(void *arg);
    void *arg;
    struct weft__context *context;    /* a copy of the registrar's; or */
    weft_context *explicit_context;
    const void *site;                 /* the call that scheduled it; NULL outside debug mode */
    /* the timer's */
    struct weft__timer timer;
};
_Static_assert(sizeof(struct callback) <= WEFT__SLAB_RECORD_BYTES, "a callback is one slab record");

static bool move(struct callback *callback, uint64_t serial, unsigned from, unsigned to) {
    uint64_t expected = serial << SERIAL_SHIFT | from; /* pairs with every other move of the same callback */
    return cas_acq_rel(&callback->state, &expected, serial << SERIAL_SHIFT | to);
}

static uint64_t serial_of(struct callback *callback) { return load_relaxed(&callback->state) >> SERIAL_SHIFT; }

static void free_callback(struct callback *callback) {
    weft__context_release(callback->context);
    weft_context_release(callback->explicit_context);
    store_release(&callback->state, GONE); /* pairs with the CAS of a late canceller, which fails */
    weft__slab_give(weft__worker_slab(), callback);
}

/* The loop's side of the race with cancel: whether the callback is to run. */
static bool begin(struct callback *callback) {
    uint64_t serial = serial_of(callback);
    if (move(callback, serial, QUEUED, RUNNING)) return true;
    if (!move(callback, serial, CANCELLING, HANDED_OVER)) free_callback(callback); /* CANCELLED */
    return false;
}

static void run_callback(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct callback *self = weft__container_of(runnable, struct callback, runnable);
    if (!begin(self)) return;
    if (worker && self->explicit_context) {
        if (weft__context_enter(self->explicit_context)) {
            self->fn(self->arg);
            weft__context_leave(self->explicit_context);
        } else {
            weft_loop_call_exception_handler(worker->loop, &(weft_exception_record){
                .message = "a callback was not called: somebody runs in its context", .error = -EBUSY,
                .name = "callback"});
        }
    } else if (worker) {
        worker->context = self->context;
        self->fn(self->arg);
        self->context = worker->context; /* what it has become is given up with the record */
        worker->context = NULL;
    }
    free_callback(self);
}

const void *weft__callback_site(const struct weft__runnable *runnable) {
    if (runnable->run != run_callback) return NULL;
    return weft__container_of(runnable, struct callback, runnable)->site;
}

static void fire(struct weft__timer *timer) {
    struct callback *self = weft__container_of(timer, struct callback, timer);
    struct weft__worker *worker = weft__container_of(timer->timers, struct weft__worker, timers);
    weft__fifo_push(&worker->local, &self->runnable.link);
    weft__timer_fired(timer);
}

/* ---- registering ---- */

static weft_handle failed(int error) { return (weft_handle){.error = error}; }

/* Calls from inside the runtime need no gate: it cannot end under them. */
static int enter(weft_loop *loop, bool threadsafe, bool *inside) {
    struct weft__worker *self = weft__world_worker();
    *inside = self && weft__worker_of(self->runtime, loop);
    if (*inside) return 0;
    if (!threadsafe && weft_loop_is_running(loop) && weft_loop_get_debug(loop)) return -EPERM;
    return weft__gate_enter(loop);
}

static struct callback *callback_new(void (*fn)(void *arg), void *arg, weft_context *context) {
    struct callback *self = weft__slab_take(weft__worker_slab());
    if (!self) return NULL;
    self->runnable.run = run_callback;
    self->fn = fn;
    self->arg = arg;
    self->explicit_context = weft_context_ref(context);
    self->context = context ? NULL : weft__context_ref(*weft__context_current());
    store_release(&self->state, weft__world_serial() << SERIAL_SHIFT | QUEUED); /* pairs with begin and cancel */
    return self;
}

/* What the public calls differ in. */
struct request {
    bool threadsafe;
    bool due;               /* when_ns is over */
    int64_t when_ns;        /* negative: soon */
    weft_context *context;
    const void *site;
};
#define SOON (-1)

static weft_handle schedule(weft_loop *loop, struct request request, void (*fn)(void *arg), void *arg) {
    bool inside;
    if (!loop || !fn) return failed(-EINVAL);
    int error = enter(loop, request.threadsafe, &inside);
    if (error) return failed(error);
    struct weft__worker *target = loop->worker;
    int64_t when_ns = request.when_ns;
    struct callback *self = callback_new(fn, arg, request.context);
    weft_handle handle = {self, self ? serial_of(self) : 0, when_ns < 0 ? 0 : when_ns, self ? 0 : -ENOMEM};
    if (self) self->site = request.site;
    if (self && when_ns >= 0) {
        weft__timer_init(&self->timer, &target->timers, fire);
        self->timer.own_worker = true;
        if (request.due) weft__timer_arm_due(&self->timer, when_ns); /* L5: in the next turn */
        else weft__timer_arm(&self->timer, when_ns);
        if (weft__world_worker() != target) weft__idle_notify_worker(target); /* it may sleep for longer */
    } else if (self && weft__world_worker() == target) {
        weft__fifo_push(&target->local, &self->runnable.link);
    } else if (self) {
        weft__worker_post(target, &self->runnable);
    }
    if (!inside) weft__gate_leave(loop);
    return handle;
}

weft_handle weft_loop_call_soon(weft_loop *loop, void (*fn)(void *arg), void *arg) {
    return schedule(loop, (struct request){.when_ns = SOON, .site = WEFT__SITE()}, fn, arg);
}

weft_handle weft_loop_call_soon_with(weft_loop *loop, weft_context *context, void (*fn)(void *arg), void *arg) {
    return schedule(loop, (struct request){.when_ns = SOON, .context = context, .site = WEFT__SITE()}, fn, arg);
}

weft_handle weft_loop_call_soon_threadsafe(weft_loop *loop, void (*fn)(void *arg), void *arg) {
    return schedule(loop, (struct request){.threadsafe = true, .when_ns = SOON, .site = WEFT__SITE()}, fn, arg);
}

static weft_handle call_at(weft_loop *loop, int64_t now_ns, int64_t when_ns, weft_context *context, const void *site,
                           void (*fn)(void *arg), void *arg) {
    static const int64_t never_ns = INT64_MAX - (INT64_C(1) << WEFT__WHEEL_TICK_SHIFT) * 2;
    if (when_ns < 0) when_ns = 0;
    struct request request = {.due = when_ns <= now_ns, .when_ns = when_ns < never_ns ? when_ns : never_ns,
                              .context = context, .site = site};
    return schedule(loop, request, fn, arg);
}

weft_handle weft_loop_call_at_with(weft_loop *loop, int64_t when_ns, weft_context *context, void (*fn)(void *arg),
                                   void *arg) {
    return call_at(loop, weft__world_now(), when_ns, context, WEFT__SITE(), fn, arg);
}

weft_handle weft_loop_call_at(weft_loop *loop, int64_t when_ns, void (*fn)(void *arg), void *arg) {
    return call_at(loop, weft__world_now(), when_ns, NULL, WEFT__SITE(), fn, arg);
}

weft_handle weft_loop_call_later(weft_loop *loop, int64_t delay_ns, void (*fn)(void *arg), void *arg) {
    int64_t now = weft__world_now();
    int64_t when_ns = delay_ns > INT64_MAX - now ? INT64_MAX : now + delay_ns;
    return call_at(loop, now, when_ns, NULL, WEFT__SITE(), fn, arg);
}

/* ---- handles ---- */

static weft_handle_state look(struct callback *callback, uint64_t serial) {
    uint64_t state = load_acquire(&callback->state); /* pairs with move */
    if (state >> SERIAL_SHIFT != serial) return WEFT_HANDLE_GONE;
    switch (state & LIFE) {
    case CANCELLED:
    case CANCELLING:
    case HANDED_OVER: return WEFT_HANDLE_CANCELLED;
    case RUNNING: return WEFT_HANDLE_RUNNING;
    default: return WEFT_HANDLE_GONE;
    }
}

weft_handle_state weft_handle_cancel(weft_handle handle) {
    struct callback *self = handle.callback;
    if (!self) return WEFT_HANDLE_GONE;
    if (handle.when_ns == 0) /* the loop finds it in the queue, and frees it */
        return move(self, handle.serial, QUEUED, CANCELLED) ? WEFT_HANDLE_CANCELLED : look(self, handle.serial);
    if (!move(self, handle.serial, QUEUED, CANCELLING)) return look(self, handle.serial);
    bool ours = weft__timer_cancel(&self->timer) == WEFT__CANCEL_DONE;
    if (ours || !move(self, handle.serial, CANCELLING, CANCELLED)) free_callback(self);
    return WEFT_HANDLE_CANCELLED;
}

/* ---- done callbacks ---- */

struct done_callback {
    char stable[WEFT__SLAB_STABLE_BYTES];
    /* const after init */
    struct weft__runnable runnable;
    struct weft__waiter waiter;
    void (*fn)(weft_future *future, void *arg);
    void *arg;
    weft_future *future;              /* with a reference, once served */
    weft_loop *loop;
    uint64_t serial;
    struct weft__context *context;
};
_Static_assert(sizeof(struct done_callback) <= WEFT__SLAB_RECORD_BYTES, "a done callback is one slab record");

static void free_done(struct done_callback *self) {
    weft__context_release(self->context);
    weft__slab_give(weft__worker_slab(), self);
}

static void run_done(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct done_callback *self = weft__container_of(runnable, struct done_callback, runnable);
    if (worker) {
        worker->context = self->context;
        self->fn(self->future, self->arg);
        self->context = worker->context;
        worker->context = NULL;
    }
    weft_release(self->future);
    free_done(self);
}

/* Queues it on its loop; if that is closed by now, nobody is there to be called. */
static void serve_done(struct weft__waiter *waiter) {
    struct done_callback *self = weft__container_of(waiter, struct done_callback, waiter);
    struct weft__worker *here = weft__world_worker(), *worker;
    weft_loop *loop = self->loop;
    weft_ref(self->future);
    if (here && here->loop == loop) {
        weft__fifo_push(&here->local, &self->runnable.link);
    } else if (here && (worker = weft__worker_of(here->runtime, loop))) {
        weft__worker_post(worker, &self->runnable);
    } else if (weft__gate_try_enter(loop, self->serial)) {
        weft__worker_post(loop->worker, &self->runnable);
        weft__gate_leave(loop);
    } else {
        weft_release(self->future);
        free_done(self);
    }
}

int weft_add_done_callback(weft_future *future, void (*fn)(weft_future *future, void *arg), void *arg) {
    if (!future || !fn || weft_iscoroutine(future)) return -EINVAL;
    weft_loop *loop = weft_get_running_loop();
    if (!loop) loop = weft_future_get_loop(future);
    if (!loop) return -EPERM;
    struct done_callback *self = weft__slab_take(weft__worker_slab());
    if (!self) return -ENOMEM;
    self->runnable.run = run_done;
    self->waiter = (struct weft__waiter){.serve = serve_done};
    self->fn = fn;
    self->arg = arg;
    self->future = future;
    self->loop = loop;
    self->serial = load_acquire(&loop->serial); /* pairs with weft__loop_new */
    self->context = weft__context_ref(*weft__context_current());
    if (!weft__future_add_waiter(future, &self->waiter)) serve_done(&self->waiter);
    return 0;
}

static bool is_same(const struct weft__waiter *waiter, const void *wanted) {
    if (waiter->serve != serve_done) return false;
    const struct done_callback *self = weft__container_of(waiter, struct done_callback, waiter), *other = wanted;
    return self->fn == other->fn && self->arg == other->arg;
}

int weft_remove_done_callback(weft_future *future, void (*fn)(weft_future *future, void *arg), void *arg) {
    if (!future || !fn) return -EINVAL;
    struct done_callback wanted = {.fn = fn, .arg = arg};
    int removed = 0;
    for (struct weft__waiter *waiter; (waiter = weft__future_take_waiter(future, is_same, &wanted)); removed++)
        free_done(weft__container_of(waiter, struct done_callback, waiter));
    return removed;
}
