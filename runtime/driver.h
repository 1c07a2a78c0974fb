/* What a worker needs of I/O: submit, reap, wait, wake, cancel. No io_uring or epoll types.
 *
 * This is the seam between scheduler and kernel (the other is world.h). A driver belongs to one worker and
 * is opened, used and closed by that worker's thread; only `wake`, `pending` and `rescue` may be called by others.
 *
 * An operation belongs to the driver from submit until its complete() runs, on the owner's thread and
 * inside reap, or inside rescue; its buffers belong to the kernel for the same time. Submitting never fails and
 * never calls complete(): when the queue to the kernel is full, the operation waits in the driver's own list. */
#ifndef WEFT_RUNTIME_DRIVER_H
#define WEFT_RUNTIME_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"
#include "list.h"

enum weft__opcode {
    WEFT__OP_READ,        /* buffer, length, offset (-1: the file's own) */
    WEFT__OP_WRITE,
    WEFT__OP_READV,       /* buffer: the iovecs, length: their count */
    WEFT__OP_WRITEV,
    WEFT__OP_RECV,        /* buffer, length, flags */
    WEFT__OP_SEND,
    WEFT__OP_RECVMSG,     /* buffer: the msghdr, flags */
    WEFT__OP_SENDMSG,
    WEFT__OP_ACCEPT,      /* buffer: the address, extra: its length, flags */
    WEFT__OP_ACCEPT_MANY, /* completes once per connection while `more` is true */
    WEFT__OP_CONNECT,     /* buffer: the address, length */
    WEFT__OP_OPENAT,      /* buffer: the path, flags, length: the mode */
    WEFT__OP_FSYNC,
    WEFT__OP_POLL,        /* flags: the events */
    WEFT__OP_CANCEL_FD,   /* cancels all operations on fd */
};

struct weft__driver;
struct weft__op;

struct weft__op {
    /* const after submit */
    uint8_t opcode;
    bool poll_first;      /* a receive that is not likely to find data: wait, then try */
    bool anywhere;        /* complete may be called on the watchman's thread, if the owner is stuck */
    bool keep_request;    /* a cancel request that ends it stays undelivered: the call has something to return */
    int fd;
    int flags;
    uint32_t length;
    void *buffer, *extra;
    int64_t offset;
    /* Thread: the driver's; with `anywhere`, the watchman's. `more`: the operation goes on and will complete
     * again. */
    void (*complete)(struct weft__op *op, int32_t result, bool more);
    /* the driver's own */
    struct weft__list link;
    uint64_t tag;
    bool queued;          /* in the driver's own list: the kernel does not know of it yet */
    bool cancel_queued;   /* the cancel waits for room in the queue to the kernel */
    bool rescued;         /* has completed on the watchman's thread */
    bool cancelled;       /* by its owner: if it ends with -ECANCELED, then for that */
    bool data_left;       /* the last completion said that more can be received at once */
};

/* Owner-written counters, read by any thread. */
struct weft__driver_counters {
    _Atomic uint64_t enters, submissions, completions;
    _Atomic uint64_t rescued; /* completions, too; written by the watchman */
};

enum weft__pending { WEFT__PENDING_NONE, WEFT__PENDING_SOME, WEFT__PENDING_UNKNOWN };

struct weft__driver_ops {
    const char *name;
    /* Thread: the owner */
    void (*submit)(struct weft__driver *driver, struct weft__op *op);
    void (*cancel)(struct weft__driver *driver, struct weft__op *op); /* it completes, -ECANCELED or not */
    /* Completes what is ready; returns how many. Never sleeps. */
    unsigned (*reap)(struct weft__driver *driver);
    /* Hands to the kernel what was submitted: at the latest before the owner does anything else for longer. Wait
     * does so as well if it sleeps, and costs no system call more; so who is about to wait does not flush before. */
    void (*flush)(struct weft__driver *driver);
    /* As reap, but sleeps until something completes, `wake` is called (or was, since the last wait), or
     * `deadline_ns`; not at all if something has completed already. */
    unsigned (*wait)(struct weft__driver *driver, int64_t deadline_ns);
    /* unbind: the thread leaves; what is under way is taken back, and submitted again once a thread, this one or
     * another, has bound itself to the driver. bind: 0 or -errno, and then the driver stays unbound. */
    int (*bind)(struct weft__driver *driver);
    void (*unbind)(struct weft__driver *driver);
    void (*close)(struct weft__driver *driver); /* bound or not; no operation is in flight */
    /* Thread: any */
    enum weft__pending (*pending)(struct weft__driver *driver, int fd); /* operations under way on fd */
    void (*wake)(struct weft__driver *driver);
    /* Completes what is ready and may complete anywhere, while the owner is stuck; what may not is left to the
     * owner. Returns whether fetch would bring more. NULL, as fetch: no such thing. Thread: the watchman */
    bool (*rescue)(struct weft__driver *driver);
    /* Has the kernel hand over completions that it holds back for the owner; and, if that is in a task, take the
     * operations which it had no occasion to submit yet. Thread: the owner's, in a signal handler, at any
     * moment */
    void (*fetch)(struct weft__driver *driver, bool in_task);
};

/* The common head of every driver. */
struct weft__driver {
    const struct weft__driver_ops *ops;
    struct weft__driver_counters counters;
};

/* Whether any operation is under way. Thread: the owner. */
static inline bool weft__driver_any(struct weft__driver *driver) {
    struct weft__driver_counters *counters = &driver->counters;
    uint64_t over = load_relaxed(&counters->completions) + load_relaxed(&counters->rescued);
    return load_relaxed(&counters->submissions) != over;
}

/* Opens a driver for the calling thread: by name, or with NULL the best that this kernel allows.
 * 0 or -errno (-EINVAL: no such driver). `notice`: say on stderr why another one was taken. */
int weft__driver_open(const char *name, bool notice, struct weft__driver **driver);

#endif
