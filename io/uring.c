/* The io_uring driver: one ring per worker, made and used by its thread alone.
 *
 * The ring is DEFER_TASKRUN: completions appear only when the owner enters the kernel with GETEVENTS, so a
 * worker reaps in batches, between steps, and an interrupted system call costs nothing. SQ_TASKRUN says
 * when there is something to fetch: one load.
 *
 * An enter submits and fetches: one a turn, if there is something to fetch, or something to submit and other work to do;
 * else the one that sleeps submits as well, with a deadline (EXT_ARG). Polling
 * with min_complete 0, never with a zero timeout and min_complete 1 (24 to 34 us against 0.1).
 *
 * A full SQ: enter to make room; what still finds none waits in `backlog`, cancels in `cancels`, which come
 * first. A full CQ: the kernel keeps the rest (NODROP), CQ_OVERFLOW shows it, the next enter fetches it.
 *
 * A stuck owner: the watchman drains the CQ for it. So a CQ has a lock, which nobody waits for: the owner takes it when
 * there is something to drain, one exchange for a batch, and comes again in the next turn if it is taken; the watchman
 * leaves if it is. What is only for the owner to complete (the doorbell, a watcher's poll, an operation whose cancel is
 * queued here) goes, in its order, to `left`, which the owner looks at first. An owner that goes to
 * sleep in the kernel must not be left anything, or not hear its doorbell:
 *
 *     owner, in wait                               watchman, in rescue
 *     W1 waiting := true                           R1 lock
 *     W2 wait until the lock is free               R2 waiting? then unlock, and leave
 *     W3 something in `left`: do not sleep         R3 drain
 *     W4 sleep; waiting := false                   R4 unlock
 *
 * Without operations under way it sleeps on a futex instead, which no completion ends: there will be none.
 * W1, W2, R1 and R2 are seq_cst: either W2 sees R1, and W3 what R3 left, or R2 sees W1. tests/models/rescue.pml checks it.
 *
 * The handler of SIGURG may interrupt the owner anywhere, here too: fetch makes the kernel append to the CQ, which harms
 * nobody. It submits only if it interrupts a task, and that not `inside` one of the calls which change the SQ: so an
 * operation reaches the kernel, and may be completed by the watchman, only when the scheduler's commit of its submitter
 * is over (or cancels it already, and then io/op.c keeps it in place).
 *
 * user_data is the operation's address with a 16-bit generation on top, so that a cancel that arrives late
 * cannot hit the next operation at the same address. The doorbell (doorbell.h) has a one-shot poll: its eventfd
 * stays readable from the write until the poll has been seen and the eventfd read, so no ring is lost. */
#define _GNU_SOURCE
#include <liburing.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../runtime/assert.h"
#include "../runtime/world.h"
#include "doorbell.h"
#include "driver.h"
#include "fd_table.h"

#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) /* Linux 6.15 */
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

#define SQ_ENTRIES 512
#define SQ_LEAST 8
#define CQ_PER_SQ 4
#define DISTRUST 32
#define LEFT_MOST 64
#define TAG_IGNORE UINT64_C(0)   /* completions of cancels */
#define TAG_DOORBELL UINT64_C(1)
#define ADDRESS_BITS 48

struct uring {
    struct weft__driver driver;
    /* const after open */
    struct io_uring ring;
    unsigned wait_flags;
    /* owner only */
    struct weft__list backlog;    /* operations that found no room */
    struct weft__list cancels;    /* operations under way whose cancel found no room */
    uint64_t generation;
    uint64_t in_kernel;           /* operations that the kernel has */
    bool doorbell_armed;
    bool bound;                   /* the ring exists */
    bool unbinding;               /* what comes back cancelled goes to the backlog */
    unsigned distrust;            /* turns for which SQ_TASKRUN alone is no reason to enter */
    bool draining;                /* the owner has the lock of the CQ */
    /* owner, and its signal handler; */
    _Atomic bool inside;          /* the SQ is being changed on behalf of a task */
    _Atomic bool unsubmitted;     /* SQEs were prepared since the last enter: the watchman reads it as well */
    /* owner and watchman */
    _Atomic bool cq_lock;
    _Atomic bool waiting;         /* the owner is about to sleep: written by it */
    _Atomic uint32_t left_count;  /* written under cq_lock */
    struct io_uring_cqe left[LEFT_MOST]; /* cq_lock */
    /* any thread */
    struct weft__doorbell doorbell;
    struct weft__fd_table fds;
};

static struct uring *uring_of(struct weft__driver *driver) { return weft__container_of(driver, struct uring, driver); }
static struct weft__op *op_of(struct weft__list *link) { return weft__container_of(link, struct weft__op, link); }

/* ---- system calls ---- */

/* Publishes the new SQEs, and returns how many the kernel has not taken yet. liburing's flush is private. */
static unsigned publish_sqes(struct uring *uring) {
    struct io_uring_sq *sq = &uring->ring.sq;
    for (; sq->sqe_head != sq->sqe_tail; sq->sqe_head++) {
        sq->array[*sq->ktail & sq->ring_mask] = sq->sqe_head & sq->ring_mask;
        io_uring_smp_store_release(sq->ktail, *sq->ktail + 1);
    }
    return *sq->ktail - io_uring_smp_load_acquire(sq->khead);
}

/* One io_uring_enter. EINTR, EAGAIN and EBUSY are ordinary: whoever wants more comes again after reaping. */
static void enter(struct uring *uring, unsigned wait_for, unsigned flags, struct io_uring_getevents_arg *arg) {
    unsigned submit = publish_sqes(uring);
    store_relaxed(&uring->unsubmitted, false);
    counter_add(&uring->driver.counters.enters, 1);
    int result = io_uring_enter2((unsigned)uring->ring.enter_ring_fd, submit, wait_for,
                                 flags | IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, (sigset_t *)arg,
                                 arg ? sizeof *arg : _NSIG / 8);
    weft__assert(result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ETIME ||
                 result == -ENOMEM);
}

/* An SQE, after making room if need be; NULL if there is none even so. */
static struct io_uring_sqe *get_sqe(struct uring *uring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe) return sqe;
    enter(uring, 0, 0, NULL);
    return io_uring_get_sqe(&uring->ring);
}

/* ---- the lock of the CQ ---- */

static bool try_lock_cq(struct uring *uring) { return !exchange_seq_cst(&uring->cq_lock, true); } /* R1; pairs with W2 */

static void unlock_cq(struct uring *uring) { store_release(&uring->cq_lock, false); } /* R4; pairs with lock and W2 */

static void lock_cq(struct uring *uring) {
    for (unsigned round = 0; !try_lock_cq(uring); round++) weft__world_relax(round);
}

/* ---- submit ---- */

static void prepare(struct io_uring_sqe *sqe, struct weft__op *op) {
    switch ((enum weft__opcode)op->opcode) {
    case WEFT__OP_READ: io_uring_prep_read(sqe, op->fd, op->buffer, op->length, (uint64_t)op->offset); break;
    case WEFT__OP_WRITE: io_uring_prep_write(sqe, op->fd, op->buffer, op->length, (uint64_t)op->offset); break;
    case WEFT__OP_READV: io_uring_prep_readv(sqe, op->fd, op->buffer, op->length, (uint64_t)op->offset); break;
    case WEFT__OP_WRITEV: io_uring_prep_writev(sqe, op->fd, op->buffer, op->length, (uint64_t)op->offset); break;
    case WEFT__OP_RECV: io_uring_prep_recv(sqe, op->fd, op->buffer, op->length, op->flags); break;
    case WEFT__OP_SEND: io_uring_prep_send(sqe, op->fd, op->buffer, op->length, op->flags); break;
    case WEFT__OP_RECVMSG: io_uring_prep_recvmsg(sqe, op->fd, op->buffer, (unsigned)op->flags); break;
    case WEFT__OP_SENDMSG: io_uring_prep_sendmsg(sqe, op->fd, op->buffer, (unsigned)op->flags); break;
    case WEFT__OP_ACCEPT: io_uring_prep_accept(sqe, op->fd, op->buffer, op->extra, op->flags); break;
    case WEFT__OP_ACCEPT_MANY: io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, op->flags); break;
    case WEFT__OP_CONNECT: io_uring_prep_connect(sqe, op->fd, op->buffer, op->length); break;
    case WEFT__OP_OPENAT: io_uring_prep_openat(sqe, op->fd, op->buffer, op->flags, op->length); break;
    case WEFT__OP_FSYNC: io_uring_prep_fsync(sqe, op->fd, 0); break;
    case WEFT__OP_POLL: io_uring_prep_poll_add(sqe, op->fd, (unsigned)op->flags); break;
    case WEFT__OP_CANCEL_FD:
        io_uring_prep_cancel_fd(sqe, op->fd, IORING_ASYNC_CANCEL_ALL);
        break;
    }
    if (op->poll_first) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

static bool submit_now(struct uring *uring, struct weft__op *op) {
    struct io_uring_sqe *sqe = get_sqe(uring);
    if (!sqe) return false;
    prepare(sqe, op);
    op->tag = (uint64_t)(uintptr_t)op | uring->generation++ << ADDRESS_BITS;
    io_uring_sqe_set_data64(sqe, op->tag);
    WEFT__HANDED_TO_KERNEL(op);
    uring->in_kernel++;
    store_relaxed(&uring->unsubmitted, true);
    return true;
}

/* Around what changes the SQ and may be called by a task. */
static void go_inside(struct uring *uring) {
    store_relaxed(&uring->inside, true);
    atomic_signal_fence(memory_order_seq_cst); /* pairs with fetch */
}
static void come_out(struct uring *uring) {
    atomic_signal_fence(memory_order_seq_cst); /* pairs with fetch */
    store_relaxed(&uring->inside, false);
}

static void submit(struct weft__driver *driver, struct weft__op *op) {
    struct uring *uring = uring_of(driver);
    go_inside(uring);
    counter_add(&driver->counters.submissions, 1);
    op->cancel_queued = op->cancelled = op->rescued = false;
    weft__list_init(&op->link);
    if (op->opcode != WEFT__OP_CANCEL_FD) weft__fd_table_add(&uring->fds, op->fd, 1);
    op->queued = !weft__list_empty(&uring->backlog) || !submit_now(uring, op);
    if (op->queued) weft__list_append(&uring->backlog, &op->link);
    come_out(uring);
}

static bool cancel_now(struct uring *uring, struct weft__op *op) {
    struct io_uring_sqe *sqe = get_sqe(uring);
    if (!sqe) return false;
    io_uring_prep_cancel64(sqe, op->tag, 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORE);
    store_relaxed(&uring->unsubmitted, true);
    return true;
}

/* Everything that completes goes through here; the operation may be gone afterwards. */
static void complete(struct uring *uring, struct weft__op *op, int32_t result, bool more) {
    if (!more) {
        weft__list_remove(&op->link); /* from `cancels`, if it stands there */
        if (op->opcode != WEFT__OP_CANCEL_FD) weft__fd_table_add(&uring->fds, op->fd, -1);
        counter_add(&uring->driver.counters.completions, 1);
    }
    op->complete(op, result, more);
}

/* Nothing to do for an operation that the watchman has completed. */
static void queue_cancel(struct uring *uring, struct weft__op *op) {
    if (!uring->draining) lock_cq(uring);
    if (!op->rescued) {
        op->cancel_queued = true; /* from here on it is left to us */
        weft__list_append(&uring->cancels, &op->link);
    }
    if (!uring->draining) unlock_cq(uring);
}

static void cancel(struct weft__driver *driver, struct weft__op *op) {
    struct uring *uring = uring_of(driver);
    go_inside(uring);
    op->cancelled = true;
    if (op->queued) { /* the kernel does not have it */
        weft__list_remove(&op->link);
        complete(uring, op, -ECANCELED, false);
    } else if (!op->cancel_queued && !cancel_now(uring, op)) {
        queue_cancel(uring, op);
    }
    come_out(uring);
}

/* Gives what found no room before another chance: cancels first. */
static void submit_waiting(struct uring *uring) {
    while (!weft__list_empty(&uring->cancels)) {
        if (!cancel_now(uring, op_of(uring->cancels.next))) return;
        weft__list_pop(&uring->cancels);
    }
    while (!weft__list_empty(&uring->backlog)) {
        struct weft__op *op = op_of(uring->backlog.next);
        if (!submit_now(uring, op)) return;
        weft__list_remove(&op->link);
        op->queued = false;
    }
}

/* ---- reap ---- */

static void arm_doorbell(struct uring *uring) {
    struct io_uring_sqe *sqe = uring->doorbell_armed ? NULL : get_sqe(uring);
    if (!sqe) return; /* armed already, or no room: then there is work, and the next turn arms it */
    io_uring_prep_poll_add(sqe, uring->doorbell.fd, POLLIN);
    io_uring_sqe_set_data64(sqe, TAG_DOORBELL);
    uring->doorbell_armed = true;
}

/* Whether unbind ended the operation before it had done anything. */
static bool taken_back(struct weft__op *op, int32_t result) {
    return (result == -ECANCELED || result == -EINTR) && !op->cancelled && op->opcode != WEFT__OP_CANCEL_FD;
}

static struct weft__op *op_at(uint64_t tag) {
    return (struct weft__op *)(uintptr_t)(tag & ((UINT64_C(1) << ADDRESS_BITS) - 1));
}

/* The operation that a CQE is for, as the kernel gave it back. */
static struct weft__op *returned_op(uint64_t tag) {
    struct weft__op *op = op_at(tag);
    WEFT__HANDED_BY_KERNEL(op);
    weft__assert(op->tag == tag);
    return op;
}

static void dispatch(struct uring *uring, uint64_t tag, int32_t result, uint32_t flags) {
    if (tag == TAG_IGNORE) return;
    if (tag == TAG_DOORBELL) {
        weft__doorbell_hear(&uring->doorbell);
        uring->doorbell_armed = false;
        return;
    }
    struct weft__op *op = returned_op(tag);
    bool more = flags & IORING_CQE_F_MORE;
    op->data_left = flags & IORING_CQE_F_SOCK_NONEMPTY;
    if (!more) uring->in_kernel--;
    if (!more && uring->unbinding && taken_back(op, result)) {
        op->queued = true;
        weft__list_append(&uring->backlog, &op->link);
    } else {
        complete(uring, op, result, more);
    }
}

static bool overflowed(struct uring *uring) {
    return __atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW;
}

/* With many connections each one's memory is cold when its turn comes: so it is fetched while others have theirs
 * (1000 connections: 5 % of a request). An operation lies on the stack of its task, whose registers are below it. Past
 * the tail lies something old: a prefetch harms nobody. */
static void look_ahead(const struct io_uring_cq *cq, unsigned head) {
    uintptr_t op = (uintptr_t)op_at(cq->cqes[(head + 2) & cq->ring_mask].user_data);
    for (uintptr_t line = op - 3 * WEFT__CACHE_LINE; line != op + 4 * WEFT__CACHE_LINE; line += WEFT__CACHE_LINE)
        __builtin_prefetch((const void *)line, 1);
}

/* The next CQE. The head moves before it is completed: that may enter the kernel. */
static bool next_cqe(struct uring *uring, struct io_uring_cqe *cqe) {
    struct io_uring_cq *cq = &uring->ring.cq;
    unsigned head = __atomic_load_n(cq->khead, __ATOMIC_RELAXED);
    if (head == io_uring_smp_load_acquire(cq->ktail)) return false;
    *cqe = cq->cqes[head & cq->ring_mask];
    look_ahead(cq, head);
    io_uring_smp_store_release(cq->khead, head + 1);
    return true;
}

static bool anything_to_drain(struct uring *uring) {
    struct io_uring_cq *cq = &uring->ring.cq;
    return __atomic_load_n(cq->khead, __ATOMIC_RELAXED) != io_uring_smp_load_acquire(cq->ktail) ||
           load_acquire(&uring->left_count) > 0; /* pairs with leave */
}

/* Completes what lies in the CQ, after what the watchman has left of it. */
static unsigned drain(struct uring *uring) {
    if (!anything_to_drain(uring) || !try_lock_cq(uring)) return 0;
    struct io_uring_cqe cqe;
    unsigned count = 0;
    uring->draining = true;
    for (uint32_t left = load_relaxed(&uring->left_count); count < left; count++) {
        cqe = uring->left[count];
        dispatch(uring, cqe.user_data, cqe.res, cqe.flags);
    }
    store_relaxed(&uring->left_count, 0);
    for (; next_cqe(uring, &cqe); count++) dispatch(uring, cqe.user_data, cqe.res, cqe.flags);
    uring->draining = false;
    unlock_cq(uring);
    return count;
}

/* SQ_TASKRUN says that the kernel has something to complete, but not always the truth: it is set after the
 * work is queued, perhaps after the owner has fetched that, and then stays set. An enter that fetched nothing
 * makes us ignore it for some turns. (Never a reason not to sleep: an enter that waits looks at the work
 * itself.) */
static bool worth_entering(struct uring *uring) {
    if (!(__atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN)) return false;
    return uring->distrust == 0 || --uring->distrust == 0;
}

static unsigned reap(struct weft__driver *driver) {
    struct uring *uring = uring_of(driver);
    bool entered = worth_entering(uring);
    if (entered) enter(uring, 0, 0, NULL);
    unsigned count = drain(uring);
    if (entered) uring->distrust = count > 0 ? 0 : DISTRUST;
    while (overflowed(uring)) {
        enter(uring, 0, 0, NULL);
        count += drain(uring);
    }
    submit_waiting(uring);
    return count;
}

static void flush(struct weft__driver *driver) {
    struct uring *uring = uring_of(driver);
    if (io_uring_sq_ready(&uring->ring) > 0) enter(uring, 0, 0, NULL);
}

/* W1 to W3; false: the owner must not sleep. */
static bool keep_watchman_out(struct uring *uring) {
    exchange_seq_cst(&uring->waiting, true); /* W1; pairs with R2 */
    for (unsigned round = 0; load_seq_cst(&uring->cq_lock); round++) weft__world_relax(round); /* W2; pairs with R1, R4 */
    return load_relaxed(&uring->left_count) == 0; /* W3 */
}

static void sleep_in_kernel(struct uring *uring, int64_t left_ns) {
    struct __kernel_timespec timeout = {left_ns / 1000000000, left_ns % 1000000000};
    struct io_uring_getevents_arg arg = {.ts = left_ns == INT64_MAX ? 0 : (uint64_t)(uintptr_t)&timeout};
    if (!weft__doorbell_begin(&uring->doorbell)) return;
    enter(uring, 1, IORING_ENTER_EXT_ARG | uring->wait_flags, &arg);
    weft__doorbell_end(&uring->doorbell);
}

static unsigned wait(struct weft__driver *driver, int64_t deadline_ns) {
    struct uring *uring = uring_of(driver);
    bool any = weft__driver_any(driver) || io_uring_sq_ready(&uring->ring) > 0;
    if (any) arm_doorbell(uring);
    bool must_not_sleep = (any && !uring->doorbell_armed) || !weft__list_empty(&uring->backlog) ||
                          !weft__list_empty(&uring->cancels);
    int64_t left = deadline_ns == INT64_MAX ? INT64_MAX : deadline_ns - weft__world_now();
    if (must_not_sleep || left <= 0) return reap(driver);
    if (keep_watchman_out(uring)) { /* W4 */
        if (any) sleep_in_kernel(uring, left);
        else weft__doorbell_wait(&uring->doorbell, deadline_ns);
    }
    store_release(&uring->waiting, false); /* pairs with R2 */
    return drain(uring);
}

static void wake(struct weft__driver *driver) { weft__doorbell_ring(&uring_of(driver)->doorbell); }

static enum weft__pending pending(struct weft__driver *driver, int fd) {
    return weft__fd_table_look(&uring_of(driver)->fds, fd);
}

/* ---- for a stuck owner ---- */

/* True if the CQE's operation may complete here, or is nobody's. */
static bool is_for_anybody(const struct io_uring_cqe *cqe) {
    if (cqe->user_data == TAG_IGNORE) return true;
    if (cqe->user_data == TAG_DOORBELL) return false;
    struct weft__op *op = returned_op(cqe->user_data);
    return op->anywhere && !op->cancel_queued;
}

static void complete_here(struct uring *uring, const struct io_uring_cqe *cqe) {
    if (cqe->user_data == TAG_IGNORE) return;
    struct weft__op *op = returned_op(cqe->user_data);
    bool more = cqe->flags & IORING_CQE_F_MORE;
    op->data_left = cqe->flags & IORING_CQE_F_SOCK_NONEMPTY;
    if (!more) {
        op->rescued = true;
        if (op->opcode != WEFT__OP_CANCEL_FD) weft__fd_table_return(&uring->fds, op->fd);
        counter_add(&uring->driver.counters.rescued, 1);
    }
    op->complete(op, cqe->res, more);
}

static void leave(struct uring *uring, const struct io_uring_cqe *cqe) {
    uint32_t count = load_relaxed(&uring->left_count);
    uring->left[count] = *cqe;
    store_release(&uring->left_count, count + 1); /* pairs with anything_to_drain */
}

/* (in_kernel is not told: it counts for unbind, and a ring that is ever unbound has an owner with nobody to help it.) */
static bool rescue(struct weft__driver *driver) {
    struct uring *uring = uring_of(driver);
    if (!try_lock_cq(uring)) return false; /* R1 */
    bool asleep = load_seq_cst(&uring->waiting); /* R2; pairs with W1 */
    struct io_uring_cqe cqe;
    while (!asleep && load_relaxed(&uring->left_count) < LEFT_MOST && next_cqe(uring, &cqe)) { /* R3 */
        if (is_for_anybody(&cqe)) complete_here(uring, &cqe);
        else leave(uring, &cqe);
    }
    unlock_cq(uring); /* R4 */
    uint32_t flags = __atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED);
    return !asleep && ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) || load_relaxed(&uring->unsubmitted));
}

/* Not by liburing's wrapper, which is not known to be async-signal-safe. */
static void fetch(struct weft__driver *driver, bool in_task) {
    struct uring *uring = uring_of(driver);
    bool may_submit = in_task && !load_relaxed(&uring->inside); /* pairs with go_inside and come_out */
    unsigned submit = may_submit ? publish_sqes(uring) : 0;
    if (may_submit) store_relaxed(&uring->unsubmitted, false);
    syscall(SYS_io_uring_enter, uring->ring.enter_ring_fd, submit, 0,
            IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, _NSIG / 8);
}

/* ---- open, bind, close ---- */

/* liburing maps and unmaps rings without TSan's knowledge: a new one may lie where another thread's old one
 * lay. The address of this stands for the kernel in between. */
static char mappings __attribute__((unused));

static void close_ring(struct uring *uring) {
    WEFT__HANDED_TO_KERNEL(&mappings);
    io_uring_queue_exit(&uring->ring);
    uring->bound = false;
}

/* Everything that the kernel has is cancelled; what had completed by then completes. */
static void unbind_thread(struct weft__driver *driver) {
    struct uring *uring = uring_of(driver);
    uring->unbinding = true;
    while (uring->in_kernel > 0) {
        struct io_uring_sqe *sqe = get_sqe(uring);
        if (sqe) {
            io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
            io_uring_sqe_set_data64(sqe, TAG_IGNORE);
        }
        enter(uring, 1, 0, NULL);
        drain(uring);
    }
    uring->unbinding = false;
    close_ring(uring);
    uring->doorbell_armed = false;
}

static void close_uring(struct weft__driver *driver) {
    struct uring *uring = uring_of(driver);
    if (uring->bound) close_ring(uring);
    weft__doorbell_close(&uring->doorbell);
    weft__fd_table_fini(&uring->fds);
    free(uring);
}

static int open_ring(struct uring *uring) {
    int error = -ENOMEM;
    for (unsigned entries = SQ_ENTRIES; entries >= SQ_LEAST && error == -ENOMEM; entries /= 2) {
        struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
            .cq_entries = entries * CQ_PER_SQ,
        };
        error = io_uring_queue_init_params(entries, &uring->ring, &params);
        if (error) continue;
        WEFT__HANDED_BY_KERNEL(&mappings);
        uring->wait_flags = params.features & IORING_FEAT_NO_IOWAIT ? IORING_ENTER_NO_IOWAIT : 0;
    }
    return error;
}

/* The ring is for the thread that makes it (SINGLE_ISSUER). */
static int bind_thread(struct weft__driver *driver) {
    struct uring *uring = uring_of(driver);
    int error = open_ring(uring);
    if (error) return error;
    uring->bound = true;
    error = io_uring_register_ring_fd(&uring->ring);
    if (error < 0) {
        close_ring(uring);
        return error;
    }
    io_uring_ring_dontfork(&uring->ring);
    return 0;
}

int weft__uring_open(struct weft__driver **driver) {
    static const struct weft__driver_ops ops = {
        .name = "uring",
        .submit = submit,
        .cancel = cancel,
        .reap = reap,
        .flush = flush,
        .wait = wait,
        .bind = bind_thread,
        .unbind = unbind_thread,
        .close = close_uring,
        .pending = pending,
        .rescue = rescue,
        .fetch = fetch,
        .wake = wake,
    };
    struct uring *uring = calloc(1, sizeof *uring);
    if (!uring) return -ENOMEM;
    uring->driver.ops = &ops;
    weft__list_init(&uring->backlog);
    weft__list_init(&uring->cancels);
    int error = weft__doorbell_open(&uring->doorbell);
    if (error) goto out_free;
    error = weft__fd_table_init(&uring->fds);
    if (error) goto out_doorbell;
    error = bind_thread(&uring->driver);
    if (error) goto out_table;
    *driver = &uring->driver;
    return 0;

out_table:
    weft__fd_table_fini(&uring->fds);
out_doorbell:
    weft__doorbell_close(&uring->doorbell);
out_free:
    free(uring);
    return error;
}
