/* A TCP server on all workers: one SO_REUSEPORT listener and one multishot accept each (a shared listener
 * split 1312:188), a task per connection, which may be stolen from its first step on. */
#define _GNU_SOURCE
#include <weft/io.h>
#include <weft/timeout.h>

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "op.h"

#define BACKLOG 1024
#define PAUSE WEFT_SEC(1) /* asyncio's ACCEPT_RETRY_DELAY */

struct listener {
    struct server *server;
    weft_task *task;
    int fd;
};

struct server {
    weft_loop *loop;     /* any of the runtime */
    intptr_t (*handler)(void *fd);
    weft_future *begun;  /* completed when the first listener listens, or has failed to */
    weft_future *failed; /* completed with the first error of a listener */
    int backlog;
    unsigned count;
    struct listener listeners[];
};

/* ---- one listener ---- */

/* Thread: the worker's scheduler or, if the worker is stuck, the watchman's, which is no worker. The task must
 * start even if the runtime is stopping: it owns the fd. */
static void on_connection(void *arg, int32_t fd) {
    struct listener *self = arg;
    weft_future *coroutine = weft_coroutine(self->server->handler, (void *)(intptr_t)fd);
    struct weft__task *task = weft__task_of(coroutine);
    if (task) task->must_start = true;
    else close(fd);
    weft__future_ignore(coroutine); /* a connection that ends with an error is nothing to report */
    if (task && !weft__world_worker()) weft__loop_submit(self->server->loop, task);
    else coroutine = weft_create_task(coroutine);
    weft_release(coroutine);
}

/* What accept(2) calls errors of the connection, not of the listener. */
static bool is_passing(intptr_t error) {
    static const int passing[] = {ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
                                  EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, ETIMEDOUT, EAGAIN, EINTR, EPERM};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (error == -passing[i]) return true;
    return false;
}

static bool is_shortage(intptr_t error) {
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

static int fail(struct server *server, int error) {
    weft_future_set_exception(server->begun, error);
    weft_future_set_exception(server->failed, error);
    return error;
}

/* Not before its worker has time for it: the kernel deals connections out to those that listen. */
static intptr_t listen_task(void *arg) {
    struct listener *self = arg;
    if (listen(self->fd, self->server->backlog) < 0) return fail(self->server, -errno);
    weft_future_set_result(self->server->begun, 0);
    for (;;) {
        struct weft__op op = {.opcode = WEFT__OP_ACCEPT_MANY, .fd = self->fd, .flags = SOCK_CLOEXEC};
        intptr_t result = weft__op_run_many(op, on_connection, self);
        if (result >= 0) on_connection(self, (int32_t)result); /* the last of this round: arm it again */
        else if (is_shortage(result)) result = weft_sleep(PAUSE);
        else if (is_passing(result)) result = 0;
        if (result >= 0) continue;
        return result == -ECANCELED ? result : fail(self->server, (int)result);
    }
}

/* ---- addresses and sockets ---- */

/* getaddrinfo takes 65536 for 0. */
static bool is_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 6 && !text[digits] && atoi(text) <= 65535;
}

/* "host:port" or "[host]:port", numbers only; an empty host is every IPv4 address. */
static int parse(const char *address, struct sockaddr_storage *storage, socklen_t *bytes) {
    char host[128];
    const char *colon = address ? strrchr(address, ':') : NULL;
    if (!colon || !is_port(colon + 1) || (size_t)(colon - address) >= sizeof host) return -EINVAL;
    const char *from = address, *to = colon;
    if (*from == '[' && to > from + 1 && to[-1] == ']') from++, to--;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (from == to) hints.ai_family = AF_INET;
    if (getaddrinfo(from == to ? NULL : host, colon + 1, &hints, &found) != 0) return -EINVAL;
    memcpy(storage, found->ai_addr, found->ai_addrlen);
    *bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* Bound, and ready to listen. The first listener is bound before it gets SO_REUSEPORT, so a second server on the
 * port still fails with EADDRINUSE; `port_taken` is for the others. Returns the socket or -errno, and fills in the
 * port. */
static int open_listener(struct sockaddr_storage *address, socklen_t bytes, bool port_taken) {
    int one = 1, error;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0) goto out;
    if (port_taken && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0) goto out;
    if (bind(fd, (struct sockaddr *)address, bytes) < 0) goto out;
    if (!port_taken && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0) goto out;
    if (getsockname(fd, (struct sockaddr *)address, &bytes) < 0) goto out;
    return fd;
out:
    error = -errno;
    close(fd);
    return error;
}

static int port_of(const struct sockaddr_storage *address) {
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                                                : ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

/* ---- the server ---- */

static int open_listeners(struct server *server, struct sockaddr_storage *address, socklen_t bytes) {
    for (unsigned i = 0; i < server->count; i++) {
        int fd = open_listener(address, bytes, i > 0);
        if (fd < 0) return fd;
        server->listeners[i].fd = fd;
    }
    return 0;
}

static void start_listeners(struct server *server, struct weft__runtime *runtime) {
    for (unsigned i = 0; i < server->count; i++) {
        struct listener *listener = &server->listeners[i];
        weft_task_options options = {.name = "weft_serve_tcp", .loop = runtime->workers[i].loop};
        listener->task = weft_create_task_with(options, weft_coroutine(listen_task, listener));
        if (weft_done(listener->task)) /* no memory */
            fail(server, (int)weft_result(listener->task));
    }
}

static void stop_listeners(struct server *server) {
    for (unsigned i = 0; i < server->count; i++) weft_cancel(server->listeners[i].task);
    for (unsigned i = 0; i < server->count; i++) {
        struct listener *listener = &server->listeners[i];
        if (listener->task) weft_join(listener->task);
        if (listener->fd >= 0) weft_close(listener->fd);
    }
}

static struct server *server_new(struct weft__runtime *runtime, intptr_t (*handler)(void *fd), int backlog) {
    unsigned count = runtime->worker_count;
    struct server *server = calloc(1, sizeof *server + count * sizeof server->listeners[0]);
    if (!server) return NULL;
    *server = (struct server){.loop = runtime->workers[0].loop, .handler = handler, .begun = weft_future_new(),
                              .failed = weft_future_new(), .backlog = backlog ? backlog : BACKLOG, .count = count};
    for (unsigned i = 0; i < count; i++) server->listeners[i] = (struct listener){.server = server, .fd = -1};
    return server;
}

int weft_serve_tcp(const char *address, intptr_t (*handler)(void *fd), const weft_serve_options *options) {
    static const weft_serve_options defaults;
    struct weft__task *task = weft__op_task();
    struct sockaddr_storage storage;
    socklen_t bytes;
    if (!options) options = &defaults;
    if (!handler || options->backlog < 0 || parse(address, &storage, &bytes)) return -EINVAL;
    if (!task) return -EPERM;
    struct server *server = server_new(task->runtime, handler, options->backlog);
    if (!server) return -ENOMEM;
    int result = open_listeners(server, &storage, bytes);
    if (result == 0) {
        start_listeners(server, task->runtime);
        result = (int)weft_await(server->begun);
        if (result == 0 && options->ready) options->ready(options->ready_arg, port_of(&storage));
        if (result == 0) result = (int)weft_await(server->failed);
    }
    stop_listeners(server);
    weft_release(server->begun);
    weft__future_ignore(server->failed);
    weft_release(server->failed);
    free(server);
    return result;
}
