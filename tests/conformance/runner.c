/* Runners, SIGINT and signal handlers: RN7 to RN11, IO1, IO2, B27. */
#define _GNU_SOURCE
#include "api_support.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static weft_context_var who = WEFT_CONTEXT_VAR("who", "nobody");

static intptr_t set_who(void *name) {
    void *before = weft_context_var_get(&who);
    must_equal(weft_context_var_set(&who, name, NULL), 0);
    return (intptr_t)before;
}
static intptr_t running_loop(void *arg) {
    (void)arg;
    return (intptr_t)weft_get_running_loop();
}

static weft_runner *runner;
static intptr_t run_nested(void *arg) {
    (void)arg;
    return weft_runner_run(runner, weft_coroutine(running_loop, NULL));
}

static void test_RN8_one_loop_and_one_context(void **state) {
    (void)state;
    runner = weft_runner_new((weft_options){0});
    weft_loop *loop = weft_runner_get_loop(runner);
    assert_ptr_equal((weft_loop *)weft_runner_run(runner, weft_coroutine(running_loop, NULL)), loop);
    assert_ptr_equal((weft_loop *)weft_runner_run(runner, weft_coroutine(running_loop, NULL)), loop);
    assert_string_equal((char *)weft_runner_run(runner, weft_coroutine(set_who, "first")), "nobody");
    assert_string_equal((char *)weft_runner_run(runner, weft_coroutine(set_who, "second")), "first");
    assert_string_equal(weft_context_var_get(&who), "nobody");
    assert_int_equal(weft_runner_run(runner, weft_coroutine(run_nested, NULL)), -EBUSY);
    assert_int_equal(weft_runner_run(runner, NULL), -EINVAL);
    assert_int_equal(weft_runner_close(runner), 0);
    assert_int_equal(weft_runner_close(runner), 0);
    assert_null(weft_runner_get_loop(runner));
    assert_int_equal(weft_runner_run(runner, weft_coroutine(set_who, "late")), -ESHUTDOWN);
    weft_runner_release(runner);
    weft_runner_release(NULL);
}

static bool cleaned;
static intptr_t sleeps_for_ever(void *arg) {
    intptr_t result = weft_sleep(WEFT_FOREVER);
    (void)arg;
    cleaned = true;
    return result;
}
static intptr_t leave_one(void *arg) {
    (void)arg;
    weft_release(weft_spawn(sleeps_for_ever, NULL));
    return weft_sleep(0);
}
static void test_RN8_close_ends_what_is_left(void **state) {
    (void)state;
    cleaned = false;
    runner = weft_runner_new((weft_options){0});
    assert_int_equal(weft_runner_run(runner, weft_coroutine(leave_one, NULL)), 0);
    assert_false(cleaned);
    struct capture capture = capture_begin();
    weft_runner_release(runner);
    assert_int_equal(capture_end(capture, "pending"), 0); /* as run does: not worth a report */
    assert_true(cleaned);
}

/* ---- SIGINT ---- */

static intptr_t raise_and_sleep(void *arg) {
    raise(SIGINT);
    intptr_t result = weft_sleep(WEFT_SEC(60));
    mark("cleanup");
    return arg ? 5 : result;
}
static void test_RN9_B27_the_first_interrupt_cancels_main(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        trace[0] = '\0';
        assert_int_equal(run_on(workers, raise_and_sleep, NULL), -EINTR);
        assert_string_equal(trace, "cleanup");
        assert_int_equal(run_on(workers, raise_and_sleep, trace), 5); /* swallowed: main's own result */
    }
    runner = weft_runner_new((weft_options){0});
    assert_int_equal(weft_runner_run(runner, weft_coroutine(raise_and_sleep, NULL)), -EINTR);
    assert_int_equal(weft_runner_run(runner, weft_coroutine(raise_and_sleep, NULL)), -EINTR);
    weft_runner_release(runner);
    struct sigaction now;
    sigaction(SIGINT, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL); /* RN11 */
}

static void *interrupt_when_asleep(void *tid) {
    while (!thread_sleeps((pid_t)(intptr_t)tid)) sched_yield();
    kill(getpid(), SIGINT);
    return NULL;
}
static intptr_t sleep_long(void *thread) {
    *(pthread_t *)thread = thread_start(interrupt_when_asleep, (void *)(intptr_t)getpid());
    return weft_sleep(WEFT_SEC(60));
}
static void test_RN9_a_sleeping_loop_is_woken(void **state) {
    (void)state;
    pthread_t thread;
    int64_t before = weft_time();
    assert_int_equal(run_on(0, sleep_long, &thread), -EINTR);
    assert_true(weft_time() - before < WEFT_SEC(30));
    thread_join(thread);
}

static intptr_t never_ends(void *arg) {
    (void)arg;
    raise(SIGINT);
    while (weft_sleep(WEFT_MS(1)) != -ECANCELED) {}
    raise(SIGINT);
    return weft_sleep(WEFT_SEC(60));
}
static void test_RN11_the_second_kills(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run_on(0, never_ends, NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static volatile sig_atomic_t own_handler;
static void on_interrupt(int number) { own_handler = number; }
static intptr_t raise_once(void *arg) {
    (void)arg;
    raise(SIGINT);
    return weft_sleep(WEFT_MS(1));
}
static void test_RN11_only_over_the_default(void **state) {
    (void)state;
    signal(SIGINT, on_interrupt);
    assert_int_equal(run_on(1, raise_once, NULL), 0);
    assert_int_equal(own_handler, SIGINT);
    signal(SIGINT, SIG_DFL);
}
static void *run_in_a_thread(void *arg) {
    struct sigaction before, during;
    (void)arg;
    sigaction(SIGINT, NULL, &before);
    run_on(1, set_who, "x");
    sigaction(SIGINT, NULL, &during);
    return (void *)(intptr_t)(before.sa_handler == during.sa_handler);
}
static void test_RN11_only_in_the_main_thread(void **state) {
    (void)state;
    assert_true(thread_join(thread_start(run_in_a_thread, NULL)) != NULL);
}

/* ---- IO2: signals as callbacks ---- */

static int signals_seen;
static void on_user_signal(void *future) {
    must(weft_get_running_loop() && !weft_current_task());
    signals_seen++;
    weft_future_set_result(future, signals_seen);
}
static void *add_handler_elsewhere(void *loop) {
    return (void *)(intptr_t)weft_loop_add_signal_handler(loop, SIGUSR1, on_user_signal, NULL);
}
static intptr_t handle_signals(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    (void)arg;
    must_equal(weft_loop_add_signal_handler(loop, 0, on_user_signal, NULL), -EINVAL);
    must_equal(weft_loop_add_signal_handler(loop, 1000, on_user_signal, NULL), -EINVAL);
    must_equal(weft_loop_add_signal_handler(loop, SIGKILL, on_user_signal, NULL), -EINVAL);
    must_equal(weft_loop_add_signal_handler(loop, SIGUSR1, NULL, NULL), -EINVAL);
    for (int i = 1; i <= 100; i++) {
        weft_future *future = weft_future_new();
        must_equal(weft_loop_add_signal_handler(loop, SIGUSR1, on_user_signal, future), 0);
        kill(getpid(), SIGUSR1); /* any thread may take it */
        must_equal(weft_join(future), i);
    }
    must(weft_loop_remove_signal_handler(loop, SIGUSR1));
    must(!weft_loop_remove_signal_handler(loop, SIGUSR1));
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    must(now.sa_handler == SIG_DFL);
    must_equal((intptr_t)thread_join(thread_start(add_handler_elsewhere, loop)), -EPERM);
    return weft_loop_add_signal_handler(loop, SIGUSR2, on_user_signal, NULL); /* the loop removes it */
}
static void test_IO2_signal_handlers(void **state) {
    (void)state;
    signals_seen = 0;
    assert_int_equal(run_on(0, handle_signals, NULL), 0);
    struct sigaction now;
    sigaction(SIGUSR2, NULL, &now);
    assert_true(now.sa_handler == SIG_DFL);
}

/* ---- IO1: descriptor callbacks ---- */

static int pair[2];
static weft_loop *loop;
static void read_one(void *arg) {
    char byte;
    must_equal(read(pair[0], &byte, 1), 1);
    mark(arg);
    if (byte == 'c') mark("end");
}
static void on_writable(void *arg) {
    (void)arg;
    mark("writable");
    must_equal(weft_loop_remove_writer(loop, pair[0]), 1);
}
static intptr_t watch(void *arg) {
    loop = weft_get_running_loop();
    (void)arg;
    must_equal(weft_loop_add_reader(loop, -1, read_one, NULL), -EINVAL);
    must_equal(weft_loop_add_reader(loop, pair[0], NULL, NULL), -EINVAL);
    must_equal(weft_loop_remove_reader(loop, pair[0]), 0);
    must_equal(weft_loop_add_reader(loop, pair[0], read_one, "old"), 0);
    must_equal(weft_loop_add_reader(loop, pair[0], read_one, "new"), 0); /* replaces */
    must_equal(write(pair[1], "abc", 3), 3);                              /* level-triggered: three calls */
    while (!strstr(trace, "end")) must_equal(weft_sleep(WEFT_US(100)), 0);
    must_equal(strcmp(trace, "new new new end"), 0);
    must_equal(weft_loop_remove_reader(loop, pair[0]), 1);
    must_equal(weft_loop_remove_reader(loop, pair[0]), 0);
    must_equal(write(pair[1], "d", 1), 1);
    must_equal(weft_sleep(WEFT_MS(5)), 0); /* no call follows a removal */
    must_equal(strcmp(trace, "new new new end"), 0);
    must_equal(weft_loop_add_writer(loop, pair[0], on_writable, NULL), 0);
    while (!strstr(trace, "writable")) must_equal(weft_sleep(WEFT_US(100)), 0);
    must_equal(weft_loop_add_reader(loop, pair[1], read_one, NULL), 0); /* left for the shutdown */
    return 0;
}
static void test_IO1_readers_and_writers(void **state) {
    static const char *drivers[] = {"uring", "epoll"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        trace[0] = '\0';
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        weft_options options = {.workers = 1, .fifo = true, .driver = drivers[i]};
        intptr_t result = weft_run_fn_with(options, watch, NULL);
        assert_true(result == 0 || (i == 0 && result != -ECANCELED)); /* no io_uring here: nothing to see */
        close(pair[0]);
        close(pair[1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_RN8_one_loop_and_one_context),
        cmocka_unit_test(test_RN8_close_ends_what_is_left),
        cmocka_unit_test(test_RN9_B27_the_first_interrupt_cancels_main),
        cmocka_unit_test(test_RN9_a_sleeping_loop_is_woken),
        cmocka_unit_test(test_RN11_the_second_kills),
        cmocka_unit_test(test_RN11_only_over_the_default),
        cmocka_unit_test(test_RN11_only_in_the_main_thread),
        cmocka_unit_test(test_IO2_signal_handlers),
        cmocka_unit_test(test_IO1_readers_and_writers),
    };
    return run_group(tests);
}
