/* What the I/O tests share: every driver with every kind of runtime, socket pairs, and a stream whose bytes
 * say where they belong. */
#ifndef WEFT_TESTS_IO_SUPPORT_H
#define WEFT_TESTS_IO_SUPPORT_H

#include "support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* ---- settings ---- */

struct setting {
    const char *driver;
    unsigned workers; /* 0: strict order */
};

static const struct setting settings[] = {{"uring", 0}, {"uring", 1}, {"uring", 2},
                                          {"epoll", 0}, {"epoll", 1}, {"epoll", 2}};

/* The setting that is being tried: an abort inside a task says so. */
static char trying[96] = "no setting\n";
static const char *name_tried = "a case";

static void say_what_was_tried(int signal_number) {
    ssize_t ignored = write(STDERR_FILENO, trying, strlen(trying));
    (void)ignored;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static inline intptr_t run_setting(struct setting setting, weft_fn *fn, void *arg) {
    weft_options options = {.driver = setting.driver, .workers = setting.workers ? setting.workers : 1,
                            .fifo = setting.workers == 0};
    snprintf(trying, sizeof trying, "... %s with %s, %u workers%s\n", name_tried, setting.driver, options.workers,
             options.fifo ? ", strict order" : "");
    signal(SIGABRT, say_what_was_tried);
    return weft_run_fn_with(options, fn, arg);
}

/* fn(arg) must return 0 on every driver and every kind of runtime. */
static inline void everywhere(weft_fn *fn, void *arg) {
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        must_equal(run_setting(settings[i], fn, arg), 0);
}

/* fn(arg) must return 0 on both drivers with `workers` workers. */
static inline void on_both_drivers(unsigned workers, weft_fn *fn, void *arg) {
    must_equal(run_setting((struct setting){"uring", workers}, fn, arg), 0);
    must_equal(run_setting((struct setting){"epoll", workers}, fn, arg), 0);
}

/* ---- descriptors ---- */

/* `flags`: 0 or SOCK_NONBLOCK. */
static inline void make_pair(int fds[2], int flags) {
    must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, fds), 0);
}

static inline void make_pipe(int fds[2], int flags) {
    must_equal(pipe2(fds, O_CLOEXEC | (flags & SOCK_NONBLOCK ? O_NONBLOCK : 0)), 0);
}

static inline void close_both(int fds[2]) {
    must_equal(weft_close(fds[0]), 0);
    must_equal(weft_close(fds[1]), 0);
}

/* A TCP socket that listens on a free port of 127.0.0.1. */
static inline int make_listener(struct sockaddr_in *address, int flags) {
    socklen_t bytes = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    must(fd >= 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must_equal(bind(fd, (struct sockaddr *)address, bytes), 0);
    must_equal(listen(fd, 512), 0);
    must_equal(getsockname(fd, (struct sockaddr *)address, &bytes), 0);
    return fd;
}

static inline struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)port)};
}

/* Raises the soft limit of descriptors; false if the hard one is too low. */
static inline bool allow_descriptors(rlim_t wanted) {
    struct rlimit limit;
    must_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= wanted) return true;
    if (limit.rlim_max < wanted) return false;
    limit.rlim_cur = wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* ---- bytes ---- */

/* The byte at `position` of stream `stream`. */
static inline uint8_t stream_byte(unsigned stream, size_t position) {
    return (uint8_t)((position * 2654435761u + stream * 97 + (position >> 11)) >> 3);
}

static inline void fill_stream(unsigned stream, size_t position, uint8_t *buffer, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) buffer[i] = stream_byte(stream, position + i);
}

static inline void check_stream(unsigned stream, size_t position, const uint8_t *buffer, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) must_equal(buffer[i], stream_byte(stream, position + i));
}

/* A small pseudo-random number. */
static inline uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
