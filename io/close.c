/* weft_close: the kernel would leave operations on a closed descriptor pending, and feed them the next
 * bytes. So every worker of the runtime that has some on it cancels them first, one worker after the other;
 * with none under way, the usual case, it is close(2) and a look at one counter per worker. What other workers
 * begin meanwhile cancels itself: see fd_table.h. */
#define _GNU_SOURCE
#include <weft/io.h>

#include <unistd.h>

#include "fd_table.h"
#include "op.h"

struct closer {
    struct weft__op op;
    struct weft__runnable message;
    struct weft__worker *worker;
    struct weft__task *task;
};

static void on_cancelled(struct weft__op *op, int32_t result, bool more) {
    (void)result; /* -ENOENT: they had completed meanwhile */
    (void)more;
    weft__task_wake(weft__container_of(op, struct closer, op)->task);
}

static void submit_here(struct weft__worker *worker, struct weft__runnable *message) {
    worker->driver->ops->submit(worker->driver, &weft__container_of(message, struct closer, message)->op);
}

static bool commit_close(struct weft__task *task, void *arg) {
    struct closer *self = arg;
    (void)task;
    if (self->worker == weft__world_worker()) submit_here(self->worker, &self->message);
    else weft__worker_post(self->worker, &self->message);
    return true;
}

/* Cancels what `worker` has pending on the descriptor; suspends the task until the kernel has been told. */
static void cancel_pending(struct weft__task *task, struct weft__worker *worker, int fd) {
    struct closer self = {.op = {.opcode = WEFT__OP_CANCEL_FD, .fd = fd, .anywhere = true, .complete = on_cancelled},
                          .message.run = submit_here, .worker = worker, .task = task};
    weft__task_suspend(commit_close, &self);
}

/* Asked again until nobody has any: that what is cancelled goes needs a turn or two. */
static void let_go(struct weft__task *task, int fd) {
    struct weft__runtime *runtime = task->runtime;
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < runtime->worker_count; i++) {
            struct weft__worker *worker = &runtime->workers[i];
            enum weft__pending pending = worker->driver->ops->pending(worker->driver, fd);
            if (pending == WEFT__PENDING_NONE) continue;
            cancel_pending(task, worker, fd);
            again |= pending == WEFT__PENDING_SOME;
        }
    }
}

/* Linux: after EINTR it is closed as well. */
static int close_now(int fd) { return close(fd) < 0 && errno != EINTR ? -errno : 0; }

int weft_close(int fd) {
    struct weft__task *task = weft__op_task();
    if (!task || fd < 0) return close_now(fd);
    weft__fd_close_begin(fd);
    let_go(task, fd);
    int result = close_now(fd);
    weft__fd_close_end(fd);
    return result;
}
