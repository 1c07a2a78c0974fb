/* weft_close against operations on the same descriptor: io/close.c, io/op.c and io/fd_table.c themselves, on a kernel
 * and a driver that are here. One worker's task closes a descriptor; another one's reads from it, and again if that
 * was in vain; the third one's is given the same number by the kernel, perhaps before close(2) has returned, and reads
 * from what is new. Nothing ever comes to the old file, something in the end to the new one. A fourth thread may be
 * the watchman, who completes what lies in a queue, and may cancel the reader.
 *
 * Each worker submits its operations itself, or has another one do that (runtime/crowding.h).
 *
 * The driver asks the kernel at once, as epoll's, or later in its turn, as io_uring's; only the latter has a watchman.
 * The kernel orders nothing of its own accord: who looks for the file may find the old one, unless he is told
 * otherwise. The count of closes may be about to wrap, and the descriptor may be too high for the tables.
 *
 * Checked: nobody waits for ever on the old file; nobody who has the new one, or knows that the close is over, is told
 * that there is no file; the close ends; an operation is asked again at most once; who is not cancelled is not told
 * so.
 *
 * What the model does not say: that let_go has to ask until nothing is pending. This kernel can cancel everything; the
 * real one cannot, while a thread of its own has the operation.
 *
 * Code: io/close.c io/op.c io/fd_table.c -DWEFT__TSAN_FIBERS -Dclose=model_close -Dmmap=model_mmap -Dgetrlimit=model_getrlimit
 *
 * Mutants, each of which must be rejected:
 *     NO_BEGIN            io/fd_table.c weft__fd_close_begin  /fetch_add/d
 *     NO_CLOSER_FENCE     io/fd_table.c weft__fd_close_begin  /fence_seq_cst/d
 *     NO_END              io/fd_table.c weft__fd_close_end  /fetch_add/d
 *     END_UNORDERED       io/fd_table.c weft__fd_close_end  s/memory_order_release/memory_order_relaxed/
 *     CLOSES_UNORDERED    io/fd_table.c weft__fd_closes  s/load_acquire/load_relaxed/
 *     NO_SUBMITTER_FENCE  io/fd_table.c weft__fd_closed_since  /fence_seq_cst/d
 *     NO_LOOK             io/fd_table.c weft__fd_closed_since  s/return count/return false/
 *     ODD_IS_NO_CLOSE     io/fd_table.c weft__fd_closed_since  s/before % 2 == 1 \|\| //
 *     ODD_ALONE           io/fd_table.c weft__fd_closed_since  s/ \|\| load_relaxed\(count\) != before//
 *     CLOSES_READ_LATE    io/op.c closed_meanwhile  s/self->closes/weft__fd_closes(self->op.fd)/
 *     NOBODY_LET_GO       io/close.c weft_close  /let_go/d
 *     NOBODY_ELSE         io/close.c let_go  s/i < runtime->worker_count/i < 1/
 *     CLOSED_BEFORE       io/close.c weft_close  /close_now\(fd\);$/d;s/let_go/int result = close_now(fd); let_go/
 *     NO_CANCEL           io/op.c submit  s/return .*;/closed_meanwhile(self); return false;/
 *     NOT_POSTED          io/op.c commit_op  /CANCEL_POSTED/d
 *     NO_MESSAGE          io/op.c commit_op  /if \(closed\) run_message/d
 *     TOLD_TOO_EARLY      io/op.c commit_op  s/if \(closed\) store_relaxed/if (closed) cancel(\&self->wait); if (0) store_relaxed/;s/if \(closed\) run_message/if (0) run_message/
 *     NO_RETRY            io/op.c run_once  s/self.again .* \? AGAIN : //
 *     RETRY_AT_ONCE       io/op.c weft__op_run_many  /do weft_yield/d;s/while \(weft__fd_closes.*;/weft_yield();/
 *     RESULT_UNORDERED    io/op.c on_complete  s/exchange_acq_rel\((.*), COMPLETED\)/atomic_exchange_explicit(\1, COMPLETED, memory_order_relaxed)/
 *     WOKEN_AT_ONCE       io/op.c on_complete  s/ != CANCEL_POSTED/ <= COMPLETED/
 *     SENT_AT_ONCE        io/op.c cancel  s/CANCEL_POSTED\)\)/CANCEL_SENT))/
 *     MESSAGE_TWICE       io/op.c cancel  /if \(state == POSTED\) return/d
 *     CANCEL_UNSEEN       io/op.c run_posted  s/if \(cas_acq_rel.* && !closed\)/store_release(\&self->state, UNDER_WAY); if (!closed)/
 *     CLOSE_UNSEEN        io/op.c run_posted  s/ && !closed\)/)/
 *     HOST_WAKES_NOBODY   io/op.c run_posted  s/weft__task_wake\(self->task\)/(void)0/
 *     NOBODY_WAKES        io/op.c run_message  s/weft__task_wake\(self->task\)/(void)0/
 */
#include "model.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "io/fd_table.h"
#include "io/op.h"

#include <weft/io.h>

#include "wait.h"

#define TASKS 3
#define FD 3
#define DESCRIPTORS 8

enum { CLOSER, READER, OPENER };
enum { ANY_FILE, NO_FILE, OLD, NEW };

struct model_driver {
    struct weft__driver driver;
    struct weft__fd_table fds;
    struct weft__list prepared;         /* the owner's */
    weft__lock lock;                    /* of the completion queue; and the kernel's: */
    struct weft__list waiting, done;    /* what is done has its result in `length` */
    _Atomic uint32_t ready;             /* how many are done */
};

static struct weft__runtime runtime;
static struct weft__worker workers[TASKS];
static struct weft__task tasks[TASKS];
static struct weft__stack stack;        /* nobody uses it */
static struct model_driver drivers[TASKS];
static _Atomic(struct weft__item *) inboxes[TASKS];
static _Atomic uint32_t woken[TASKS], over;
static _Atomic int file;                /* FD's */
static _Atomic bool closed;             /* the closer said so */
static bool at_once;                    /* as epoll */
static bool watched, cancels;           /* by the fourth thread */
static unsigned asked[TASKS];           /* submissions of the running call */
static _Atomic uint16_t counts[TASKS][2 * DESCRIPTORS], *closes;
static unsigned mapped;

/* ---- the kernel ---- */

int model_getrlimit(int what, struct rlimit *limit) {
    (void)what;
    limit->rlim_cur = limit->rlim_max = DESCRIPTORS;
    return 0;
}

/* The count of closes comes first, once; then the tables. */
void *model_mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t offset) {
    static _Atomic uint16_t all[1 << 24];
    if (closes) return counts[mapped++];
    return closes = all;
}

int model_close(int fd) {
    model_assert(fd == FD && atomic_exchange_explicit(&file, NO_FILE, memory_order_acq_rel) == OLD);
    return 0;
}

static void finish(struct model_driver *driver, struct weft__op *op, int32_t result) {
    op->length = (uint32_t)result;
    op->queued = false;
    weft__list_append(&driver->done, &op->link);
    fetch_add_relaxed(&driver->ready, 1);
}

/* Ends what waits on `on`, or on anything. */
static void end_waiting(struct model_driver *driver, int on, int32_t result) {
    for (struct weft__list *link = driver->waiting.next, *next; link != &driver->waiting; link = next) {
        struct weft__op *op = weft__container_of(link, struct weft__op, link);
        next = link->next;
        if (on != ANY_FILE && op->tag != (uint64_t)on) continue;
        weft__list_remove(link);
        finish(driver, op, result);
    }
}

static void take(struct model_driver *driver, struct weft__op *op) {
    op->poll_first = false;
    if (op->opcode == WEFT__OP_CANCEL_FD) {
        end_waiting(driver, at_once ? ANY_FILE : load_relaxed(&file), -ECANCELED);
        finish(driver, op, 0);
        return;
    }
    int on = load_relaxed(&file);
    op->tag = (uint64_t)on;
    if (op->cancel_queued) finish(driver, op, -ECANCELED);
    else if (on == NO_FILE) finish(driver, op, -EBADF);
    else {
        op->queued = true;
        weft__list_append(&driver->waiting, &op->link);
    }
}

/* ---- the driver ---- */

static struct model_driver *driver_of(struct weft__driver *driver) {
    return weft__container_of(driver, struct model_driver, driver);
}

static void flush(struct weft__driver *of) {
    struct model_driver *driver = driver_of(of);
    bool arrived = model_choose(2); /* data, at the new file */
    if (weft__list_empty(&driver->prepared) && !arrived) return;
    weft__lock_acquire(&driver->lock);
    for (struct weft__list *link; (link = weft__list_pop(&driver->prepared));)
        take(driver, weft__container_of(link, struct weft__op, link));
    if (arrived) end_waiting(driver, NEW, NEW);
    weft__lock_release(&driver->lock);
}

static void submit(struct weft__driver *of, struct weft__op *op) {
    struct model_driver *driver = driver_of(of);
    op->cancel_queued = op->rescued = op->queued = false;
    op->poll_first = true; /* here: it is prepared, and the kernel does not know of it */
    if (op->opcode != WEFT__OP_CANCEL_FD) {
        model_assert(++asked[op->offset] <= 2);
        weft__fd_table_add(&driver->fds, op->fd, 1);
    }
    weft__list_append(&driver->prepared, &op->link);
    if (at_once) flush(of);
}

/* What is prepared still is cancelled at once, or when the kernel gets it. */
static void cancel_op(struct weft__driver *of, struct weft__op *op) {
    struct model_driver *driver = driver_of(of);
    if (op->poll_first && model_choose(2)) {
        weft__list_remove(&op->link);
        weft__fd_table_add(&driver->fds, op->fd, -1);
        op->complete(op, -ECANCELED, false);
        return;
    }
    weft__lock_acquire(&driver->lock);
    if (!op->rescued) {
        op->cancel_queued = true;
        if (op->queued) {
            weft__list_remove(&op->link);
            finish(driver, op, -ECANCELED);
        }
    }
    weft__lock_release(&driver->lock);
}

/* The next one that is done; by the watchman only what may complete anywhere. Under the lock. */
static bool complete_one(struct model_driver *driver, bool owner) {
    struct weft__op *op = weft__container_of(driver->done.next, struct weft__op, link);
    if (weft__list_empty(&driver->done) || !(owner || (op->anywhere && !op->cancel_queued))) return false;
    weft__list_remove(&op->link);
    fetch_add_relaxed(&driver->ready, (uint32_t)-1);
    op->rescued = !owner;
    if (op->opcode != WEFT__OP_CANCEL_FD) {
        if (owner) weft__fd_table_add(&driver->fds, op->fd, -1);
        else weft__fd_table_return(&driver->fds, op->fd);
    }
    op->complete(op, (int32_t)op->length, false);
    return true;
}

static unsigned reap(struct weft__driver *of) {
    struct model_driver *driver = driver_of(of);
    if (load_acquire(&driver->ready) == 0) return 0;
    weft__lock_acquire(&driver->lock);
    while (complete_one(driver, true));
    weft__lock_release(&driver->lock);
    return 0;
}

static enum weft__pending pending(struct weft__driver *of, int fd) {
    return weft__fd_table_look(&driver_of(of)->fds, fd);
}

static const struct weft__driver_ops driver_ops = {
    .submit = submit, .cancel = cancel_op, .reap = reap, .flush = flush, .pending = pending};

/* ---- the rest of the runtime ---- */

/* inbox.c has a model of its own. */
void weft__worker_post(struct weft__worker *worker, struct weft__runnable *runnable) {
    _Atomic(struct weft__item *) *newest = &inboxes[worker->index];
    runnable->link.next = load_relaxed(newest);
    while (!cas_acq_rel(newest, &runnable->link.next, &runnable->link)) continue; /* pairs with turn */
}

/* The host may be stuck, and another one serve. */
void weft__crowding_post(struct weft__worker *host, struct weft__runnable *runnable) {
    weft__worker_post(model_choose(2) ? host : &workers[model_choose(TASKS)], runnable);
}

void weft__task_wake(struct weft__task *task) {
    model_assert(task == &tasks[CLOSER] || load_acquire(&task->wait));
    model_assert(atomic_exchange_explicit(&woken[task - tasks], 1, memory_order_acq_rel) == 0);
}

/* A turn of the worker's loop. */
static void turn(struct weft__worker *worker) {
    struct weft__task *task = worker->current;
    worker->current = NULL;
    for (struct weft__item *link = exchange_acq_rel(&inboxes[worker->index], NULL), *next; link; link = next) {
        struct weft__runnable *message = weft__container_of(link, struct weft__runnable, link);
        next = link->next;
        message->run(worker, message);
    }
    flush(worker->driver);
    if (watched && model_choose(4) == 0) /* another task computes */
        for (unsigned round = 0; round < 8; round++) weft__world_relax(round);
    reap(worker->driver);
    worker->current = task;
    weft__world_relax(0);
}

struct weft__fiber *weft__task_leave(bool (*commit)(struct weft__task *task, void *arg), void *arg,
                                     struct weft__task **self) {
    struct weft__worker *worker = weft__world_worker();
    *self = worker->current;
    worker->current = NULL;
    worker->commit = commit;
    worker->commit_arg = arg;
    return &worker->scheduler;
}

/* The worker has no other task: it turns until this one is woken. */
void weft__fiber_switch(struct weft__fiber *from, struct weft__fiber *to) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__task *task = &tasks[worker->index];
    model_assert(worker->commit(task, worker->commit_arg));
    while (!atomic_exchange_explicit(&woken[worker->index], 0, memory_order_acq_rel)) turn(worker);
}

void weft__task_arrive(struct weft__task *self) { weft__world_worker()->current = self; }

int *weft_errno_location(void) { return weft__world_errno(); }

int weft_yield(void) {
    turn(weft__world_worker());
    return 0;
}

/* ---- the threads ---- */

static void before(void) {
    memset(&runtime, 0, sizeof runtime);
    memset(workers, 0, sizeof workers);
    memset(tasks, 0, sizeof tasks);
    memset(drivers, 0, sizeof drivers);
    memset((void *)counts, 0, sizeof counts);
    memset(asked, 0, sizeof asked);
    runtime.worker_count = TASKS;
    runtime.workers = workers;
    mapped = over = 0;
    file = OLD;
    closed = false;
    wait_reset(&tasks[READER]);
    at_once = model_choose(2);
    watched = !at_once && model_choose(2);
    cancels = model_choose(2);
    bool uncounted = model_choose(4) == 0; /* too high for the tables */
    for (unsigned i = 0; i < TASKS; i++) {
        woken[i] = 0;
        weft__fd_table_init(&drivers[i].fds);
        if (uncounted) drivers[i].fds.size = FD;
        weft__list_init(&drivers[i].prepared);
        weft__list_init(&drivers[i].waiting);
        weft__list_init(&drivers[i].done);
        drivers[i].driver.ops = &driver_ops;
        tasks[i].stack = &stack;
        tasks[i].runtime = workers[i].runtime = &runtime;
        workers[i].index = i;
        workers[i].driver = &drivers[i].driver;
        workers[i].current = &tasks[i];
        workers[i].host = &workers[(i + model_choose(2)) % TASKS];
        inboxes[i] = NULL;
    }
    closes[FD] = model_choose(2) ? 0 : UINT16_MAX - 1;
}

static intptr_t read_once(unsigned me) {
    asked[me] = 0;
    return weft__op_run((struct weft__op){.opcode = WEFT__OP_READ, .fd = FD, .offset = me});
}

static void be_closer(void) {
    model_assert(weft_close(FD) == 0);
    store_release(&closed, true);
    model_assert(load_relaxed(&file) != OLD);
}

static void be_reader(void) {
    bool knew = false;
    for (intptr_t result = 0; result != NEW;) {
        result = read_once(READER);
        model_assert(result == NEW || result == -EBADF || (result == -ECANCELED && cancels));
        model_assert(!knew || result != -EBADF);
        if (result != NEW) weft_yield();
        knew = load_acquire(&closed) && load_acquire(&file) == NEW;
    }
}

static void be_opener(void) {
    while (load_acquire(&file) != NO_FILE) turn(&workers[OPENER]);
    store_release(&file, NEW);
    model_assert(read_once(OPENER) == NEW);
}

static void work(unsigned index) {
    struct weft__worker *worker = &workers[index];
    weft__world_set_worker(worker);
    if (index == CLOSER) be_closer();
    else if (index == READER) be_reader();
    else be_opener();
    worker->current = NULL;
    fetch_add_relaxed(&over, 1);
    while (load_relaxed(&over) < TASKS) turn(worker);
}

static void watch(void) {
    struct model_driver *driver = &drivers[model_choose(TASKS)];
    if (load_acquire(&driver->ready) == 0 || !weft__try_lock(&driver->lock)) return;
    while (complete_one(driver, false));
    weft__lock_release(&driver->lock);
}

static void interfere(void) {
    bool to_cancel = cancels;
    while ((watched || to_cancel) && load_relaxed(&over) < TASKS) {
        if (watched) watch();
        if (to_cancel && model_choose(4) == 0) {
            request_cancel();
            to_cancel = false;
        }
        weft__world_relax(0);
    }
}

static void thread(unsigned index) {
    if (index < TASKS) work(index);
    else interfere();
}

static void after(void) {
    for (unsigned i = 0; i < TASKS; i++)
        model_assert(pending(&drivers[i].driver, FD) != WEFT__PENDING_SOME && weft__list_empty(&drivers[i].waiting));
}

const struct model model = {.threads = 4, .rounds = 100000, .before = before, .thread = thread, .after = after};
