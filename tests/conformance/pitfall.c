/* Pitfalls that behave predictably: rules PF1 and PF2. */
#include "api_support.h"

#include <weft/timed.h>

/* ---- PF1: a blocking or CPU-bound step delays every other task of its loop by its full length; timers fire
 * late, never early ---- */

static int64_t step_ends_ns;

weft_async(blocks) {
    int64_t until = weft_time() + WEFT_MS(100);
    while (weft_time() < until) {}
    step_ends_ns = weft_time();
    return 0;
}

weft_async(is_delayed, (int64_t, sleep_ns)) {
    int64_t begin = weft_time();
    must_equal(weft_sleep(sleep_ns), 0);
    must(weft_time() - begin >= WEFT_MS(100));
    must(step_ends_ns && weft_time() >= step_ends_ns);
    return 0;
}

/* Pinned, for on a runtime with several workers other tasks would move. */
weft_async(step_blocks_loop) {
    weft_task_options here = {.pinned = true};
    weft_task *tasks[3];
    step_ends_ns = 0;
    tasks[0] = weft_create_task_with(here, is_delayed(WEFT_MS(50)));
    tasks[1] = weft_create_task_with(here, is_delayed(0));
    tasks[2] = weft_create_task_with(here, blocks());
    for (int i = 0; i < 3; i++) must_equal(weft_join(tasks[i]), 0);
    return 0;
}

static void test_PF1_a_step_delays_its_loop(void **state) {
    (void)state;
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, step_blocks_loop()), 0);
    assert_int_equal(weft_run_with((weft_options){.workers = 1}, step_blocks_loop()), 0);
    assert_int_equal(weft_run_with((weft_options){.workers = 2}, step_blocks_loop()), 0);
}

/* ---- PF2: the timing wrapper ---- */

static int64_t fake_now_ns;
static int64_t fake_clock(void) { return fake_now_ns; }

weft_async(ends_with, (intptr_t, result), (int, seconds)) {
    fake_now_ns += WEFT_SEC(seconds);
    int r = weft_sleep(result == -ECANCELED ? WEFT_SEC(1000) : WEFT_US(10));
    fake_now_ns += WEFT_MS(500);
    return r ? r : result;
}

weft_async(nothing_to_say) { return 3; }

weft_async(wrapped) {
    fake_now_ns = WEFT_SEC(1000);
    must_equal(weft_await(weft_timed_with(fake_clock, ends_with, 42, 2)), 42);
    must_equal(weft_await(weft_timed_with(fake_clock, ends_with, -EIO, 3)), -EIO);
    weft_task *task = weft_create_task_with((weft_task_options){.pinned = true},
                                            weft_timed_with(fake_clock, ends_with, -ECANCELED, 10));
    while (fake_now_ns < WEFT_SEC(1016)) must_equal(weft_sleep(0), 0);
    must(weft_cancel(task));
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task));
    weft_release(task);
    must_equal(weft_join(weft_create_task(weft_timed(nothing_to_say))), 3);
    must_equal(weft_await(weft_async_timed(nothing_to_say)), 3);
    weft_future *future = weft_future_new(); /* anything that can be awaited, by its own words */
    must_equal(weft_future_set_result(future, 9), 0);
    must_equal(weft_await(weft_timed_coroutine(fake_clock, "f", "x, y", future)), 9);
    return 1;
}

/* What `coroutine` prints on stdout when it runs on `workers`. */
static char said[4096];
static intptr_t run_and_listen(unsigned workers, weft_future *coroutine) {
    FILE *file = tmpfile();
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    weft_options options = {.workers = workers ? workers : 1, .fifo = workers == 0};
    intptr_t result = weft_run_with(options, coroutine);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = 0;
    fclose(file);
    return result;
}

static void test_PF2_timing_wrapper(void **state) {
    (void)state;
    static const char expected[] =
        "starting <function ends_with> with args (42, 2) {}\n"
        "finished <function ends_with> in 2.5000 second(s)\n"
        "starting <function ends_with> with args (-EIO, 3) {}\n"
        "finished <function ends_with> in 3.5000 second(s)\n"
        "starting <function ends_with> with args (-ECANCELED, 10) {}\n"
        "finished <function ends_with> in 10.5000 second(s)\n"
        "starting <function nothing_to_say> with args () {}\n"
        "finished <function nothing_to_say> in 0.";
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_and_listen(workers, wrapped()), 1);
        assert_memory_equal(said, expected, sizeof expected - 1);
        assert_non_null(strstr(said, "starting <function f> with args (x, y) {}\n"
                                     "finished <function f> in 0.0000 second(s)\n"));
    }
}

/* Two wrapped sleeps of 2 and 3 units under a wrapped main report about 2, 3 and 3. */
weft_async(sleeps_ms, (int, ms)) {
    int r = weft_sleep(WEFT_MS(ms));
    return r ? r : ms;
}
weft_async(timed_main) {
    weft_task *two = weft_create_task(weft_timed(sleeps_ms, 200));
    weft_task *three = weft_create_task(weft_timed(sleeps_ms, 300));
    must_equal(weft_join(two), 200);
    return weft_join(three);
}

static void test_PF2_real_time(void **state) {
    (void)state;
    assert_int_equal(run_and_listen(0, weft_timed(timed_main)), 300);
    double seconds[3] = {0};
    char *at = said;
    for (int i = 0; i < 3; i++) {
        assert_non_null(at = strstr(at, "finished <function "));
        assert_int_equal(sscanf(at, "finished <function %*[a-z_]> in %lf second(s)", &seconds[i]), 1);
        at++;
    }
    assert_true(seconds[0] >= 0.2 && seconds[1] >= 0.3 && seconds[2] >= 0.3);
    assert_true(seconds[0] < 0.5 && seconds[1] < 0.6 && seconds[2] < 0.6);
}

/* Never driven, or cancelled before its first step: nothing is printed, and the wrapped coroutine is reported. */
weft_async(cancels_early) {
    weft_task *task = weft_create_task_with((weft_task_options){.pinned = true}, weft_timed(nothing_to_say));
    must(weft_cancel(task));
    must_equal(weft_join(task), -ECANCELED);
    must_equal(weft_coroutine_close(weft_timed(nothing_to_say)), 0);
    must_equal(weft_await(weft_timed_coroutine(NULL, "f", "", NULL)), -EINVAL);
    return 0;
}

static void test_PF2_never_started(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    intptr_t result = run_and_listen(1, cancels_early());
    weft_release(weft_timed(nothing_to_say));
    assert_int_equal(capture_end(capture, "'nothing_to_say' was never awaited"), 3);
    assert_int_equal(result, 0);
    assert_string_equal(said, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_PF1_a_step_delays_its_loop), cmocka_unit_test(test_PF2_timing_wrapper),
        cmocka_unit_test(test_PF2_real_time),              cmocka_unit_test(test_PF2_never_started),
    };
    return run_group(tests);
}
