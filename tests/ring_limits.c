/* The ring at its limits: a full SQ, an overflowing CQ, every ordinary failure of io_uring_enter, signals,
 * and kernels that refuse a ring. io_uring_enter2 and io_uring_queue_init_params are wrapped by the linker. */
#define _GNU_SOURCE
#include "io_support.h"

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/time.h>

#ifdef WEFT__TSAN /* slow; still more than the CQ's 2048 and the SQ's 512 */
enum { MANY = 2500, SUBMISSIONS = 700 };
#else
enum { MANY = 5000, SUBMISSIONS = 3000 };
#endif

/* ---- the wrapped calls ---- */

static _Atomic(int) enter_error;     /* what every `enter_period`-th io_uring_enter2 returns; 0: none */
static _Atomic(unsigned) enter_count, enter_period, enter_failures;
static _Atomic(int) setup_error;     /* what a set-up with more than `setup_most` entries returns */
static _Atomic(unsigned) setup_most, setup_calls;

static _Atomic(struct io_uring *) watched; /* the latest ring */
static _Atomic(bool) watch;
static _Atomic(unsigned) overflows;        /* calls that found its CQ overflowing */

int __real_io_uring_enter2(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *sig,
                           size_t bytes);
int __wrap_io_uring_enter2(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *sig,
                           size_t bytes);
int __wrap_io_uring_enter2(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *sig,
                           size_t bytes) {
    int error = atomic_load(&enter_error);
    struct io_uring *ring = atomic_load(&watched);
    if (ring && *ring->sq.kflags & IORING_SQ_CQ_OVERFLOW) atomic_fetch_add(&overflows, 1);
    if (error && atomic_fetch_add(&enter_count, 1) % atomic_load(&enter_period) == 0) {
        atomic_fetch_add(&enter_failures, 1);
        return error;
    }
    return __real_io_uring_enter2(fd, submit, wait, flags, sig, bytes);
}

int __real_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
int __wrap_io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *params) {
    int error = atomic_load(&setup_error);
    atomic_fetch_add(&setup_calls, 1);
    if (error && entries > atomic_load(&setup_most)) return error;
    if (atomic_load(&watch)) atomic_store(&watched, ring);
    return __real_io_uring_queue_init_params(entries, ring, params);
}

static intptr_t on_rings(unsigned workers, weft_fn *fn) {
    return run_setting((struct setting){"uring", workers}, fn, NULL);
}

/* ---- much at once ---- */

static int fds[MANY][2];
static char buffers[MANY];

static void open_many(int count) {
    for (int i = 0; i < count; i++) make_pair(fds[i], 0);
}
static void close_many(int count) {
    for (int i = 0; i < count; i++) close(fds[i][0]), close(fds[i][1]);
}

static _Atomic(int) started;

static intptr_t receive(void *arg) {
    int i = (int)(intptr_t)arg;
    atomic_fetch_add(&started, 1);
    return weft_recv(fds[i][0], &buffers[i], 1, 0);
}

/* `count` receives pend, then all of them become readable while the worker is in user code. */
static void receive_many(int count, bool wait_first) {
    static weft_task *tasks[MANY];
    atomic_store(&started, 0);
    for (int i = 0; i < count; i++) tasks[i] = weft_spawn(receive, (void *)(intptr_t)i);
    while (wait_first && atomic_load(&started) < count) weft_yield();
    memset(buffers, 0, sizeof buffers);
    for (int i = 0; i < count; i++) must_equal(write(fds[i][1], &(char){(char)(1 + i % 100)}, 1), 1);
    for (int i = 0; i < count; i++) {
        must_equal(weft_join(tasks[i]), 1);
        must_equal(buffers[i], 1 + i % 100);
    }
}

static intptr_t full_queue(void *arg) {
    (void)arg;
    for (int round = 0; round < 5; round++) receive_many(SUBMISSIONS, false);
    return 0;
}

/* All of them are cancelled in one step: each cancel completes as it is submitted, and nobody reaps. (Since
 * Linux 6.13 readiness alone no longer overflows a ring: deferred work comes in small batches.) */
static void cancel_many(int count) {
    static weft_task *tasks[MANY];
    atomic_store(&started, 0);
    for (int i = 0; i < count; i++) tasks[i] = weft_spawn(receive, (void *)(intptr_t)i);
    while (atomic_load(&started) < count) weft_yield();
    weft_sleep(WEFT_MS(2)); /* a sleep in the kernel, which may fail as well */
    for (int i = 0; i < count; i++) weft_cancel(tasks[i]);
    for (int i = 0; i < count; i++) must_equal(weft_join(tasks[i]), -ECANCELED);
}

static intptr_t overflowing_completions(void *arg) {
    (void)arg;
    for (int round = 0; round < 3; round++) {
        receive_many(MANY, true);
        cancel_many(MANY);
    }
    return 0;
}

static void test_full_queue(void **state) {
    (void)state;
    open_many(SUBMISSIONS);
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(on_rings(workers, full_queue), 0);
    close_many(SUBMISSIONS);
}

static void test_overflowing_completions(void **state) {
    (void)state;
    open_many(MANY);
    for (unsigned workers = 0; workers <= 2; workers++) {
        atomic_store(&overflows, 0);
        atomic_store(&watch, workers < 2); /* of several, one may be gone before the other */
        assert_int_equal(on_rings(workers, overflowing_completions), 0);
        if (workers < 2) assert_true(atomic_load(&overflows) > 0);
        atomic_store(&watch, false);
        atomic_store(&watched, NULL);
    }
    close_many(MANY);
}

/* ---- io_uring_enter fails ---- */

static intptr_t some_of_everything(void *arg) {
    (void)arg;
    for (int round = 0; round < 3; round++) {
        receive_many(SUBMISSIONS, round % 2);
        cancel_many(SUBMISSIONS);
    }
    return 0;
}

static void test_failing_enter(void **state) {
    static const int errors[] = {-EINTR, -EAGAIN, -EBUSY, -ENOMEM};
    (void)state;
    open_many(SUBMISSIONS);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        for (unsigned period = 2; period <= 5; period += 3)
            for (unsigned workers = 0; workers <= 2; workers++) {
                atomic_store(&enter_failures, 0);
                atomic_store(&enter_period, period);
                atomic_store(&enter_error, errors[i]);
                assert_int_equal(on_rings(workers, some_of_everything), 0);
                atomic_store(&enter_error, 0);
                assert_true(atomic_load(&enter_failures) > 0);
            }
    close_many(SUBMISSIONS);
}

/* ---- real signals ---- */

static _Atomic(unsigned) alarms;

static void on_alarm(int number) {
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

static void test_signals(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, NULL); /* without SA_RESTART */
    open_many(SUBMISSIONS);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(on_rings(workers, some_of_everything), 0);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_true(atomic_load(&alarms) > 0);
    close_many(SUBMISSIONS);
}

/* ---- set-up ---- */

static intptr_t driver_and_io(void *arg) {
    weft_stats stats;
    must_equal(weft_stats_get(&stats), 0);
    must_equal(strcmp(stats.driver, arg), 0);
    make_pair(fds[0], 0);
    weft_task *task = weft_spawn(receive, 0);
    weft_sleep(WEFT_US(100));
    must_equal(weft_send(fds[0][1], "x", 1, 0), 1);
    must_equal(weft_join(task), 1);
    close_both(fds[0]);
    return 0;
}

/* What `options` print on stderr, and what comes out. */
static intptr_t run_noticed(weft_options options, weft_fn *fn, void *arg, char *notice, size_t bytes) {
    int ends[2], saved = dup(STDERR_FILENO);
    must_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    dup2(ends[1], STDERR_FILENO);
    intptr_t result = weft_run_fn_with(options, fn, arg);
    dup2(saved, STDERR_FILENO);
    ssize_t got = read(ends[0], notice, bytes - 1);
    notice[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    close(saved);
    return result;
}

static void test_little_memory(void **state) {
    (void)state;
    open_many(SUBMISSIONS);
    atomic_store(&setup_error, -ENOMEM);
    for (unsigned most = 8; most <= 256; most *= 4) {
        close(fds[0][0]), close(fds[0][1]);
        atomic_store(&setup_most, most);
        for (unsigned workers = 1; workers <= 2; workers++)
            assert_int_equal(run_setting((struct setting){"uring", workers}, driver_and_io, (void *)"uring"), 0);
        make_pair(fds[0], 0);
        assert_int_equal(on_rings(1, full_queue), 0);
    }
    atomic_store(&setup_error, 0);
    close_many(SUBMISSIONS);
}

static void test_no_rings(void **state) {
    static const int errors[] = {-ENOMEM, -EPERM, -ENOSYS, -EINVAL};
    char notice[256];
    (void)state;
    unsetenv("WEFT_DRIVER");
    atomic_store(&setup_most, 0);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        atomic_store(&setup_error, errors[i]);
        for (unsigned workers = 1; workers <= 2; workers++) {
            weft_options options = {.workers = workers};
            assert_int_equal(run_noticed(options, driver_and_io, (void *)"epoll", notice, sizeof notice), 0);
            assert_string_equal(notice, "");
            options.debug = true;
            assert_int_equal(run_noticed(options, driver_and_io, (void *)"epoll", notice, sizeof notice), 0);
            char *line = strstr(notice, "epoll"), *end = strchr(notice, '\n');
            assert_non_null(end); /* debug mode may have more to say: of slow steps, on a busy machine */
            assert_true(line && line < end && !strstr(end, "epoll"));
            *end = '\0';
            assert_non_null(strstr(notice, weft_strerror(errors[i])));
            options = (weft_options){.workers = workers, .driver = "uring"}; /* asked for by name: an error */
            assert_int_equal(weft_run_fn_with(options, driver_and_io, NULL), errors[i]);
        }
    }
    atomic_store(&setup_error, 0);
}

/* ---- descriptors run out ---- */

static weft_future *port_future;

static void port_known(void *arg, int port) {
    (void)arg;
    weft_future_set_result(port_future, port);
}

static intptr_t greet(void *arg) {
    int fd = (int)(intptr_t)arg;
    weft_send(fd, "x", 1, 0);
    return weft_close(fd);
}

static intptr_t serve(void *arg) {
    (void)arg;
    return weft_serve_tcp("127.0.0.1:0", greet, &(weft_serve_options){.ready = port_known});
}

static intptr_t shortage(void *arg) {
    enum { CLIENTS = 10 };
    int clients[CLIENTS];
    struct rlimit limit, low;
    (void)arg;
    port_future = weft_future_new();
    weft_task *server = weft_spawn(serve, NULL);
    struct sockaddr_in address = loopback((int)weft_join(port_future));
    for (int i = 0; i < CLIENTS; i++) clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){(rlim_t)clients[CLIENTS - 1] + 1, limit.rlim_max}; /* not one more */
    must_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < CLIENTS; i++)
        must_equal(connect(clients[i], (struct sockaddr *)&address, sizeof address), 0);
    weft_sleep(WEFT_MS(50)); /* the server finds out */
    must(!weft_done(server));
    must_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < CLIENTS; i++) {
        char byte;
        must_equal(weft_recv(clients[i], &byte, 1, 0), 1);
        must_equal(weft_close(clients[i]), 0);
    }
    must(!weft_done(server));
    weft_cancel(server);
    must_equal(weft_join(server), -ECANCELED);
    return 0;
}

static void test_shortage_of_descriptors(void **state) {
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) on_both_drivers(workers, shortage, NULL);
}

int main(void) {
    if (!allow_descriptors(2 * MANY + 100)) return SKIPPED;
    struct io_uring ring;
    if (io_uring_queue_init(8, &ring, 0) != 0) return SKIPPED; /* no io_uring here */
    io_uring_queue_exit(&ring);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_queue),    cmocka_unit_test(test_overflowing_completions),
        cmocka_unit_test(test_failing_enter), cmocka_unit_test(test_signals),
        cmocka_unit_test(test_little_memory), cmocka_unit_test(test_no_rings),
        cmocka_unit_test(test_shortage_of_descriptors),
    };
    return run_group(tests);
}
