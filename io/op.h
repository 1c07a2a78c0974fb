/* An operation that a task waits for: the bridge from the calls in io.h to the driver and back.
 *
 *     weft_recv -> weft__op_run -> [scheduler] commit: driver.submit -> ... -> driver.reap -> complete
 *               <- the task, woken                                                          <-
 *
 * The operation lives on the task's stack, and belongs to the driver of the worker that submitted it: the one that the
 * task runs on, or that one's host (runtime/crowding.h), and then a message goes there from the commit. The
 * task continues, perhaps on another worker, after the operation's own completion, never after the
 * cancel's. */
#ifndef WEFT_IO_OP_H
#define WEFT_IO_OP_H

#include "../runtime/driver.h"
#include "../runtime/worker.h"

/* Submits, waits, returns the result. A pending cancel request: -ECANCELED, nothing is submitted. */
intptr_t weft__op_run(struct weft__op op);

/* The same for an operation that completes many times: each(arg, result) for every completion but the last,
 * whose result is returned. Thread of each: the submitter's scheduler or, if it is stuck, the watchman's,
 * which is no worker; one call at a time. */
intptr_t weft__op_run_many(struct weft__op op, void (*each)(void *arg, int32_t result), void *arg);

/* weft__op_run for descriptors that may have O_NONBLOCK, where the ring answers EAGAIN instead of waiting:
 * then waits for `events` and tries again. */
intptr_t weft__op_run_when_ready(struct weft__op op, short events);

/* The largest transfer that one operation makes. */
static inline uint32_t weft__op_length(size_t bytes) { return bytes > INT32_MAX ? INT32_MAX : (uint32_t)bytes; }

/* The calling task; NULL outside one. */
static inline struct weft__task *weft__op_task(void) {
    struct weft__worker *worker = weft__world_worker();
    return worker ? worker->current : NULL;
}

#endif
