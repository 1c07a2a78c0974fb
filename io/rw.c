/* Files, pipes and whatever else has a descriptor. */
#define _GNU_SOURCE
#include <weft/io.h>

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "op.h"

#define SMALL_READ 65536 /* up to here a copy from the page cache is cheaper than a trip through the ring */

ssize_t weft_read(int fd, void *buffer, size_t bytes) {
    return weft__op_run_when_ready(
        (struct weft__op){.opcode = WEFT__OP_READ, .fd = fd, .buffer = buffer, .length = weft__op_length(bytes), .offset = -1},
        POLLIN);
}

ssize_t weft_write(int fd, const void *buffer, size_t bytes) {
    return weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_WRITE, .fd = fd, .buffer = (void *)(uintptr_t)buffer,
                                            .length = weft__op_length(bytes), .offset = -1},
                          POLLOUT);
}

ssize_t weft_readv(int fd, const struct iovec *iov, int iov_count) {
    if (iov_count < 0 || iov_count > IOV_MAX) return -EINVAL;
    return weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_READV, .fd = fd, .buffer = (void *)(uintptr_t)iov,
                                            .length = (uint32_t)iov_count, .offset = -1},
                          POLLIN);
}

ssize_t weft_writev(int fd, const struct iovec *iov, int iov_count) {
    if (iov_count < 0 || iov_count > IOV_MAX) return -EINVAL;
    return weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_WRITEV, .fd = fd, .buffer = (void *)(uintptr_t)iov,
                                            .length = (uint32_t)iov_count, .offset = -1},
                          POLLOUT);
}

/* RWF_NOWAIT keeps a read past the page cache (O_DIRECT) from waiting for locks, but not for the disk: 44 us. Only
 * what is aligned can be such a read; the others need not be asked. */
static bool is_direct(int fd, const void *buffer, size_t bytes, off_t offset) {
    return ((uintptr_t)buffer | bytes | (uint64_t)offset) % 512 == 0 && fcntl(fd, F_GETFL) & O_DIRECT;
}

/* The ring ignores the offset of a stream, where pread(2) fails. */
static bool is_stream(int fd) { return lseek(fd, 0, SEEK_CUR) < 0 && errno == ESPIPE; }

ssize_t weft_pread(int fd, void *buffer, size_t bytes, off_t offset) {
    if (offset < 0) return -EINVAL;
    struct weft__task *task = weft__op_task();
    if (!task) return -EPERM;
    if (bytes <= SMALL_READ && !is_direct(fd, buffer, bytes, offset)) {
        struct iovec iov = {buffer, bytes};
        ssize_t result = preadv2(fd, &iov, 1, offset, RWF_NOWAIT);
        if (result == (ssize_t)bytes || result == 0) {
            weft__budget_charge();
            return result;
        } /* a part may only mean that the rest is not cached; an error comes again */
    }
    if (is_stream(fd)) return -ESPIPE;
    return weft__op_run((struct weft__op){.opcode = WEFT__OP_READ, .fd = fd, .buffer = buffer,
                                          .length = weft__op_length(bytes), .offset = offset});
}

ssize_t weft_pwrite(int fd, const void *buffer, size_t bytes, off_t offset) {
    if (offset < 0) return -EINVAL;
    if (!weft__op_task()) return -EPERM;
    if (is_stream(fd)) return -ESPIPE;
    return weft__op_run((struct weft__op){.opcode = WEFT__OP_WRITE, .fd = fd, .buffer = (void *)(uintptr_t)buffer,
                                          .length = weft__op_length(bytes), .offset = offset});
}

int weft_openat(int dirfd, const char *path, int flags, mode_t mode) {
    if (!path) return -EINVAL;
    return (int)weft__op_run((struct weft__op){.opcode = WEFT__OP_OPENAT, .fd = dirfd,
                                               .buffer = (void *)(uintptr_t)path, .flags = flags | O_CLOEXEC,
                                               .length = mode});
}

int weft_fsync(int fd) { return (int)weft__op_run((struct weft__op){.opcode = WEFT__OP_FSYNC, .fd = fd}); }

int weft_poll(int fd, short events) {
    return (int)weft__op_run((struct weft__op){.opcode = WEFT__OP_POLL, .fd = fd, .flags = (unsigned short)events});
}
