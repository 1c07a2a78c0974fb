/* weft_close ends what waits on the descriptor, with -EBADF and whichever worker it waits on; and the next
 * owner of the number gets its own bytes and nobody else's. */
#define _GNU_SOURCE
#include "io_support.h"

#include <stdatomic.h>

enum { WAITERS = 8 };

static char buffers[WAITERS];

struct wait {
    int fd;
    char *buffer;
};

static intptr_t receive(void *arg) {
    struct wait *w = arg;
    return weft_recv(w->fd, w->buffer, 1, 0);
}
static intptr_t read_one(void *arg) {
    struct wait *w = arg;
    return weft_read(w->fd, w->buffer, 1);
}
static intptr_t poll_in(void *arg) {
    struct wait *w = arg;
    return weft_poll(w->fd, POLLIN);
}
static intptr_t accept_one(void *arg) {
    struct wait *w = arg;
    return weft_accept(w->fd, NULL, NULL, 0);
}
static intptr_t receive_message(void *arg) {
    struct wait *w = arg;
    struct iovec iov = {w->buffer, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    return weft_recvmsg(w->fd, &message, 0);
}
static intptr_t send_much(void *arg) {
    struct wait *w = arg;
    static char bytes[4 << 20];
    return weft_send_all(w->fd, bytes, sizeof bytes);
}

static weft_fn *const waits[] = {receive, read_one, poll_in, receive_message,
                                 send_much, receive, poll_in, read_one};

/* One of each on the same socket; the task that closes may be on another worker than they are. */
static intptr_t all_end(void *arg) {
    int flags = (int)(intptr_t)arg;
    for (int round = 0; round < ROUNDS(100); round++) {
        int fds[2];
        weft_task *tasks[WAITERS];
        struct wait w[WAITERS];
        make_pair(fds, flags);
        for (int i = 0; i < WAITERS; i++) {
            w[i] = (struct wait){fds[0], &buffers[i]};
            tasks[i] = weft_spawn(waits[i], &w[i]);
        }
        for (int i = 0; i < 20; i++) weft_yield();
        if (round % 4 == 0) weft_sleep(WEFT_US(200)); /* also with everybody asleep in the kernel */
        must_equal(weft_close(fds[0]), 0);
        for (int i = 0; i < WAITERS; i++) must_equal(weft_join(tasks[i]), -EBADF);
        must_equal(weft_close(fds[1]), 0);
    }
    return 0;
}

static intptr_t listener_ends(void *arg) {
    for (int round = 0; round < ROUNDS(100); round++) {
        struct sockaddr_in address;
        struct wait w = {make_listener(&address, (int)(intptr_t)arg), NULL};
        weft_task *task = weft_spawn(accept_one, &w);
        for (int i = 0; i < 20; i++) weft_yield();
        must_equal(weft_close(w.fd), 0);
        must_equal(weft_join(task), -EBADF);
    }
    return 0;
}

/* The number is used again at once. A waiter that has got as far as any of its inner steps must not go on
 * with the new socket. */
static intptr_t number_again(void *arg) {
    int flags = (int)(intptr_t)arg;
    for (int round = 0; round < ROUNDS(2000); round++) {
        int old[2], new[2];
        char stolen = 0, got = 0;
        make_pair(old, flags);
        struct wait w = {old[0], &stolen};
        weft_task *task = weft_spawn(receive, &w);
        for (int i = 0; i < round % 12; i++) weft_yield();
        bool started = round % 12 > 2; /* with strict order it waits by now */
        must_equal(weft_close(old[0]), 0);
        make_pair(new, flags);
        must_equal(new[0], old[0]);
        if (!started) weft_cancel(task); /* it may begin now, on the new socket, and rightly so */
        intptr_t result = started ? 0 : weft_join(task);
        must_equal(weft_send(new[1], "n", 1, 0), 1);
        if (started) must_equal(weft_join(task), -EBADF);
        else must(result == -EBADF || result == -ECANCELED);
        must_equal(weft_recv(new[0], &got, 1, MSG_DONTWAIT), 1);
        must_equal(got, 'n');
        must_equal(stolen, 0);
        close_both(new);
        must_equal(weft_close(old[1]), 0);
    }
    return 0;
}

/* ---- a reader that goes on reading ---- */

static intptr_t read_on(void *arg) {
    struct wait *w = arg;
    intptr_t got;
    do got = weft_recv(w->fd, w->buffer, 1, 0);
    while (got == 1);
    return got;
}

static intptr_t write_on(void *arg) {
    struct wait *w = arg;
    for (;;) {
        intptr_t sent = weft_send(w->fd, "x", 1, 0);
        if (sent < 0) return sent;
        weft_yield();
    }
}

/* Its receive may complete while weft_close waits, and the next one begin before the close. */
static intptr_t busy_reader(void *arg) {
    int flags = (int)(intptr_t)arg;
    for (int round = 0; round < ROUNDS(2000); round++) {
        int fds[2];
        make_pair(fds, flags);
        struct wait reader = {fds[0], &buffers[0]}, writer = {fds[1], NULL};
        weft_task *reading = weft_spawn(read_on, &reader), *writing = weft_spawn(write_on, &writer);
        for (int i = 0; i < 3 + round % 10; i++) weft_yield();
        must_equal(weft_close(fds[0]), 0);
        intptr_t result = weft_join(reading);
        must_equal(result, -EBADF);
        result = weft_join(writing);
        must(result == -EPIPE || result == -ECONNRESET);
        must_equal(weft_close(fds[1]), 0);
    }
    return 0;
}

#define EVERYWHERE(name)                                    \
    static void test_##name(void **state) {                 \
        (void)state;                                        \
        everywhere(name, (void *)0);                        \
        everywhere(name, (void *)(intptr_t)SOCK_NONBLOCK);  \
    }
EVERYWHERE(all_end)
EVERYWHERE(listener_ends)

/* With two workers the reader's recv(2) and the closer's close(2) race as they would in threads. That is for
 * the kernel to order; TSan rightly calls it a race. */
static void test_busy_reader(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (TSAN && settings[i].workers == 2) continue;
        must_equal(run_setting(settings[i], busy_reader, (void *)0), 0);
        must_equal(run_setting(settings[i], busy_reader, (void *)(intptr_t)SOCK_NONBLOCK), 0);
    }
}

/* Only strict order knows how far the waiter has come. */
static void test_number_again(void **state) {
    (void)state;
    on_both_drivers(0, number_again, (void *)0);
    on_both_drivers(0, number_again, (void *)(intptr_t)SOCK_NONBLOCK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_end), cmocka_unit_test(test_listener_ends),
                                       cmocka_unit_test(test_number_again), cmocka_unit_test(test_busy_reader)};
    return run_group(tests);
}
