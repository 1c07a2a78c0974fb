/* Descriptor callbacks: add_reader, add_writer. A watcher polls its descriptor with one operation at a time; when
 * that completes the call is queued, as an I/O callback between the ready ones and the due timers, and after the
 * call the next poll begins: so it is level-triggered.
 *
 * Everything here belongs to the loop's thread, or to any single thread while the loop does not run; only the
 * count of watchers, which a runtime that stops waits for, is shared.
 *
 *     IDLE --submit--> POLLING --complete--> QUEUED --run--> IDLE
 *     removed: from POLLING the operation is cancelled, and its completion frees the watcher; QUEUED frees it when
 *     its turn comes; RUNNING (inside its own call) afterwards. */
#include <weft/loop.h>

#include <poll.h>

#include "assert.h"
#include "context.h"
#include "worker.h"

enum place { IDLE, POLLING, QUEUED, RUNNING };

struct watcher {
    char stable[WEFT__SLAB_STABLE_BYTES];
    struct weft__list link;           /* of worker->watchers, until removed */
    struct weft__op op;
    struct weft__runnable runnable;
    struct weft__worker *worker;
    void (*fn)(void *arg);
    void *arg;
    struct weft__context *context;    /* a copy of the registrar's */
    uint8_t place;
    bool removed;
};
_Static_assert(sizeof(struct watcher) <= WEFT__SLAB_RECORD_BYTES, "a watcher is one slab record");

static void watcher_free(struct watcher *self) {
    struct weft__runtime *runtime = self->worker->runtime;
    weft__context_release(self->context);
    weft__slab_give(weft__worker_slab(), self);
    atomic_fetch_sub_explicit(&runtime->watchers, 1, memory_order_seq_cst); /* pairs with the load in shutdown.c */
    weft__shutdown_look(runtime);
}

static void watcher_remove(struct watcher *self) {
    self->removed = true;
    weft__list_remove(&self->link);
    if (self->place == POLLING) self->worker->driver->ops->cancel(self->worker->driver, &self->op);
    else if (self->place == IDLE) watcher_free(self);
}

static void submit(struct watcher *self) {
    self->place = POLLING;
    self->worker->driver->ops->submit(self->worker->driver, &self->op);
}

static void on_ready(struct weft__op *op, int32_t result, bool more) {
    struct watcher *self = weft__container_of(op, struct watcher, op);
    (void)more;
    self->place = QUEUED;
    if (result < 0 && !self->removed) { /* the descriptor has gone */
        self->place = IDLE;
        watcher_remove(self);
    } else if (self->removed) {
        watcher_free(self);
    } else {
        weft__fifo_push(&self->worker->local, &self->runnable.link);
    }
}

static void run_watcher(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct watcher *self = weft__container_of(runnable, struct watcher, runnable);
    self->place = RUNNING;
    if (worker && !self->removed) {
        worker->context = weft__context_ref(self->context);
        self->fn(self->arg);
        weft__context_release(worker->context);
        worker->context = NULL;
    }
    self->place = IDLE;
    if (self->removed) watcher_free(self);
    else if (worker) submit(self);
}

/* ---- registering ---- */

/* Whether the calling thread may: 0 or -errno. */
static int check(weft_loop *loop, int fd) {
    struct weft__worker *self = weft__world_worker();
    if (!loop || fd < 0) return -EINVAL;
    if (weft_loop_is_closed(loop) && !(self && self->loop == loop)) return -ESHUTDOWN;
    if (load_relaxed(&loop->worker->runtime->stopping)) return -ESHUTDOWN; /* the notice has removed them all */
    return (self && self->loop == loop) || (loop->own && !weft_loop_is_running(loop)) ? 0 : -EPERM;
}

static struct watcher *find(struct weft__worker *worker, int fd, int events) {
    for (struct weft__list *link = worker->watchers.next; link != &worker->watchers; link = link->next) {
        struct watcher *self = weft__container_of(link, struct watcher, link);
        if (self->op.fd == fd && self->op.flags == events) return self;
    }
    return NULL;
}

static int add(weft_loop *loop, int fd, int events, void (*fn)(void *arg), void *arg) {
    int error = fn ? check(loop, fd) : -EINVAL;
    if (error) return error;
    struct weft__worker *worker = loop->worker;
    struct watcher *self = find(worker, fd, events);
    bool is_new = !self;
    if (is_new && !(self = weft__slab_take(weft__worker_slab()))) return -ENOMEM;
    if (is_new) {
        self->op = (struct weft__op){.opcode = WEFT__OP_POLL, .fd = fd, .flags = events, .complete = on_ready};
        self->runnable.run = run_watcher;
        self->worker = worker;
        self->context = NULL;
        self->place = IDLE;
        self->removed = false;
        weft__list_append(&worker->watchers, &self->link);
        fetch_add_relaxed(&worker->runtime->watchers, 1); /* read in shutdown.c, after this thread's messages */
    }
    weft__context_release(self->context);
    self->context = weft__context_ref(*weft__context_current());
    self->fn = fn;
    self->arg = arg;
    if (is_new && weft__world_worker()) submit(self); /* else: when the loop runs */
    return 0;
}

static int drop(weft_loop *loop, int fd, int events) {
    int error = check(loop, fd);
    if (error) return error;
    struct watcher *self = find(loop->worker, fd, events);
    if (self) watcher_remove(self);
    return self != NULL;
}

int weft_loop_add_reader(weft_loop *loop, int fd, void (*fn)(void *arg), void *arg) {
    return add(loop, fd, POLLIN, fn, arg);
}

int weft_loop_add_writer(weft_loop *loop, int fd, void (*fn)(void *arg), void *arg) {
    return add(loop, fd, POLLOUT, fn, arg);
}

int weft_loop_remove_reader(weft_loop *loop, int fd) { return drop(loop, fd, POLLIN); }

int weft_loop_remove_writer(weft_loop *loop, int fd) { return drop(loop, fd, POLLOUT); }

/* ---- for the loop ---- */

void weft__watchers_arm(struct weft__worker *worker) {
    for (struct weft__list *link = worker->watchers.next; link != &worker->watchers; link = link->next) {
        struct watcher *self = weft__container_of(link, struct watcher, link);
        if (self->place == IDLE) submit(self);
    }
}

void weft__watchers_remove_all(struct weft__worker *worker) {
    while (!weft__list_empty(&worker->watchers))
        watcher_remove(weft__container_of(worker->watchers.next, struct watcher, link));
}
