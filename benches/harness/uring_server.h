/* The limit of a server on io_uring: a ring a thread, nothing between the completion and the answer. Accepts and
 * receives are multishot, the latter into a ring of buffers; the answer leaves with a plain send, which is faster
 * than any way through the ring; a socket that is full loses the rest of its answer, which no benchmark sees. */
#ifndef BENCHES_URING_SERVER_H
#define BENCHES_URING_SERVER_H

#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

#include "harness/server.h"

enum { URING_ENTRIES = 1024, URING_BUFFERS = 2048, URING_BUFFER_BYTES = 2048 };

struct uring_worker {
    int listener;
    bool spin;
    void (*answer)(int fd, char *bytes, size_t length);
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory; /* of the buffers */
};

static inline void uring_must(int result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "%s: %s\n", what, strerror(-result));
    exit(1);
}

static inline struct io_uring_sqe *uring_sqe(struct uring_worker *self) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    if (sqe) return sqe;
    io_uring_submit(&self->ring);
    return io_uring_get_sqe(&self->ring);
}

static inline void uring_accept(struct uring_worker *self) {
    struct io_uring_sqe *sqe = uring_sqe(self);
    io_uring_prep_multishot_accept(sqe, self->listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, UINT64_MAX);
}

static inline void uring_receive(struct uring_worker *self, int fd) {
    struct io_uring_sqe *sqe = uring_sqe(self);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    io_uring_sqe_set_data64(sqe, (uint64_t)fd);
}

static inline void uring_give_buffer(struct uring_worker *self, unsigned number, int offset) {
    io_uring_buf_ring_add(self->buffers, self->memory + (size_t)number * URING_BUFFER_BYTES, URING_BUFFER_BYTES,
                          (unsigned short)number, io_uring_buf_ring_mask(URING_BUFFERS), offset);
}

static inline void uring_setup(struct uring_worker *self) {
    struct io_uring_params params;
    struct io_uring_buf_reg registration;
    memset(&params, 0, sizeof params);
    memset(&registration, 0, sizeof registration);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    params.cq_entries = 4 * URING_ENTRIES;
    uring_must(io_uring_queue_init_params(URING_ENTRIES, &self->ring, &params), "io_uring_setup");
    uring_must(io_uring_register_ring_fd(&self->ring), "registering the ring");
    registration.ring_entries = URING_BUFFERS;
    if (posix_memalign((void **)&self->buffers, 4096, URING_BUFFERS * sizeof(struct io_uring_buf)) != 0 ||
        posix_memalign((void **)&self->memory, 4096, (size_t)URING_BUFFERS * URING_BUFFER_BYTES) != 0)
        uring_must(-ENOMEM, "buffers");
    io_uring_buf_ring_init(self->buffers);
    registration.ring_addr = (uint64_t)(uintptr_t)self->buffers;
    uring_must(io_uring_register_buf_ring(&self->ring, &registration, 0), "registering buffers");
    for (unsigned i = 0; i < URING_BUFFERS; i++) uring_give_buffer(self, i, (int)i);
    io_uring_buf_ring_advance(self->buffers, URING_BUFFERS);
}

static inline void uring_received(struct uring_worker *self, const struct io_uring_cqe *cqe) {
    int fd = (int)cqe->user_data;
    bool more = cqe->flags & IORING_CQE_F_MORE;
    if (cqe->res > 0) {
        unsigned number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        self->answer(fd, self->memory + (size_t)number * URING_BUFFER_BYTES, (size_t)cqe->res);
        uring_give_buffer(self, number, 0);
        io_uring_buf_ring_advance(self->buffers, 1);
        if (!more) uring_receive(self, fd);
    } else if (cqe->res == -ENOBUFS) {
        uring_receive(self, fd);
    } else {
        close(fd);
    }
}

static inline void uring_completed(struct uring_worker *self, const struct io_uring_cqe *cqe) {
    if (cqe->user_data != UINT64_MAX) {
        uring_received(self, cqe);
        return;
    }
    if (cqe->res >= 0) uring_receive(self, cqe->res);
    if (!(cqe->flags & IORING_CQE_F_MORE)) uring_accept(self);
}

static inline void *uring_work(void *arg) {
    struct uring_worker *self = arg;
    uring_setup(self);
    uring_accept(self);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        if (self->spin) io_uring_submit_and_get_events(&self->ring);
        else io_uring_submit_and_wait(&self->ring, 1);
        io_uring_for_each_cqe(&self->ring, head, cqe) {
            uring_completed(self, cqe);
            seen++;
        }
        io_uring_cq_advance(&self->ring, seen);
    }
    return NULL;
}

/* Serves for ever; `answer` is called with what one receive brought. */
static inline void uring_serve(struct server_arguments arguments, void (*answer)(int, char *, size_t)) {
    struct uring_worker *workers = calloc(arguments.workers, sizeof *workers);
    pthread_t thread;
    for (unsigned i = 0; i < arguments.workers; i++) {
        workers[i].listener = server_listen(&arguments, 0);
        workers[i].spin = arguments.spin;
        workers[i].answer = answer;
    }
    for (unsigned i = 1; i < arguments.workers; i++) pthread_create(&thread, NULL, uring_work, &workers[i]);
    uring_work(&workers[0]);
}

#endif
