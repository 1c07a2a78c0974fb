/* Turns of the queue: what CPython does by call_soon, and a strict-order loop of ours therefore too.
 *
 * A listener is a waiter of a combinator. Completing a future serves it at once, on the completer's thread, so
 * that no stuck loop delays it; but on a strict-order loop it is queued behind what is ready, as CPython queues
 * the done callbacks of gather, shield, wait, as_completed and TaskGroup. It may then run when the waiting side
 * has long gone: so its memory is counted, never a stack frame of somebody who can be cancelled.
 *
 * A call is the same for a timer of a strict-order loop: queued when the timer fires, and called off by a task
 * of that loop that needs it no more. */
#ifndef WEFT_RUNTIME_TURN_H
#define WEFT_RUNTIME_TURN_H

#include "task.h"

struct weft__listener {
    struct weft__waiter waiter;
    struct weft__runnable runnable;
    /* The future is done. Once per listener that was not taken back. Thread: any, a scheduler's or a task's;
     * with the loop ended, nobody's: it must not block nor call users' code. */
    void (*hear)(struct weft__listener *listener);
};

void weft__listener_init(struct weft__listener *listener, void (*hear)(struct weft__listener *listener));

/* Lets the listener hear of a future that is done: now, or in its turn of the queue. */
void weft__listener_serve(struct weft__listener *listener);

/* A turn of the queue for fn(arg), once. NULL without memory, then fn was called at once.
 * Thread: a strict-order worker's. */
struct weft__call;
struct weft__call *weft__call_queue(struct weft__worker *worker, void (*fn)(void *arg), void *arg);

/* It will not be called. Thread: the same worker's, and before it was called. */
void weft__call_off(struct weft__call *call);

#endif
