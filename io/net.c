/* Sockets. A send is tried at once as a plain system call (batching sends gains nothing) and goes to the
 * ring when the socket is full. A receive is tried at once only if data is likely; otherwise the ring waits
 * for data first. */
#define _GNU_SOURCE
#include <weft/io.h>

#include "op.h"

/* The result of a system call made on the spot: charges the budget, for it did not suspend. */
static ssize_t at_once(ssize_t result) {
    weft__budget_charge();
    return result;
}

static bool would_block(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK); }

/* One receive: what is there, or what comes first. */
static ssize_t receive(struct weft__task *task, int fd, void *buffer, size_t bytes, int flags, bool more) {
    bool likely = task->data_left && task->last_receive_fd == fd && !weft__cancel_pending(task);
    if (likely || flags & MSG_DONTWAIT) {
        ssize_t received = recv(fd, buffer, bytes, flags | MSG_DONTWAIT);
        task->data_left = received == (ssize_t)bytes;
        if (!would_block(received) || flags & MSG_DONTWAIT) return at_once(received < 0 ? -errno : received);
    }
    return weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_RECV, .poll_first = true, .fd = fd,
                                                     .buffer = buffer, .length = weft__op_length(bytes),
                                                     .flags = flags, .keep_request = more},
                                   POLLIN);
}

/* MSG_WAITALL is a loop here: the drivers need not know it, and a cancelled one returns what it has, with the
 * request still undelivered. */
ssize_t weft_recv(int fd, void *buffer, size_t bytes, int flags) {
    struct weft__task *task = weft__op_task();
    if (!task) return -EPERM;
    bool all = flags & MSG_WAITALL && !(flags & (MSG_DONTWAIT | MSG_PEEK));
    size_t have = 0;
    do {
        ssize_t received = receive(task, fd, (char *)buffer + have, bytes - have, flags & ~MSG_WAITALL, have > 0);
        if (received <= 0) return have > 0 ? (ssize_t)have : received;
        have += (size_t)received;
    } while (all && have < bytes);
    return (ssize_t)have;
}

ssize_t weft_send(int fd, const void *buffer, size_t bytes, int flags) {
    if (!weft__op_task()) return -EPERM;
    ssize_t sent = send(fd, buffer, bytes, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!would_block(sent) || flags & MSG_DONTWAIT) return at_once(sent < 0 ? -errno : sent);
    return weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_SEND, .poll_first = true, .fd = fd,
                                            .buffer = (void *)(uintptr_t)buffer, .length = weft__op_length(bytes),
                                            .flags = flags | MSG_NOSIGNAL},
                          POLLOUT);
}

ssize_t weft_send_all(int fd, const void *buffer, size_t bytes) {
    const char *at = buffer;
    for (size_t left = bytes; left > 0;) {
        ssize_t sent = weft_send(fd, at, left, 0);
        if (sent < 0) return sent;
        at += sent;
        left -= (size_t)sent;
    }
    return (ssize_t)bytes;
}

ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags) {
    if (!weft__op_task()) return -EPERM;
    if (flags & MSG_DONTWAIT) {
        ssize_t received = recvmsg(fd, message, flags);
        return at_once(received < 0 ? -errno : received);
    }
    return weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_RECVMSG, .poll_first = true, .fd = fd,
                                            .buffer = message, .flags = flags},
                          POLLIN);
}

ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags) {
    if (!weft__op_task()) return -EPERM;
    ssize_t sent = sendmsg(fd, message, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!would_block(sent) || flags & MSG_DONTWAIT) return at_once(sent < 0 ? -errno : sent);
    return weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_SENDMSG, .poll_first = true, .fd = fd,
                                            .buffer = (void *)(uintptr_t)message, .flags = flags | MSG_NOSIGNAL},
                          POLLOUT);
}

int weft_accept(int fd, struct sockaddr *address, socklen_t *address_bytes, int flags) {
    return (int)weft__op_run_when_ready((struct weft__op){.opcode = WEFT__OP_ACCEPT, .fd = fd, .buffer = address,
                                                          .extra = address_bytes, .flags = flags | SOCK_CLOEXEC},
                                        POLLIN);
}

int weft_connect(int fd, const struct sockaddr *address, socklen_t address_bytes) {
    intptr_t result = weft__op_run((struct weft__op){.opcode = WEFT__OP_CONNECT, .fd = fd,
                                                     .buffer = (void *)(uintptr_t)address, .length = address_bytes});
    if (result != -EINPROGRESS) return (int)result;
    int error = 0; /* O_NONBLOCK: the ring began to connect; the socket is writable when that has ended */
    socklen_t bytes = sizeof error;
    result = weft_poll(fd, POLLOUT);
    if (result < 0) return (int)result;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 ? -errno : -error;
}

int weft_shutdown(int fd, int how) {
    if (!weft__op_task()) return -EPERM;
    return shutdown(fd, how) < 0 ? -errno : 0; /* never blocks */
}
