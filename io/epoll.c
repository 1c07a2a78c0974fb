/* The epoll driver, for kernels and containers without io_uring. Correct before fast.
 *
 * An operation is tried at once, without blocking. If it would block it waits in the list of its
 * descriptor, which epoll watches, level-triggered, for whatever its list waits for. Completions are
 * collected in `done` and delivered by reap, as the contract of driver.h asks.
 *
 * Descriptors need not be non-blocking: sockets are asked with MSG_DONTWAIT, pipes and files with
 * RWF_NOWAIT. What epoll cannot watch (regular files) is done on the spot, and blocks as long as the file
 * does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../runtime/assert.h"
#include "../runtime/world.h"
#include "doorbell.h"
#include "driver.h"
#include "fd_table.h"

#define EVENTS 256
#define WOULD_BLOCK (-EAGAIN)

struct descriptor {
    struct weft__list waiting; /* operations */
    uint32_t watched;          /* events that epoll knows of; 0: not registered */
};

struct epoll {
    struct weft__driver driver;
    /* const after open */
    int epoll;
    /* owner only */
    struct descriptor *descriptors; /* by number, grown as needed */
    int descriptor_count;
    bool milliseconds;              /* this kernel has no epoll_pwait2 */
    struct weft__list done;         /* operations whose result stands in `length` */
    /* any thread */
    struct weft__doorbell doorbell;
    struct weft__fd_table fds;
};

static struct epoll *epoll_of(struct weft__driver *driver) { return weft__container_of(driver, struct epoll, driver); }
static struct weft__op *op_of(struct weft__list *link) { return weft__container_of(link, struct weft__op, link); }

static int32_t failed_or(ssize_t result) { return result < 0 ? -errno : (int32_t)result; }

/* ---- one attempt ---- */

/* preadv2/pwritev2 with RWF_NOWAIT; a file that does not know the flag is only asked when `ready`. */
static int32_t try_vector(struct weft__op *op, const struct iovec *iov, int count, bool write, bool ready) {
    for (int flags = RWF_NOWAIT;; flags = 0) {
        ssize_t result = write ? pwritev2(op->fd, iov, count, op->offset, flags)
                               : preadv2(op->fd, iov, count, op->offset, flags);
        if (result >= 0 || errno != EOPNOTSUPP || flags == 0) return failed_or(result);
        if (!ready) return WOULD_BLOCK;
    }
}

static int32_t try_plain(struct weft__op *op, bool write, bool ready) {
    struct iovec iov = {op->buffer, op->length};
    return try_vector(op, &iov, 1, write, ready);
}

/* A blocking connect is made non-blocking for the moment of the call. */
static int32_t start_connect(struct weft__op *op) {
    int flags = fcntl(op->fd, F_GETFL);
    if (flags < 0) return -errno;
    if (!(flags & O_NONBLOCK)) fcntl(op->fd, F_SETFL, flags | O_NONBLOCK);
    int32_t result = failed_or(connect(op->fd, op->buffer, op->length));
    if (!(flags & O_NONBLOCK)) fcntl(op->fd, F_SETFL, flags);
    return result == -EINPROGRESS ? WOULD_BLOCK : result;
}

static int32_t end_connect(struct weft__op *op) {
    int error = 0;
    socklen_t bytes = sizeof error;
    return getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 ? -errno : -error;
}

/* The descriptor may block: asked only when epoll says so; what does not listen never would be. */
static int32_t try_accept(struct weft__op *op, bool ready) {
    int listens = 0;
    socklen_t bytes = sizeof listens;
    if (!ready && getsockopt(op->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) < 0) return -errno;
    if (!ready) return listens ? WOULD_BLOCK : -EINVAL;
    bool many = op->opcode == WEFT__OP_ACCEPT_MANY;
    return failed_or(accept4(op->fd, many ? NULL : op->buffer, many ? NULL : op->extra, op->flags));
}

static int32_t try_poll(struct weft__op *op) {
    struct pollfd poll_fd = {.fd = op->fd, .events = (short)op->flags};
    int32_t result = failed_or(poll(&poll_fd, 1, 0));
    if (result <= 0) return result < 0 ? result : WOULD_BLOCK;
    return poll_fd.revents & POLLNVAL ? -EBADF : poll_fd.revents;
}

/* `ready`: epoll said so. WOULD_BLOCK: wait for events_of(op). */
static int32_t attempt(struct weft__op *op, bool ready) {
    int flags = op->flags | MSG_DONTWAIT;
    switch ((enum weft__opcode)op->opcode) {
    case WEFT__OP_READ: return try_plain(op, false, ready);
    case WEFT__OP_WRITE: return try_plain(op, true, ready);
    case WEFT__OP_READV: return try_vector(op, op->buffer, (int)op->length, false, ready);
    case WEFT__OP_WRITEV: return try_vector(op, op->buffer, (int)op->length, true, ready);
    case WEFT__OP_RECV: return failed_or(recv(op->fd, op->buffer, op->length, flags));
    case WEFT__OP_SEND: return failed_or(send(op->fd, op->buffer, op->length, flags));
    case WEFT__OP_RECVMSG: return failed_or(recvmsg(op->fd, op->buffer, flags));
    case WEFT__OP_SENDMSG: return failed_or(sendmsg(op->fd, op->buffer, flags));
    case WEFT__OP_ACCEPT:
    case WEFT__OP_ACCEPT_MANY: return try_accept(op, ready);
    case WEFT__OP_CONNECT: return ready ? end_connect(op) : start_connect(op);
    case WEFT__OP_OPENAT: return failed_or(openat(op->fd, op->buffer, op->flags, (mode_t)op->length));
    case WEFT__OP_FSYNC: return failed_or(fsync(op->fd));
    case WEFT__OP_POLL: return try_poll(op);
    case WEFT__OP_CANCEL_FD: break;
    }
    return -EINVAL;
}

static uint32_t events_of(const struct weft__op *op) {
    switch ((enum weft__opcode)op->opcode) {
    case WEFT__OP_WRITE:
    case WEFT__OP_WRITEV:
    case WEFT__OP_SEND:
    case WEFT__OP_SENDMSG:
    case WEFT__OP_CONNECT: return EPOLLOUT;
    case WEFT__OP_POLL: return (uint32_t)op->flags | EPOLLERR | EPOLLHUP;
    default: return EPOLLIN;
    }
}

/* ---- waiting ---- */

static struct descriptor *descriptor_of(struct epoll *epoll, int fd) {
    if (fd < epoll->descriptor_count) return &epoll->descriptors[fd];
    int count = fd < 512 ? 1024 : fd * 2;
    struct descriptor *grown = malloc((size_t)count * sizeof *grown);
    if (!grown) return NULL;
    for (int i = 0; i < count; i++) {
        grown[i].watched = 0;
        weft__list_init(&grown[i].waiting);
        if (i >= epoll->descriptor_count) continue;
        grown[i].watched = epoll->descriptors[i].watched;
        weft__list_splice(&grown[i].waiting, &epoll->descriptors[i].waiting);
    }
    free(epoll->descriptors);
    epoll->descriptors = grown;
    epoll->descriptor_count = count;
    return &grown[fd];
}

/* Tells epoll what the list of `fd` waits for now. 0 or -errno. */
static int watch(struct epoll *epoll, struct descriptor *descriptor, int fd) {
    struct epoll_event event = {.data.fd = fd};
    for (struct weft__list *link = descriptor->waiting.next; link != &descriptor->waiting; link = link->next)
        event.events |= events_of(op_of(link));
    if (event.events == descriptor->watched) return 0;
    int how = event.events == 0 ? EPOLL_CTL_DEL : descriptor->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int result = epoll_ctl(epoll->epoll, how, fd, &event);
    if (result < 0 && errno == EEXIST) result = epoll_ctl(epoll->epoll, EPOLL_CTL_MOD, fd, &event);
    if (result < 0 && errno == ENOENT && how == EPOLL_CTL_MOD) /* closed and reused behind our back */
        result = epoll_ctl(epoll->epoll, EPOLL_CTL_ADD, fd, &event);
    if (result < 0 && how == EPOLL_CTL_DEL) result = 0;
    if (result < 0) return -errno;
    descriptor->watched = event.events;
    return 0;
}

static void finish(struct epoll *epoll, struct weft__op *op, int32_t result) {
    op->queued = false;
    op->length = (uint32_t)result;
    weft__list_append(&epoll->done, &op->link);
}

/* Takes an operation out of its descriptor's list. */
static void stop_waiting(struct epoll *epoll, struct weft__op *op) {
    weft__list_remove(&op->link);
    watch(epoll, &epoll->descriptors[op->fd], op->fd);
}

static void cancel_fd(struct epoll *epoll, int fd) {
    if (fd >= epoll->descriptor_count) return;
    struct descriptor *descriptor = &epoll->descriptors[fd];
    for (struct weft__list *link; (link = weft__list_pop(&descriptor->waiting));)
        finish(epoll, op_of(link), -ECANCELED);
    watch(epoll, descriptor, fd);
}

static void submit(struct weft__driver *driver, struct weft__op *op) {
    struct epoll *epoll = epoll_of(driver);
    counter_add(&driver->counters.submissions, 1);
    weft__list_init(&op->link);
    op->data_left = false;
    if (op->opcode == WEFT__OP_CANCEL_FD) {
        cancel_fd(epoll, op->fd);
        finish(epoll, op, 0);
        return;
    }
    weft__fd_table_add(&epoll->fds, op->fd, 1);
    int32_t result = op->fd < 0 && op->opcode != WEFT__OP_OPENAT ? -EBADF : attempt(op, false);
    if (result != WOULD_BLOCK || op->opcode == WEFT__OP_OPENAT) { /* an open has nothing to wait at */
        finish(epoll, op, result);
        return;
    }
    struct descriptor *descriptor = descriptor_of(epoll, op->fd);
    if (!descriptor) {
        finish(epoll, op, -ENOMEM);
        return;
    }
    op->queued = true; /* waits, in the list of its descriptor */
    weft__list_append(&descriptor->waiting, &op->link);
    int error = watch(epoll, descriptor, op->fd);
    if (error == 0) return;
    weft__list_remove(&op->link);
    finish(epoll, op, error == -EPERM ? attempt(op, true) : error); /* EPERM: a file, always ready */
}

static void cancel(struct weft__driver *driver, struct weft__op *op) {
    if (!op->queued) return; /* in `done`: it completes as it is */
    stop_waiting(epoll_of(driver), op);
    finish(epoll_of(driver), op, -ECANCELED);
}

/* ---- reaping ---- */

/* Retries what waits for one of `events`, in order. */
static void retry(struct epoll *epoll, int fd, uint32_t events) {
    struct descriptor *descriptor = &epoll->descriptors[fd];
    for (struct weft__list *link = descriptor->waiting.next, *next; link != &descriptor->waiting; link = next) {
        struct weft__op *op = op_of(link);
        next = link->next;
        if (!(events & (events_of(op) | EPOLLERR | EPOLLHUP))) continue;
        int32_t result = attempt(op, true);
        if (result == WOULD_BLOCK) continue;
        if (op->opcode == WEFT__OP_ACCEPT_MANY && result >= 0) {
            op->complete(op, result, true);
            continue;
        }
        weft__list_remove(link);
        finish(epoll, op, result);
    }
    watch(epoll, descriptor, fd);
}

static unsigned deliver(struct epoll *epoll) {
    unsigned count = 0;
    struct weft__list batch; /* what callbacks submit and completes at once is for the next round */
    weft__list_init(&batch);
    weft__list_splice(&batch, &epoll->done);
    for (struct weft__list *link; (link = weft__list_pop(&batch)); count++) {
        struct weft__op *op = op_of(link);
        if (op->opcode != WEFT__OP_CANCEL_FD) weft__fd_table_add(&epoll->fds, op->fd, -1);
        counter_add(&epoll->driver.counters.completions, 1);
        op->complete(op, (int32_t)op->length, false);
    }
    return count;
}

/* epoll_pwait2 is Linux 5.11, and Valgrind does not know it: then milliseconds, rounded up. */
static int wait_for_events(struct epoll *epoll, struct epoll_event *events, int64_t timeout_ns) {
    struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    if (!epoll->milliseconds) {
        int count = epoll_pwait2(epoll->epoll, events, EVENTS, timeout_ns == INT64_MAX ? NULL : &timeout, NULL);
        if (count >= 0 || errno != ENOSYS) return count;
        epoll->milliseconds = true;
    }
    int64_t timeout_ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
    if (timeout_ns == INT64_MAX) timeout_ms = -1;
    else if (timeout_ms > INT32_MAX) timeout_ms = INT32_MAX;
    return epoll_wait(epoll->epoll, events, EVENTS, (int)timeout_ms);
}

static unsigned poll_events(struct epoll *epoll, int64_t timeout_ns) {
    struct epoll_event events[EVENTS];
    counter_add(&epoll->driver.counters.enters, 1);
    int count = wait_for_events(epoll, events, timeout_ns);
    weft__assert(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++)
        if (events[i].data.fd == epoll->doorbell.fd) weft__doorbell_hear(&epoll->doorbell);
        else retry(epoll, events[i].data.fd, events[i].events);
    return deliver(epoll);
}

static unsigned reap(struct weft__driver *driver) {
    return weft__driver_any(driver) ? poll_events(epoll_of(driver), 0) : 0;
}

static void flush(struct weft__driver *driver) { (void)driver; /* submit has done all there is to do */ }

static unsigned wait(struct weft__driver *driver, int64_t deadline_ns) {
    struct epoll *epoll = epoll_of(driver);
    if (!weft__driver_any(driver)) {
        weft__doorbell_wait(&epoll->doorbell, deadline_ns);
        return 0;
    }
    int64_t left = deadline_ns == INT64_MAX ? INT64_MAX : deadline_ns - weft__world_now();
    if (left <= 0 || !weft__list_empty(&epoll->done) || !weft__doorbell_begin(&epoll->doorbell)) return reap(driver);
    unsigned count = poll_events(epoll, left);
    weft__doorbell_end(&epoll->doorbell);
    return count;
}

static void wake(struct weft__driver *driver) { weft__doorbell_ring(&epoll_of(driver)->doorbell); }

static enum weft__pending pending(struct weft__driver *driver, int fd) {
    return weft__fd_table_look(&epoll_of(driver)->fds, fd);
}

/* ---- open, bind, close ---- */

/* Any thread may wait on an epoll descriptor. */
static int bind_thread(struct weft__driver *driver) {
    (void)driver;
    return 0;
}
static void unbind_thread(struct weft__driver *driver) { (void)driver; }

static void close_epoll(struct weft__driver *driver) {
    struct epoll *epoll = epoll_of(driver);
    close(epoll->epoll);
    weft__doorbell_close(&epoll->doorbell);
    weft__fd_table_fini(&epoll->fds);
    free(epoll->descriptors);
    free(epoll);
}

int weft__epoll_open(struct weft__driver **driver) {
    static const struct weft__driver_ops ops = {
        .name = "epoll",
        .submit = submit,
        .cancel = cancel,
        .reap = reap,
        .flush = flush,
        .wait = wait,
        .bind = bind_thread,
        .unbind = unbind_thread,
        .close = close_epoll,
        .pending = pending,
        .wake = wake,
    };
    struct epoll *epoll = calloc(1, sizeof *epoll);
    if (!epoll) return -ENOMEM;
    epoll->driver.ops = &ops;
    weft__list_init(&epoll->done);
    int error = weft__fd_table_init(&epoll->fds);
    if (error) goto out_free;
    error = weft__doorbell_open(&epoll->doorbell);
    if (error) goto out_table;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = epoll->doorbell.fd};
    epoll->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->epoll < 0 || epoll_ctl(epoll->epoll, EPOLL_CTL_ADD, epoll->doorbell.fd, &event) < 0) {
        error = -errno;
        goto out_epoll;
    }
    *driver = &epoll->driver;
    return 0;

out_epoll:
    if (epoll->epoll >= 0) close(epoll->epoll);
    weft__doorbell_close(&epoll->doorbell);
out_table:
    weft__fd_table_fini(&epoll->fds);
out_free:
    free(epoll);
    return error;
}
