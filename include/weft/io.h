/* weft/io.h: the POSIX calls on plain file descriptors, as await points.
 *
 * Each has its POSIX signature with a weft_ prefix, suspends only its task, and returns the result or
 * -errno. Descriptors may be blocking or not; weft neither needs nor changes O_NONBLOCK.
 *
 * Common to all of them
 *   Thread: task. Suspends: yes. Owns: buffers are borrowed until the call returns, and it returns only
 *   when the kernel has given them back, cancelled or not.
 *   Errors: the system call's; -EPERM outside a task; -ECANCELED (nothing was transferred: an operation
 *   that completed although it was being cancelled returns its result, and the request waits for the next
 *   await point); -EBADF if weft_close took the descriptor away meanwhile. */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <weft/base.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* read(2), write(2): up to `bytes` at the descriptor's own position. Returns bytes; 0 is end of file.
 * Thread: task. Suspends: yes. Owns: the buffer is borrowed. Errors: as above. */
ssize_t weft_read(int fd, void *buffer, size_t bytes);
ssize_t weft_write(int fd, const void *buffer, size_t bytes);

/* readv(2), writev(2): the same over `iov_count` pieces.
 * Thread: task. Suspends: yes. Owns: iov and buffers are borrowed. Errors: as above, -EINVAL (the count). */
ssize_t weft_readv(int fd, const struct iovec *iov, int iov_count);
ssize_t weft_writev(int fd, const struct iovec *iov, int iov_count);

/* pread(2), pwrite(2): at `offset` bytes from the start, which leaves the position alone.
 * Thread: task. Suspends: yes, but not for what lies in the page cache. Owns: the buffer is borrowed.
 * Errors: as above, -EINVAL (a negative offset), -ESPIPE. */
ssize_t weft_pread(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t weft_pwrite(int fd, const void *buffer, size_t bytes, off_t offset);

/* recv(2), recvmsg(2): returns bytes; 0 is the end of the stream. With MSG_DONTWAIT they never suspend.
 * Thread: task. Suspends: yes. Owns: buffers are borrowed. Errors: as above, -EAGAIN (MSG_DONTWAIT). */
ssize_t weft_recv(int fd, void *buffer, size_t bytes, int flags);
ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags);

/* send(2), sendmsg(2): returns bytes, perhaps fewer than asked. Never raises SIGPIPE.
 * Thread: task. Suspends: only when the socket is full. Owns: buffers are borrowed.
 * Errors: as above, -EPIPE, -EAGAIN (MSG_DONTWAIT). */
ssize_t weft_send(int fd, const void *buffer, size_t bytes, int flags);
ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags);

/* Sends all of `buffer`: returns `bytes`, or the first error (part may then have been sent).
 * Thread: task. Suspends: when the socket is full. Owns: the buffer is borrowed. Errors: as weft_send. */
ssize_t weft_send_all(int fd, const void *buffer, size_t bytes);

/* accept4(2): returns a descriptor, close-on-exec whatever `flags` says. `address` may be NULL.
 * Thread: task. Suspends: yes. Owns: the caller, the new descriptor. Errors: as above. */
int weft_accept(int fd, struct sockaddr *address, socklen_t *address_bytes, int flags);

/* connect(2): returns 0 when connected.
 * Thread: task. Suspends: yes. Owns: the address is borrowed. Errors: as above. */
int weft_connect(int fd, const struct sockaddr *address, socklen_t address_bytes);

/* shutdown(2).
 * Thread: task. Suspends: no. Owns: nothing. Errors: the system call's, -EPERM. */
int weft_shutdown(int fd, int how);

/* openat(2) with O_CLOEXEC added: returns a descriptor. A cancelled open never leaks one.
 * Thread: task. Suspends: yes. Owns: the caller, the new descriptor; the path is borrowed.
 * Errors: as above, -EINVAL (NULL). */
int weft_openat(int dirfd, const char *path, int flags, mode_t mode);

/* fsync(2).
 * Thread: task. Suspends: yes. Owns: nothing. Errors: as above. */
int weft_fsync(int fd);

/* Waits until `fd` is ready for `events` (POLLIN …); returns those that it is ready for, and POLLERR, POLLHUP
 * (on io_uring also POLLRDHUP, asked or not).
 * Thread: task. Suspends: yes. Owns: nothing. Errors: as above. */
int weft_poll(int fd, short events);

/* Cancels weft's operations that are pending on `fd` in this runtime (they return -EBADF), waits until
 * the kernel has let go of them, and closes it. No cancellation point: the descriptor is always closed.
 * Thread: any; outside a task it is close(2). Suspends: if operations are pending. Owns: takes the
 * descriptor. Errors: close(2)'s; -EINTR never. */
int weft_close(int fd);

/* Zero is the default of every option. */
typedef struct weft_serve_options {
    int backlog;                      /* of listen(2), per worker; 0: 1024 */
    void (*ready)(void *arg, int port); /* called once, on the serving task, when connections are accepted */
    void *ready_arg;
} weft_serve_options;

/* Serves TCP on `address` ("127.0.0.1:7000", "[::1]:0", port 0: the kernel's choice): a listening socket
 * on every worker, and a task per connection that runs `handler` with the descriptor cast to void *. The
 * handler owns the descriptor and closes it. Returns only on an error or when cancelled; connections then
 * go on. `options` may be NULL. When descriptors run out it pauses for a second, as asyncio does.
 * Thread: task. Suspends: yes. Owns: borrows options during the call.
 * Errors: -EINVAL (address, NULL handler), -EADDRINUSE and others of socket, bind, listen and accept,
 * -ECANCELED, -ENOMEM, -EPERM. */
int weft_serve_tcp(const char *address, intptr_t (*handler)(void *fd), const weft_serve_options *options);

#ifdef __cplusplus
}
#endif
#endif
