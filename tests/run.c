/* weft_run: every option, the driver, the signal mask. */
#include "api_support.h"

#include <signal.h>

static intptr_t same(void *arg) { return (intptr_t)arg; }

static intptr_t busy(void *arg) {
    weft_task *tasks[32];
    for (int i = 0; i < 32; i++) tasks[i] = weft_spawn(same, arg);
    must_equal(weft_sleep(WEFT_US(100)), 0);
    for (int i = 0; i < 32; i++) must_equal(weft_join(tasks[i]), (intptr_t)arg);
    return (intptr_t)arg;
}

static const char *driver_seen;
static intptr_t looks(void *arg) {
    weft_stats stats;
    must_equal(weft_stats_get(&stats), 0);
    driver_seen = stats.driver;
    must_equal(busy(arg), (intptr_t)arg);
    return stats.workers;
}

static void test_options(void **state) {
    (void)state;
    weft_options options;
    for (unsigned workers = 1; workers <= 8; workers++)
        for (int64_t spin = -1; spin <= WEFT_US(50); spin += WEFT_US(25) + 1) {
            options = (weft_options){.workers = workers, .spin_ns = spin};
            assert_int_equal(weft_run_fn_with(options, looks, (void *)5), workers);
        }
    assert_int_equal(weft_run_fn_with((weft_options){.fifo = true}, looks, NULL), 1);
    assert_int_equal(weft_run_fn_with((weft_options){.fifo = true, .workers = 1}, looks, NULL), 1);
    for (size_t bytes = 1; bytes <= 64 << 20; bytes *= 8) {
        options = (weft_options){.workers = 1, .stack_bytes = bytes < 32 << 10 ? 64 << 10 : bytes};
        assert_int_equal(weft_run_fn_with(options, looks, NULL), 1);
    }
    assert_int_equal(weft_run_fn_with((weft_options){.debug = true, .workers = 2}, looks, NULL), 2);
}

static void test_driver(void **state) {
    (void)state;
    const char *former = getenv("WEFT_DRIVER");
    char *kept = former ? strdup(former) : NULL;
    intptr_t uring = weft_run_fn_with((weft_options){.workers = 1, .driver = "uring"}, looks, NULL);
    if (uring == 1) assert_string_equal(driver_seen, "uring");
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 1, .driver = "epoll"}, looks, NULL), 1);
    assert_string_equal(driver_seen, "epoll");
    setenv("WEFT_DRIVER", "epoll", 1);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 1}, looks, NULL), 1);
    assert_string_equal(driver_seen, "epoll");
    if (uring == 1) { /* the option wins */
        assert_int_equal(weft_run_fn_with((weft_options){.workers = 1, .driver = "uring"}, looks, NULL), 1);
        assert_string_equal(driver_seen, "uring");
    }
    setenv("WEFT_DRIVER", "teleport", 1);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, looks, NULL), -EINVAL);
    unsetenv("WEFT_DRIVER");
    if (kept) setenv("WEFT_DRIVER", kept, 1);
    free(kept);
}

/* The signal mask is what it was; a SIGPIPE of ours does not hit the caller, one of his stays pending. */
static intptr_t breaks_pipe(void *arg) {
    int ends[2];
    (void)arg;
    must_equal(pipe(ends), 0);
    close(ends[0]);
    must_equal(write(ends[1], "x", 1), -1);
    must_equal(errno, EPIPE);
    close(ends[1]);
    return 1;
}

static void test_signals(void **state) {
    (void)state;
    sigset_t before, after, pipe_only, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    for (int blocked = 0; blocked <= 1; blocked++) {
        pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &pipe_only, NULL);
        pthread_sigmask(SIG_BLOCK, NULL, &before);
        for (unsigned workers = 0; workers <= 2; workers++) {
            assert_int_equal(run_on(workers, breaks_pipe, NULL), 1);
            pthread_sigmask(SIG_BLOCK, NULL, &after);
            for (int signal = 1; signal < 32; signal++)
                assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
            sigpending(&pending);
            assert_false(sigismember(&pending, SIGPIPE));
        }
    }
    pthread_kill(pthread_self(), SIGPIPE); /* blocked, and the caller's own */
    assert_int_equal(run_on(1, breaks_pipe, NULL), 1);
    sigpending(&pending);
    assert_true(sigismember(&pending, SIGPIPE));
    int taken;
    sigwait(&pipe_only, &taken);
    pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_driver),
        cmocka_unit_test(test_signals),
    };
    return run_group(tests);
}
