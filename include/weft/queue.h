/* weft/queue.h: queues between tasks (asyncio.Queue, PriorityQueue, LifoQueue), and waiting for several at once.
 *
 *     weft_queue queue;
 *     weft_queue_init(&queue, 100);                      // at most 100 items
 *     weft_queue_put(&queue, (intptr_t)job);             // waits while it is full
 *     weft_queue_get(&queue, &item);                     // waits while it is empty
 *
 * They work between the tasks of all loops and workers, and plain threads, which block where a task suspends.
 * An item is an intptr_t, a number or a pointer; every value is legal, for it comes apart from the error.
 *
 * Whoever waits is served in the order of the requests; nobody overtakes him. A call that can go through does so
 * without suspending. A task that is cancelled while it waits leaves the line with -ECANCELED, and no item is
 * taken or left; if what it waited for came first, the call returns 0, and the request waits for the next await.
 *
 * As in asyncio, on a strict-order loop a getter (putter) that is woken takes its item (leaves it) when it
 * runs, until when the item (the free place) is kept for it. Elsewhere it has done so when it is woken. */
#ifndef WEFT_QUEUE_H
#define WEFT_QUEUE_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A queue. Its content is weft's. */
typedef struct weft_queue {
    uint64_t opaque[20];
} weft_queue;
#define WEFT_QUEUE_INIT(maxsize) {{(uint64_t)(maxsize), 0}}

/* Which of two items is to be got first: negative, a; positive, b; zero: the one that was put first. It is
 * called under the queue's lock: it must be quick, and call nothing of weft's. */
typedef int weft_compare(intptr_t a, intptr_t b);

/* Makes an empty queue for `maxsize` items, zero or less: without limit; first in first out (the same as
 * WEFT_QUEUE_INIT(maxsize)), last in first out, or by priority.
 * Thread: any. Suspends: no. Owns: weft_queue_fini gives its memory back. Errors: -EINVAL (NULL). */
int weft_queue_init(weft_queue *queue, int64_t maxsize);
int weft_lifo_queue_init(weft_queue *queue, int64_t maxsize);
int weft_priority_queue_init(weft_queue *queue, int64_t maxsize, weft_compare *compare);

/* Ends a queue that nobody is in a call on; the items that are left are dropped. NULL is fine.
 * Thread: any. Suspends: no. Owns: frees the queue's memory; the items are the caller's. Errors: none. */
void weft_queue_fini(weft_queue *queue);

/* Waits while the queue is full, and puts `item`.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -EPIPE (shut down, before or meanwhile), -ECANCELED,
 * -ENOMEM, -EDEADLK (a loop's callback that would have to wait). The item is in the queue if and only if it
 * returns 0. */
int weft_queue_put(weft_queue *queue, intptr_t item);

/* Waits while the queue is empty, and takes an item into *item.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -EPIPE (shut down and empty), -ECANCELED, -EDEADLK (a loop's
 * callback that would have to wait). *item is written if and only if it returns 0. */
int weft_queue_get(weft_queue *queue, intptr_t *item);

/* The same without waiting.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EAGAIN (full, empty), -EPIPE (shut down), -ENOMEM. */
int weft_queue_put_nowait(weft_queue *queue, intptr_t item);
int weft_queue_get_nowait(weft_queue *queue, intptr_t *item);

/* How many items are in the queue; whether there is none; whether there are maxsize of them. Those kept for a
 * getter that has not run yet are counted.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL); none: NULL is empty, and not full. */
int64_t weft_queue_qsize(weft_queue *queue);
bool weft_queue_empty(weft_queue *queue);
bool weft_queue_full(weft_queue *queue);

/* Says that the work on an item that was got is done.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL, or more often than items were put; nothing changes). */
int weft_queue_task_done(weft_queue *queue);

/* Waits until weft_queue_task_done was called for every item that was put.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -ECANCELED, -EDEADLK (a loop's callback that would have to
 * wait). */
int weft_queue_join(weft_queue *queue);

/* Shuts the queue down: puts fail from now on, those that wait too; gets fail once it is empty. `immediate`: the
 * items that are left are dropped, and count as done. Shutting down twice is fine.
 * Thread: any. Suspends: no. Owns: items that are dropped are the caller's. Errors: -EINVAL (NULL). */
int weft_queue_shutdown(weft_queue *queue, bool immediate);

/* ---- several at once ---- */

enum weft_select_kind {
    WEFT_SELECT_GET,    /* takes an item out of `queue` */
    WEFT_SELECT_PUT,    /* puts `item` into `queue` */
    WEFT_SELECT_FUTURE, /* `future` is done */
};

/* Something that may happen. The first four fields are the caller's to fill, the rest may be zero. */
typedef struct weft_select_case {
    enum weft_select_kind kind;
    weft_queue *queue;
    weft_future *future;  /* borrowed; a task or future, not a coroutine */
    intptr_t item;        /* to put; or, if that happened, what was got */
    int result;           /* if it happened: 0, -EPIPE (the queue is shut down), or -ENOMEM (put) */
    uint64_t opaque[12];
} weft_select_case;

/* Waits until one of `count` cases can happen, and does that one and no other. Returns its index; its `result`
 * says how it went. A future is only waited for: weft_result tells its outcome. If several can happen, a
 * random one does; on a strict-order loop the first. `timeout_ns`: WEFT_FOREVER, none; zero or less: without
 * waiting.
 * Thread: any. Suspends: yes. Owns: borrows the cases until it returns, and the futures.
 * Errors: -EINVAL (no case, or a NULL or a coroutine in one: nothing happens), -ETIMEDOUT, -ECANCELED, -EDEADLK (a
 * loop's callback that would have to wait); then no case has happened. */
int weft_select(weft_select_case *cases, size_t count, int64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
