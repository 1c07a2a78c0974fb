/* A task: a future, a function and, from its first step to its last, a stack. One slab record. */
#ifndef WEFT_RUNTIME_TASK_H
#define WEFT_RUNTIME_TASK_H

#include <weft/task.h>

#include "future.h"
#include "slab.h"
#include "stack.h"

struct weft__context;
struct weft__runtime;
struct weft__worker;

/* What a worker's local FIFO and its inbox hold: a task, a callback, a message. One that is still queued when
 * its loop has ended is run too, with worker == NULL: it gives back what it holds, and calls nothing of the
 * user's. (A task record has no room for a second function here.) */
struct weft__runnable {
    struct weft__item link;
    /* Thread: the worker's. With NULL for the worker: the loop has ended; discard it. */
    void (*run)(struct weft__worker *worker, struct weft__runnable *runnable);
};

/* What a suspended task waits for, as a canceller sees it. Lives on the task's stack. */
struct weft__wait {
    weft_future *future;                     /* the request is passed on to it; or */
    void (*cancel)(struct weft__wait *wait); /* ends the wait early; with a future: only if the request came
                                                back in a circle of awaits. Thread: any; must not block */
    /* for reports */
    const char *what;                        /* without a future: what it is, in words; NULL: nobody has said, */
    const void *object;                      /* and which one; */
    struct weft__task *(*holder)(const void *object); /* who could end the wait, perhaps gone; NULL: nobody knows */
};

/* The same as somebody sees it who only looks. */
struct weft__awaited {
    weft_future *future;       /* a task or one of kind CUSTOM, with a reference */
    const char *what;          /* NULL: a plain future */
    const void *object;
    struct weft__task *holder; /* perhaps gone */
};

/* A task that runs what it awaits in place, as a call on its stack. While that runs there is nothing to deliver a
 * cancel request to; so its wait is published when what runs there suspends: two atomic operations less for all
 * that never do. */
struct weft__host {
    struct weft__wait wait;
    struct weft__host *outer;
    struct weft__task *task;
    bool published;
};

enum weft__arg {
    WEFT__ARG_VALUE,  /* a pointer of the user's: future.arg, so that the third cache line is not touched */
    WEFT__ARG_OWNED,  /* inline_arg holds the argument, a pointer, which is freed with the record */
    WEFT__ARG_INLINE, /* the argument is the address of inline_arg */
    WEFT__ARG_HOLDS_FUTURE, /* the same; it begins with a reference to a future, or NULL */
};

struct weft__task {
    weft_future future;
    /* queued or running: whoever holds the task */
    union {
        struct weft__runnable runnable;
        struct {                           /* once it has ended with an error: on which loop */
            weft_loop *loop;
            uint64_t serial;
        } ended;
    };
    struct weft__stack *stack;             /* NULL before the first step and after the last */
    int last_receive_fd;                   /* descriptor of the last receive, */
    bool data_left;                        /* which said that more is there: try at once (io/net.c) */
    /* const once scheduled */
    bool in_deque;                         /* queued by value: may be claimed while its entry goes stale */
    bool born_cancelled;                   /* made while the runtime was stopping */
    bool must_start;                       /* runs even if cancelled first: its argument owns something */
    /* const after init */
    weft_fn *fn;
    const char *name;                      /* NULL: none was given */
    /* const once scheduled */
    struct weft__runtime *runtime;
    struct weft__worker *pinned;           /* NULL: any worker of the runtime */
    /* the running task only */
    struct weft__context *context;         /* of its context variables; NULL: empty */
    /* any thread; protocol in cancel.c */
    _Atomic uintptr_t wait;                /* struct weft__wait *, lowest bit: a canceller is at it */
    _Alignas(16) char inline_arg[64];      /* const after init */
};
_Static_assert(sizeof(struct weft__task) <= WEFT__SLAB_RECORD_BYTES, "a task is one slab record");

static inline struct weft__task *weft__task_of(weft_future *future) {
    return future && future->kind == WEFT__KIND_TASK ? (struct weft__task *)future : NULL;
}

static inline bool weft__is_coroutine(weft_future *future) {
    return future && future->kind == WEFT__KIND_TASK && weft__phase(load_relaxed(&future->state)) == WEFT__COROUTINE;
}

/* What the first call that takes it consumes: an undriven coroutine (or a driven one, which takes no more), a
 * gather, a shield, a weft_to_thread. */
static inline bool weft__is_temporary(weft_future *future) {
    struct weft__task *task = weft__task_of(future);
    return task ? !task->runtime : weft__is_temporary_future(future);
}

/* Of a task that has not run yet; afterwards only what is in inline_arg. */
static inline void *weft__task_arg(struct weft__task *task) {
    switch ((enum weft__arg)task->future.arg_kind) {
    case WEFT__ARG_VALUE: return task->future.arg;
    case WEFT__ARG_OWNED: return *(void **)(void *)task->inline_arg;
    default: return task->inline_arg;
    }
}

static inline void weft__task_set_arg(struct weft__task *task, void *arg) {
    task->future.arg_kind = WEFT__ARG_VALUE;
    task->future.arg = arg;
}

/* A block from malloc. */
static inline void weft__task_own_arg(struct weft__task *task, void *arg) {
    task->future.arg_kind = WEFT__ARG_OWNED;
    *(void **)(void *)task->inline_arg = arg;
}

/* Makes a scheduled task of a coroutine: COROUTINE -> READY with a second reference, the runtime's. Does
 * not queue it. 0 or -EINVAL (not a coroutine, or driven already). */
int weft__task_schedule(struct weft__task *task, struct weft__runtime *runtime, struct weft__worker *pinned);

/* Claims a coroutine or an unstarted task to run it: `from` -> STARTED, adding `references`. False:
 * somebody else has it. */
bool weft__task_claim(struct weft__task *task, enum weft__phase from, unsigned references);

/* Gives an unstarted task, claimed, its stack. False without memory: then it has ended, or has been queued again.
 * Thread: the worker's. */
bool weft__task_seat(struct weft__worker *worker, struct weft__task *task);

/* Runs the task for one step, on its own stack, starting it if need be; and then, on a loop that is not in strict
 * order, those that follow it in this turn. `run` of its runnable.
 * Owns: the queue's reference of an unstarted task becomes the run's. Thread: the worker's scheduler. */
void weft__task_step(struct weft__worker *worker, struct weft__runnable *runnable);

/* The body: calls fn (unless a cancel request came first: then the task ends with that) and completes the
 * task. Owns: takes the run's reference. Thread: its worker, on the stack that the task is to have. */
void weft__task_run(struct weft__task *task);

/* What every stack's fiber runs, one body after the other; the entry of every stack pool. */
void weft__task_fiber(struct weft__fiber *fiber);

/* The halves of weft__task_suspend: what the running task does before it leaves its stack, and once it is back.
 * leave returns whom to switch to, and in `*self` the task. */
struct weft__fiber *weft__task_leave(bool (*commit)(struct weft__task *task, void *arg), void *arg,
                                     struct weft__task **self);
void weft__task_arrive(struct weft__task *self);

/* Switches from the running task to the next one that is ready, or to the worker's loop. There commit(task, arg)
 * is called, with the task's registers saved: only then may the task be made wakeable. If commit returns false
 * there is nothing to wait for, and the task continues: at once, or as one that is ready. */
static inline void weft__task_suspend(bool (*commit)(struct weft__task *task, void *arg), void *arg) {
    struct weft__task *self;
    struct weft__fiber *next = weft__task_leave(commit, arg, &self);
    weft__fiber_switch(&self->stack->fiber, next);
    weft__task_arrive(self);
}

/* Makes a suspended task ready. Exactly once per suspension. Thread: any. */
void weft__task_wake(struct weft__task *task);

/* weft_await in the running task for a future that is not done, with a limit: at `deadline_ns`, the task
 * completes the plain future itself, with -ETIMEDOUT. Neither runs anything in place nor consumes. */
intptr_t weft__await_until(struct weft__task *task, weft_future *future, int64_t deadline_ns);
/* weft_await on a plain thread, with a limit: gives up with -ETIMEDOUT. -EPERM inside a blocking region. */
intptr_t weft__await_on_thread(weft_future *future, int64_t deadline_ns);
/* `timeout_ns` from now, INT64_MAX at most. */
int64_t weft__deadline(int64_t timeout_ns);

/* Fills every field of a fresh record but the argument and the state word, whose store publishes it. */
static inline void weft__task_init(struct weft__task *task, const char *name, weft_fn *fn) {
    weft__future_init(&task->future, WEFT__KIND_TASK);
    task->future.stack_class = 0;
    task->runnable.run = weft__task_step;
    task->stack = NULL;
    task->last_receive_fd = -1;
    task->data_left = false;
    task->in_deque = false;
    task->born_cancelled = false;
    task->must_start = false;
    task->fn = fn;
    task->name = name;
    task->runtime = NULL;
    task->pinned = NULL;
    task->context = NULL;
    store_relaxed(&task->wait, 0);
}

/* Last rites of a record. Thread: any. */
void weft__task_fini(struct weft__task *task);

/* cancel.c: publishes what the task waits for, and passes on a request that is pending. Called before
 * anything can wake the task. */
void weft__wait_publish(struct weft__task *task, struct weft__wait *wait);
/* The same for the hosts of a stack that were not published yet. Called before requests are delivered to the task
 * that runs on it; weft__wait_publish does it. */
void weft__hosts_publish(struct weft__stack *stack);
/* Withdraws it; returns when no canceller looks at it any more. Called by the task itself, resumed. */
void weft__wait_retract(struct weft__task *task);
/* Whether the task has published what it waits for, and what that is. Thread: any, with a reference on the task. */
bool weft__wait_look(struct weft__task *task, struct weft__awaited *awaited);
/* Whether the task has a cancel request that was not delivered; and delivers it. Thread: the task's. */
bool weft__cancel_pending(struct weft__task *task);
bool weft__cancel_consume(struct weft__task *task);
/* weft_cancel_with for whoever passes a request on to `future`; with it he says what he came through. */
bool weft__cancel_along(weft_future *future, const char *message, const struct weft__passage *passage);
/* The task's await came out with what `future`, done, holds: if -ECANCELED, its message becomes the task's. */
void weft__cancel_inherit_message(struct weft__task *task, weft_future *future);
static inline void weft__cancel_inherit(struct weft__task *task, weft_future *future) {
    if (future->result == -ECANCELED) weft__cancel_inherit_message(task, future);
}
/* weft_cancel for a timeout scope or a group: also tells the epoch in which the request was made. */
bool weft__cancel_request(struct weft__task *task, uint16_t *epoch);
/* Requests that were delivered and not taken back. Thread: the task's. */
uint32_t weft__cancel_delivered(struct weft__task *task);
/* Takes a scope's request back, delivered or not; returns what weft__cancel_delivered says then. Thread: the
 * task's. */
uint32_t weft__cancel_withdraw(struct weft__task *task, uint16_t epoch);

#endif
