/* Bare io_uring with a registered file and registered buffers. */
#include "reads/reads.h"

#include <liburing.h>

static struct io_uring ring;
static uint64_t states[IN_FLIGHT], wanted[IN_FLIGHT];

static void must(int result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "%s: %s\n", what, strerror(-result));
    exit(1);
}

static void submit(uint64_t reader) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    wanted[reader] = random_block(&states[reader]);
    io_uring_prep_read_fixed(sqe, 0, blocks[reader], BLOCK_BYTES, wanted[reader] * BLOCK_BYTES, (int)reader);
    sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, reader);
}

static void read_all(long count) {
    long submitted = 0, completed = 0;
    for (; submitted < IN_FLIGHT; submitted++) submit((uint64_t)submitted);
    while (completed < count) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        must(io_uring_submit_and_wait(&ring, 1), "io_uring_enter");
        io_uring_for_each_cqe(&ring, head, cqe) {
            uint64_t reader = cqe->user_data;
            check_block(blocks[reader], cqe->res, wanted[reader]);
            if (submitted < count) submit(reader), submitted++;
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
        completed += seen;
    }
}

int main(int argc, char **argv) {
    struct iovec vectors[IN_FLIGHT];
    open_file(argc, argv);
    for (uint64_t i = 0; i < IN_FLIGHT; i++) {
        states[i] = i;
        vectors[i] = (struct iovec){blocks[i], BLOCK_BYTES};
    }
    must(io_uring_queue_init(2 * IN_FLIGHT, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
         "io_uring");
    must(io_uring_register_ring_fd(&ring), "registering the ring");
    must(io_uring_register_files(&ring, &file, 1), "registering the file");
    must(io_uring_register_buffers(&ring, vectors, IN_FLIGHT), "registering buffers");
    measure_reads(read_all);
}
