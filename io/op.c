/* One operation. The worker that it begins on submits it, or posts it to its host (runtime/crowding.h), and whoever takes it
 * there is the operation's worker. Its state decides who may wake the task:
 *
 *     POSTED --message--> UNDER_WAY; or COMPLETED, if the descriptor was closed meanwhile: the message wakes
 *     POSTED --cancel (any thread)--> CANCEL_POSTED: the message wakes
 *     UNDER_WAY --completion--> COMPLETED: wakes
 *     UNDER_WAY --cancel (any thread)--> CANCEL_POSTED, a message to the operation's worker
 *         --message--> CANCEL_SENT: the driver was told --completion--> COMPLETED: wakes
 *         --completion first--> COMPLETED: does not wake, for the message still refers to the operation;
 *           --message--> wakes
 *
 * The message runs on the operation's worker, and so does the completion, unless that worker is stuck: then it runs on the
 * watchman's thread (runtime/watchman.h). The canceller's CAS comes from anywhere, under the BUSY bit of the task's wait
 * (cancel.c), which keeps the operation in place until it is done. While the message tells the driver the state is still
 * CANCEL_POSTED: a completion that comes meanwhile does not let the task go. */
#include "op.h"

#include <weft/timeout.h>

#include "../runtime/assert.h"
#include "fd_table.h"

enum { POSTED, UNDER_WAY, CANCEL_POSTED, CANCEL_SENT, COMPLETED };

struct operation {
    struct weft__op op;
    struct weft__wait wait;
    struct weft__runnable message;
    struct weft__task *task;
    struct weft__worker *worker; /* whose driver has it */
    void (*each)(void *arg, int32_t result);
    void *each_arg;
    int32_t result;
    uint16_t closes; /* of the descriptor, when the operation began: fd_table.h */
    _Atomic uint8_t state;
    bool again; /* ended by ourselves: somebody closes the descriptor, or what had its number before; or another worker
                 * shall host it */
};

static void run_message(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct operation *self = weft__container_of(runnable, struct operation, message);
    uint8_t posted = CANCEL_POSTED;
    weft__debug_assert(worker == self->worker);
    if (load_acquire(&self->state) == posted) worker->driver->ops->cancel(worker->driver, &self->op);
    if (!cas_acq_rel(&self->state, &posted, CANCEL_SENT)) weft__task_wake(self->task); /* pairs with on_complete */
}

static void cancel(struct weft__wait *wait) {
    struct operation *self = weft__container_of(wait, struct operation, wait);
    uint8_t state = load_relaxed(&self->state);
    do
        if (state > UNDER_WAY) return;
    while (!cas_acq_rel(&self->state, &state, CANCEL_POSTED)); /* pairs with on_complete and run_posted */
    if (state == POSTED) return;
    if (weft__world_worker() == self->worker) run_message(self->worker, &self->message);
    else weft__worker_post(self->worker, &self->message);
}

/* Since the operation began; notes it, if so. */
static bool closed_meanwhile(struct operation *self) {
    if (!weft__fd_closed_since(self->op.fd, self->closes)) return false;
    return self->again = true;
}

/* Who is to submit what begins on `worker`. What wakes a pinned task with each completion is better off at home. */
static struct weft__worker *host_of(const struct operation *self, struct weft__worker *worker) {
    struct weft__worker *home = self->task->pinned ? self->task->pinned : worker;
    return self->task->pinned && !self->each ? home : load_relaxed(&home->host);
}

static void on_complete(struct weft__op *op, int32_t result, bool more) {
    struct operation *self = weft__container_of(op, struct operation, op);
    if (more) {
        self->each(self->each_arg, result);
        if (host_of(self, self->worker) == self->worker) return;
        self->again = true;
        cancel(&self->wait);
        return;
    }
    self->result = result;
    /* pairs with the CAS in cancel */
    if (exchange_acq_rel(&self->state, COMPLETED) != CANCEL_POSTED) weft__task_wake(self->task);
}

/* By the operation's worker, in its scheduler: unless it is cancelled it does not complete before that is back in its
 * loop. Returns whether it is to be cancelled. */
static bool submit(struct operation *self) {
    self->worker->driver->ops->submit(self->worker->driver, &self->op);
    return closed_meanwhile(self);
}

/* Nothing else is to be done for what has COMPLETED before; and a number that was closed may be another file's by now. */
static void run_posted(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct operation *self = weft__container_of(runnable, struct operation, message);
    uint8_t posted = POSTED;
    self->worker = worker;
    self->message.run = run_message;
    bool closed = closed_meanwhile(self);
    if (cas_acq_rel(&self->state, &posted, closed ? COMPLETED : UNDER_WAY) && !closed) { /* pairs with cancel */
        if (submit(self)) cancel(&self->wait);
        return;
    }
    self->result = -ECANCELED;
    weft__task_wake(self->task);
}

static bool commit_op(struct weft__task *task, void *arg) {
    struct operation *self = arg;
    struct weft__worker *worker = weft__world_worker();
    struct weft__worker *host = host_of(self, worker);
    self->closes = weft__fd_closes(self->op.fd);
    if (host != worker) {
        self->message.run = run_posted;
        store_relaxed(&self->state, POSTED);
        weft__wait_publish(task, &self->wait);
        weft__crowding_post(host, &self->message); /* from here on the operation may be gone */
        return true;
    }
    self->worker = worker;
    bool closed = submit(self);
    if (closed) store_relaxed(&self->state, CANCEL_POSTED); /* nobody knows it yet; and it stays until the message has run */
    weft__wait_publish(task, &self->wait); /* else the operation may be gone from here on */
    if (closed) run_message(worker, &self->message);
    return true;
}

static bool cancelled(struct weft__task *task, const struct weft__op *op) {
    return op->keep_request ? weft__cancel_pending(task) : weft__cancel_consume(task);
}

/* Whether the descriptor that the operation began with is no more: not what had its number before (fd_table.h). */
static bool own_closed(const struct operation *self) {
    return self->closes % 2 == 0 && weft__fd_closed_since(self->op.fd, self->closes);
}

#define AGAIN ((intptr_t)INT32_MAX + 1) /* no operation's result */

static intptr_t run_once(struct weft__op op, void (*each)(void *arg, int32_t result), void *arg) {
    struct weft__task *task = weft__op_task();
    if (!task) return -EPERM;
    if (cancelled(task, &op)) return -ECANCELED;
    struct operation self = {.op = op, .wait.cancel = cancel, .message.run = run_message, .task = task,
                             .each = each, .each_arg = arg, .state = UNDER_WAY};
    self.op.complete = on_complete;
    self.op.anywhere = true;
    weft__task_suspend(commit_op, &self);
    weft__wait_retract(task);
    if (op.opcode == WEFT__OP_RECV) {
        task->last_receive_fd = op.fd;
        task->data_left = self.op.data_left || self.result == (int32_t)op.length;
    }
    if (self.result != -ECANCELED) return self.result;
    if (cancelled(task, &op)) return -ECANCELED;
    return self.again && !own_closed(&self) ? AGAIN : -EBADF; /* -EBADF: weft_close took the descriptor */
}

/* A number is free for others some time before close(2) returns: so the kernel is asked again when that is over. */
intptr_t weft__op_run_many(struct weft__op op, void (*each)(void *arg, int32_t result), void *arg) {
    intptr_t result;
    while ((result = run_once(op, each, arg)) == AGAIN)
        do weft_yield();
        while (weft__fd_closes(op.fd) % 2 == 1);
    return result;
}

intptr_t weft__op_run(struct weft__op op) {
    intptr_t result;
    do result = weft__op_run_many(op, NULL, NULL);
    while (result == -EINTR);
    return result;
}

intptr_t weft__op_run_when_ready(struct weft__op op, short events) {
    for (;;) {
        intptr_t result = weft__op_run(op);
        if (result != -EAGAIN) return result;
        result = weft__op_run((struct weft__op){.opcode = WEFT__OP_POLL, .fd = op.fd, .flags = events,
                                                 .keep_request = op.keep_request});
        if (result < 0) return result;
        op.poll_first = false;
    }
}
