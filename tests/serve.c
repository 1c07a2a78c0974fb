/* weft_serve_tcp: a server on all workers, from its ready callback to a port that is free again, and no
 * descriptor lost on the way down. */
#define _GNU_SOURCE
#include "io_support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* ---- a server that tests can talk to ---- */

struct server {
    const char *address;
    intptr_t (*handler)(void *fd);
    weft_future *port;
    int backlog;
};

static weft_task *serving_task; /* which calls ready: the serving one */
static atomic_int ready_calls;

static void ready(void *arg, int port) {
    must(weft_current_task() != NULL);
    atomic_fetch_add(&ready_calls, 1);
    weft_future_set_result(arg, port);
}

static intptr_t serve(void *arg) {
    struct server *s = arg;
    serving_task = weft_current_task();
    weft_serve_options options = {.ready = ready, .ready_arg = s->port, .backlog = s->backlog};
    return weft_serve_tcp(s->address, s->handler, &options);
}

/* Starts it, and returns its task; *port is where it listens. */
static weft_task *start(struct server *server, int *port) {
    server->port = weft_future_new();
    atomic_store(&ready_calls, 0);
    weft_task *task = weft_spawn(serve, server);
    *port = (int)weft_join(server->port);
    must(*port > 0 && *port < 65536);
    must_equal(atomic_load(&ready_calls), 1);
    must(serving_task == task);
    return task;
}

static void stop(weft_task *task) {
    must(weft_cancel(task));
    must_equal(weft_join(task), -ECANCELED);
}

static int connect_to(int port) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must_equal(weft_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Resets instead of waiting: leaves no TIME_WAIT behind. */
static void hang_up(int fd) {
    struct linger at_once = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    must_equal(weft_close(fd), 0);
}

/* ---- handlers ---- */

static intptr_t echo(void *arg) {
    int fd = (int)(intptr_t)arg;
    char buffer[64];
    ssize_t got;
    while ((got = weft_recv(fd, buffer, sizeof buffer, 0)) > 0) weft_send_all(fd, buffer, (size_t)got);
    return weft_close(fd);
}

static void check_echo(int fd) {
    char buffer[8];
    must_equal(weft_send(fd, "hello", 5, 0), 5);
    must_equal(weft_recv(fd, buffer, 5, 0), 5);
    must_equal(memcmp(buffer, "hello", 5), 0);
}

static intptr_t hang_up_and_fail(void *arg) {
    weft_close((int)(intptr_t)arg);
    return -EIO;
}

/* ---- what is promised ---- */

static intptr_t basics(void *arg) {
    struct server server = {.address = arg, .handler = echo};
    int port;
    weft_task *task = start(&server, &port);
    int fd = connect_to(port);
    check_echo(fd);
    hang_up(fd);
    stop(task);
    return 0;
}

static void test_basics(void **state) {
    (void)state;
    everywhere(basics, (void *)"127.0.0.1:0");
    everywhere(basics, (void *)":0");
}

static intptr_t ipv6(void *arg) {
    struct server server = {.address = "[::1]:0", .handler = echo};
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int port, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)arg;
    weft_task *task = start(&server, &port);
    address.sin6_port = htons((uint16_t)port);
    must_equal(weft_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    check_echo(fd);
    hang_up(fd);
    stop(task);
    return 0;
}

/* What the kernel says to an IPv6 socket on the loopback: 0, or why there is none. */
static int ipv6_error(void) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
    if (fd >= 0) close(fd);
    return error;
}

static intptr_t no_ipv6(void *error) {
    must_equal(weft_serve_tcp("[::1]:0", echo, NULL), *(int *)error);
    return 0;
}

static void test_ipv6(void **state) {
    (void)state;
    int error = ipv6_error();
    everywhere(error ? no_ipv6 : ipv6, &error);
}

/* Connections that are open all at once, accepted by whichever listener and served by whichever worker. */
enum { CONNECTIONS = 200 };

static atomic_int served;

static intptr_t count_and_echo(void *arg) {
    atomic_fetch_add(&served, 1);
    return echo(arg);
}

static intptr_t many(void *arg) {
    struct server server = {.address = "127.0.0.1:0", .handler = count_and_echo};
    int port, fds[CONNECTIONS];
    (void)arg;
    atomic_store(&served, 0);
    weft_task *task = start(&server, &port);
    for (int i = 0; i < CONNECTIONS; i++) fds[i] = connect_to(port);
    for (int i = 0; i < CONNECTIONS; i++) check_echo(fds[i]);
    must_equal(atomic_load(&served), CONNECTIONS);
    stop(task); /* connections go on */
    for (int i = 0; i < CONNECTIONS; i++) {
        check_echo(fds[i]);
        hang_up(fds[i]);
    }
    return 0;
}

static void test_many(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        unsigned workers = settings[i].workers;
        must_equal(run_setting(settings[i], many, &workers), 0);
    }
}

/* What a handler returns is its own business. */
static intptr_t failing_handler(void *arg) {
    struct server server = {.address = "127.0.0.1:0", .handler = hang_up_and_fail, .backlog = 1};
    int port;
    (void)arg;
    weft_task *task = start(&server, &port);
    for (int i = 0; i < 20; i++) {
        char byte;
        int fd = connect_to(port);
        must_equal(weft_recv(fd, &byte, 1, 0), 0);
        hang_up(fd);
    }
    must(!weft_done(task));
    stop(task);
    return 0;
}

/* The port is taken while it serves, and free afterwards. */
static intptr_t port_again(void *arg) {
    struct server server = {.address = "127.0.0.1:0", .handler = echo};
    char address[32];
    int port, same;
    (void)arg;
    weft_task *task = start(&server, &port);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    for (int round = 0; round < 10; round++) {
        int fd = connect_to(port);
        check_echo(fd);
        must_equal(weft_serve_tcp(address, echo, NULL), -EADDRINUSE);
        hang_up(fd);
        stop(task);
        server.address = address;
        task = start(&server, &same);
        must_equal(same, port);
    }
    stop(task);
    return 0;
}

/* A server that is cancelled before it has listened, or at once. */
static intptr_t cancelled_early(void *arg) {
    struct server server = {.address = "127.0.0.1:0", .handler = echo};
    (void)arg;
    for (int i = 0; i < ROUNDS(50); i++) {
        server.port = weft_future_new();
        weft_task *task = weft_spawn(serve, &server);
        for (int k = 0; k < i % 10; k++) weft_yield();
        weft_cancel(task);
        must_equal(weft_join(task), -ECANCELED);
        weft_release(server.port);
    }
    return 0;
}

/* ---- connections that come while the runtime ends ---- */

static atomic_int hammered_port; /* -1: end */

static void *hammer(void *arg) {
    (void)arg;
    for (int port; (port = atomic_load(&hammered_port)) >= 0;) {
        struct sockaddr_in address = loopback(port);
        struct linger at_once = {.l_onoff = 1};
        int fd = port ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
        if (fd < 0) {
            sched_yield();
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        (void)!connect(fd, (struct sockaddr *)&address, sizeof address);
        close(fd);
    }
    return NULL;
}

static intptr_t end_under_load(void *arg) {
    static struct server server = {.address = "127.0.0.1:0", .handler = echo};
    int port;
    weft_task *task = start(&server, &port);
    atomic_store(&hammered_port, port);
    weft_sleep(WEFT_US(500) * (1 + (intptr_t)arg % 10));
    weft_release(task);
    return 0; /* with the server still serving */
}

static void test_end_under_load(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        for (int round = 0; round < ROUNDS(30); round++) {
            pthread_t threads[2];
            int before = open_descriptors();
            atomic_store(&hammered_port, 0);
            for (int k = 0; k < 2; k++) must_equal(pthread_create(&threads[k], NULL, hammer, NULL), 0);
            must_equal(run_setting(settings[i], end_under_load, (void *)(intptr_t)round), 0);
            atomic_store(&hammered_port, -1);
            for (int k = 0; k < 2; k++) pthread_join(threads[k], NULL);
            must_equal(open_descriptors(), before);
        }
}

#define EVERYWHERE(name)                    \
    static void test_##name(void **state) { \
        (void)state;                        \
        everywhere(name, NULL);             \
    }
EVERYWHERE(failing_handler)
EVERYWHERE(port_again)
EVERYWHERE(cancelled_early)

int main(void) {
    if (!allow_descriptors(4 * CONNECTIONS)) return SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),     cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_many),       cmocka_unit_test(test_failing_handler),
        cmocka_unit_test(test_port_again), cmocka_unit_test(test_cancelled_early),
        cmocka_unit_test(test_end_under_load),
    };
    return run_group(tests);
}
