/* Threads that may block: an elastic pool with a bounded queue. Its users: jobs (executor.c), and the blocking
 * regions of tasks (blocking.c). The protocol stands in thread_pool.c. */
#ifndef WEFT_RUNTIME_THREAD_POOL_H
#define WEFT_RUNTIME_THREAD_POOL_H

#include <weft/executor.h>

#include "fiber.h"
#include "list.h"
#include "task.h"
#include "world.h"

struct weft__runtime;

/* A thread of a pool; lives on that thread's own stack. */
struct weft__pool_thread {
    /* const after init */
    weft_thread_pool *pool;
    /* its own thread only */
    struct weft__fiber scheduler; /* the thread's own context, for those who bring a stack with them */
    struct weft__task *task;      /* whose blocking region runs here; NULL: none */
    unsigned depth;               /* of enters without their leave */
    /* the pool's lock */
    struct weft__list link;       /* in `idle`; empty: not there */
    bool searching;               /* counted as such */
    /* any thread */
    _Atomic uint32_t woken;
};

/* Something for a thread to run. Exactly one of run and drop is called, unless it is withdrawn. */
struct weft__pool_item {
    struct weft__list link;       /* the pool's lock; empty: not in the queue */
    const struct weft__pool_ops *ops;
};
struct weft__pool_ops {
    /* The item is about to stand in the queue, or to leave it for good: whether that is still wanted. NULL: it is.
     * Called under the pool's lock. */
    bool (*admit)(struct weft__pool_item *item);
    bool (*claim)(struct weft__pool_item *item);
    void (*run)(struct weft__pool_thread *thread, struct weft__pool_item *item);
    /* It will not run, because of `error`. Thread: any. */
    void (*drop)(struct weft__pool_item *item, int error);
};

/* Queues the item. Where the queue is full, submit waits for a place: a task suspends, a plain thread blocks; push
 * exceeds the bound. After 0 the item may be gone. 0, -ESHUTDOWN (closed), -EPERM (a forked child); submit:
 * -ECANCELED, -EAGAIN (full, and the caller cannot wait); push: -ECANCELED (not admitted). Anything else comes
 * through drop. */
int weft__pool_submit(weft_thread_pool *pool, struct weft__pool_item *item);
int weft__pool_push(weft_thread_pool *pool, struct weft__pool_item *item);

/* Takes an item that stands in the queue, if it still does, back. When it returns, nobody touches the item. */
void weft__pool_withdraw(weft_thread_pool *pool, struct weft__pool_item *item);

/* Whether the caller can wait for the end of the pool: 0, -EDEADLK (a thread of the pool, a loop's callback),
 * -EPERM (inside a blocking region). */
int weft__pool_may_close(weft_thread_pool *pool);

/* Accepts no more, and returns; the threads run what is queued, and end. Again is fine. */
void weft__pool_shut(weft_thread_pool *pool);

weft_thread_pool *weft__pool_ref(weft_thread_pool *pool);
void weft__pool_unref(weft_thread_pool *pool);

/* executor.c: the pools of a runtime, made at first use. NULL and *error: -ENOMEM, or -ESHUTDOWN for a default
 * executor that was shut down. The caller gets a reference. Thread: any, with the runtime kept alive. */
weft_thread_pool *weft__executor_pool(struct weft__runtime *runtime, int *error);
weft_thread_pool *weft__resolver_pool(struct weft__runtime *runtime, int *error); /* slow names starve nobody */
weft_thread_pool *weft__blocking_pool(struct weft__runtime *runtime, int *error); /* weft_enter_blocking's */

/* Waits as the runtime's options say for the jobs of its default executor. Thread: a task of it. Suspends: yes. */
void weft__executor_finish(struct weft__runtime *runtime);
/* Whether there is a default executor that the end of the runtime is to wait for. */
bool weft__executor_any(struct weft__runtime *runtime);
/* What weft_stats says of them. */
void weft__executor_stats(struct weft__runtime *runtime, unsigned *threads, uint64_t *queued);
/* Shuts all pools of a runtime that has ended, and waits for none. */
void weft__executor_fini(struct weft__runtime *runtime);

#endif
