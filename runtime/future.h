/* A result that may not exist yet: the head of every task, and a plain future by itself.
 *
 * One atomic word holds everything that threads race for:
 *
 *     63      40 39   28 27              16 15           8   6         5         4      3      2   0
 *     | references | epoch | cancel requests | undelivered | RETRIEVED CANCELLED WAITED LOCKED phase |
 *                            not taken back    of these
 *
 *     COROUTINE --schedule--> READY --claim--> STARTED --complete--> DONE     (task.c)
 *     COROUTINE --claim (awaited as a plain call)--> STARTED --> DONE         (await.c)
 *     PENDING --complete--> DONE                                              (future.c, plain futures)
 *
 * LOCKED guards the list of waiters; WAITED says that the list is not empty, so that a completion without
 * waiters is one CAS and never takes the lock. `epoch` counts deliveries of cancel requests, so that a
 * timeout scope can tell whether its own request is still undelivered (cancel.c). A completion writes
 * `result` before the CAS that makes the phase DONE (release); whoever sees DONE (acquire) may read it.
 *
 * References are given up by release (future.c); the last one returns the record to the slab. */
#ifndef WEFT_RUNTIME_FUTURE_H
#define WEFT_RUNTIME_FUTURE_H

#include <weft/future.h>

#include "atomics.h"
#include "list.h"

#define WEFT__PHASE UINT64_C(7)
enum weft__phase {
    WEFT__FREE, /* a record of the slab that is nobody's */
    WEFT__COROUTINE,
    WEFT__READY,
    WEFT__STARTED,
    WEFT__PENDING,
    WEFT__DONE,
};
#define WEFT__LOCKED (UINT64_C(1) << 3)
#define WEFT__WAITED (UINT64_C(1) << 4)
#define WEFT__CANCELLED (UINT64_C(1) << 5)
#define WEFT__RETRIEVED (UINT64_C(1) << 6) /* somebody has seen that it ended with an error */
#define WEFT__REQUEST (UINT64_C(1) << 8)
#define WEFT__REQUESTS (UINT64_C(255) << 8)
#define WEFT__COUNTED (UINT64_C(1) << 16) /* 4095 at most: further requests are made, but not counted */
#define WEFT__COUNT (UINT64_C(4095) << 16)
#define WEFT__EPOCH (UINT64_C(1) << 28)
#define WEFT__EPOCHS (UINT64_C(4095) << 28)
#define WEFT__REFERENCE (UINT64_C(1) << 40)

/* Somebody to be told when a future completes. Lives where the waiter lives; once `serve` has begun, the
 * future no longer touches it. */
struct weft__waiter {
    struct weft__waiter *next;
    void (*serve)(struct weft__waiter *waiter); /* Thread: the completer's; must not block */
    _Atomic bool unwanted;                      /* taken back before it was added */
};

enum weft__kind { WEFT__KIND_FUTURE, WEFT__KIND_TASK, WEFT__KIND_IMMORTAL, WEFT__KIND_CUSTOM };

struct weft_future {
    _Atomic uint64_t state;
    union {
        intptr_t result;          /* written before DONE */
        void *arg;                /* of a task that has not started, if it is WEFT__ARG_VALUE */
    };
    struct weft__waiter *waiters; /* LOCKED; newest first */
    _Atomic(const char *) message; /* of the last cancel request that had one; borrowed for ever */
    const void *site;             /* const once shared: the call that made it; NULL outside debug mode */
    uint8_t kind;                 /* const after init */
    uint8_t stack_class;          /* const after init; tasks: see run.h */
    uint8_t arg_kind;             /* const after init; tasks: enum weft__arg */
    uint8_t temporary;            /* const once shared; plain futures: consumed by the first call that takes it */
};

/* A future that is no task. */
struct weft__plain_future {
    weft_future future;
    weft_loop *loop;              /* const after init: whose it is, or NULL; and of which use of that handle */
    uint64_t loop_serial;
};

static inline enum weft__phase weft__phase(uint64_t state) { return (enum weft__phase)(state & WEFT__PHASE); }
static inline uint32_t weft__undelivered(uint64_t state) { return (state & WEFT__REQUESTS) / WEFT__REQUEST; }
static inline uint32_t weft__requests(uint64_t state) { return (state & WEFT__COUNT) / WEFT__COUNTED; }
static inline uint16_t weft__epoch(uint64_t state) { return (uint16_t)((state & WEFT__EPOCHS) / WEFT__EPOCH); }
static inline bool weft__is_done(const weft_future *future) {
    /* pairs with the CAS in complete: the result is visible */
    return weft__phase(load_acquire(&((weft_future *)(uintptr_t)future)->state)) == WEFT__DONE;
}

/* Nobody is going to look at its error, and that is all right. */
static inline void weft__future_ignore(weft_future *future) {
    if (future->kind != WEFT__KIND_IMMORTAL)
        atomic_fetch_or_explicit(&future->state, WEFT__RETRIEVED, memory_order_relaxed); /* with our reference */
}

/* The result of a done future, for somebody who looks at it: an error that nobody sees is reported. */
static inline intptr_t weft__future_retrieve(weft_future *future) {
    if (weft_is_error(future->result) && !(load_relaxed(&future->state) & WEFT__RETRIEVED)) weft__future_ignore(future);
    return future->result;
}

/* The way that a cancel request takes through futures of kind CUSTOM; lives on the canceller's stack. */
struct weft__passage {
    const struct weft__passage *outer;
    const weft_future *through;
};

/* A future that knows what to do about a cancel request: a gather, a shield. One slab record, which begins
 * with this. Only its maker completes it, and exactly once. */
struct weft__future_ops {
    bool temporary; /* consumed by the first call that takes it (weft_await, weft_gather, ...) */
    /* True: the completion to come will report the request. Only marks: a canceller holds a task inside its
     * wait meanwhile. Thread: any. */
    bool (*accept_cancel)(weft_future *future);
    /* Does what there is to do about a request that was accepted; with a reference. Passes it on with
     * weft__cancel_along and `passage`. Thread: any. */
    void (*pass_cancel)(weft_future *future, const struct weft__passage *passage);
    void (*fini)(weft_future *future); /* last rites, before the record goes back. Thread: any */
};
struct weft__custom {
    weft_future future;
    const struct weft__future_ops *ops; /* const after init */
};

static inline struct weft__custom *weft__custom_of(weft_future *future) {
    return future && future->kind == WEFT__KIND_CUSTOM ? (struct weft__custom *)future : NULL;
}
/* Whether the first call that takes it consumes it; but for coroutines. And gives up that reference. */
static inline bool weft__is_temporary_future(weft_future *future) {
    struct weft__custom *custom = weft__custom_of(future);
    return custom ? custom->ops->temporary : future && future->temporary;
}
static inline void weft__release_temporary(weft_future *future) {
    if (weft__is_temporary_future(future)) weft_release(future);
}

/* A fresh custom future, a slab record, with one reference; NULL without memory. */
void *weft__custom_new(const struct weft__future_ops *ops);

/* Makes an empty plain future of memory that is no slab record: it is never freed, and whoever owns the memory
 * sees to it that nobody touches it any more. */
void weft__future_embed(weft_future *future);

/* Fills the head of a fresh record, but for the state word, whose store publishes it. */
static inline void weft__future_init(weft_future *future, enum weft__kind kind) {
    future->result = 0;
    future->waiters = NULL;
    future->site = NULL;
    future->kind = (uint8_t)kind;
    future->temporary = false;
    atomic_init(&future->message, NULL);
}

/* A future for whoever cannot make one: completed with `error` (or 0), never freed. */
weft_future *weft__future_failed(int error);

/* Completes with `result`. `gone`: references that the completer gives up with it. `cancelled`: ended by
 * cancellation. False if it was done already (then nothing changes, and the references remain). A task
 * that has an undelivered cancel request ends with -ECANCELED whatever `result` says (rule X12). */
bool weft__future_complete(weft_future *future, intptr_t result, bool cancelled, unsigned gone);

/* Cancels a plain future; `message` may be NULL. False if it was done already. */
bool weft__future_cancel(weft_future *future, const char *message);

/* Adds `waiter`; false if the future is done or the waiter unwanted (then it is not added). */
bool weft__future_add_waiter(weft_future *future, struct weft__waiter *waiter);

/* Removes `waiter`; false if it is not there, never was or has been taken to be served: then serve() has run or
 * is about to. */
bool weft__future_remove_waiter(weft_future *future, struct weft__waiter *waiter);

/* Removes and returns the newest waiter for which is_wanted(waiter, arg) is true; NULL if there is none. */
struct weft__waiter *weft__future_take_waiter(weft_future *future,
                                              bool (*is_wanted)(const struct weft__waiter *waiter, const void *arg),
                                              const void *arg);

/* The loop of a plain future, if it is still open. */
weft_loop *weft__future_loop(const weft_future *future);

/* Takes a reference unless the record is free, a coroutine or done. For walkers over the slab. */
bool weft__future_try_ref(weft_future *future);

#endif
