/* What is reported, and to whom: F10, RN4, EH2, DB1 to DB5, the end of generators at shutdown (AG1, RN3, B25). */
#include "api_support.h"

static intptr_t fails(void *arg) { return (intptr_t)arg ? (intptr_t)arg : -EIO; }

/* ---- F10: an error that nobody saw ---- */

enum look { RESULT, EXCEPTION, AWAIT, JOIN, GATHER, NOBODY };
static intptr_t look_at_error(void *how) {
    weft_task *task = weft_spawn(fails, NULL);
    while (!weft_done(task)) weft_yield();
    switch ((enum look)(intptr_t)how) {
    case RESULT: must_equal(weft_result(task), -EIO); break;
    case EXCEPTION: must_equal(weft_exception(task), -EIO); break;
    case AWAIT: must_equal(weft_await(task), -EIO); break;
    case GATHER: must_equal(weft_await(weft_gather(&task, 1, (weft_gather_options){0})), -EIO); break;
    case JOIN: return weft_join(task) == -EIO ? 0 : -EINVAL;
    case NOBODY: break;
    }
    weft_release(task);
    return 0;
}
static void test_F10_reported_once_if_nobody_saw_it(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        for (int how = RESULT; how <= NOBODY; how++) {
            struct capture capture = capture_begin();
            intptr_t result = run_on(workers, look_at_error, (void *)(intptr_t)how);
            int said = capture_end(capture, "never retrieved");
            assert_int_equal(result, 0);
            assert_int_equal(said, how == NOBODY);
        }
}

static intptr_t never_reported(void *arg) {
    (void)arg;
    weft_release(weft_spawn(fails, (void *)7));            /* a result */
    weft_task *task = weft_spawn(fails, (void *)-ECANCELED); /* a cancellation */
    weft_sleep(0);
    weft_release(task);
    weft_future *future = weft_future_new();
    weft_cancel(future);
    weft_release(future);
    must_equal(weft_await(weft_coroutine(fails, NULL)), -EIO); /* directly awaited */
    future = weft_future_new();
    must_equal(weft_future_set_exception(future, -EIO), 0);
    must_equal(weft_exception(future), -EIO);
    weft_release(future);
    return 0;
}
static void test_F10_results_and_cancellations_are_not(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        struct capture capture = capture_begin();
        assert_int_equal(run_on(workers, never_reported, NULL), 0);
        assert_int_equal(capture_end(capture, "weft"), 0);
    }
    struct capture capture = capture_begin(); /* a future without a loop */
    weft_future *future = weft_future_new();
    weft_future_set_exception(future, -EIO);
    weft_release(future);
    assert_int_equal(capture_end(capture, "never retrieved: 'future' EIO"), 1);
}

/* ---- EH2: the handler ---- */

static int handled;
static weft_loop *handling;
static void handle(weft_loop *loop, const weft_exception_record *record, void *arg) {
    must(loop == handling && weft_get_running_loop() == loop);
    must_equal(record->error, -EIO);
    must_equal(strcmp(record->name, arg), 0);
    must(strstr(record->message, "never retrieved"));
    handled++;
}
static void *release_elsewhere(void *future) {
    weft_release(future);
    return NULL;
}
static intptr_t with_handler(void *arg) {
    (void)arg;
    handling = weft_get_running_loop();
    must_equal(weft_loop_set_exception_handler(NULL, handle, NULL), -EINVAL);
    must_equal(weft_loop_set_exception_handler(handling, handle, "fails"), 0);
    weft_release(weft_create_task_with((weft_task_options){.name = "fails"}, weft_coroutine(fails, NULL)));
    while (handled < 1) weft_sleep(0);
    weft_loop_set_exception_handler(handling, handle, "future");
    weft_future *future = weft_future_new();
    weft_future_set_exception(future, -EIO);
    thread_join(thread_start(release_elsewhere, future)); /* MT6: reported on its own loop all the same */
    while (handled < 2) weft_sleep(WEFT_MS(1));
    must_equal(weft_loop_call_exception_handler(handling, NULL), -EINVAL);
    weft_exception_record record = {.message = "an error was never retrieved", .error = -EIO, .name = "future"};
    must_equal(weft_loop_call_exception_handler(handling, &record), 0);
    must_equal(handled, 3);
    weft_loop_set_exception_handler(handling, NULL, NULL); /* the default again */
    must_equal(weft_loop_call_exception_handler(handling, &record), 0);
    must_equal(weft_loop_default_exception_handler(handling, &record), 0);
    return 0;
}
static void test_EH2_a_handler_gets_loop_and_record(void **state) {
    (void)state;
    handled = 0;
    struct capture capture = capture_begin();
    intptr_t result = run_on(0, with_handler, NULL);
    assert_int_equal(capture_end(capture, "never retrieved"), 2);
    assert_int_equal(result, 0);
    assert_int_equal(handled, 3);
}

static intptr_t fails_in_cleanup(void *arg) {
    (void)arg;
    weft_sleep(WEFT_FOREVER);
    return -EIO;
}
static intptr_t leaves_one(void *arg) {
    weft_release(weft_spawn(fails_in_cleanup, NULL));
    weft_sleep(0);
    return (intptr_t)arg;
}
static void test_RN4_errors_of_leftovers_are_reported(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        struct capture capture = capture_begin();
        intptr_t good = run_on(workers, leaves_one, (void *)5), bad = run_on(workers, leaves_one, (void *)-EPIPE);
        assert_int_equal(capture_end(capture, "never retrieved"), 2);
        assert_int_equal(good, 5);
        assert_int_equal(bad, -EPIPE);
    }
}

/* ---- DB: debug mode ---- */

static void block_for(int64_t ns) {
    for (int64_t end = weft_time() + ns; weft_time() < end;) {}
}
static void blocking_callback(void *ns) { block_for((intptr_t)ns); }

static intptr_t slow_steps(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    (void)arg;
    must_equal(weft_loop_get_slow_callback_duration(loop), WEFT_MS(100));
    weft_loop_set_slow_callback_duration(loop, WEFT_MS(25));
    must(weft_loop_get_debug(loop));
    weft_sleep(0); /* from here on */
    block_for(WEFT_MS(30));
    weft_sleep(0);
    weft_loop_call_soon(loop, blocking_callback, (void *)(intptr_t)WEFT_MS(35));
    return weft_sleep(0);
}
static intptr_t quick_steps(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    (void)arg;
    weft_loop_set_slow_callback_duration(loop, WEFT_MS(500));
    weft_sleep(0); /* from here on */
    weft_sleep(WEFT_MS(600)); /* suspended time does not count */
    weft_loop_set_debug(loop, false);
    weft_sleep(0);
    weft_loop_set_slow_callback_duration(loop, WEFT_MS(1));
    block_for(WEFT_MS(30)); /* off: silent */
    return weft_sleep(0);
}
static int count_said(weft_fn *steps, const char *text) {
    struct capture capture = capture_begin();
    intptr_t result = weft_run_with((weft_options){.workers = 1, .fifo = true, .debug = 1},
                                    weft_coroutine_copy("steps", steps, NULL, 0));
    int times = capture_end(capture, text);
    assert_int_equal(result, 0);
    return times;
}
static void test_DB1_DB3_DB4_slow_steps(void **state) {
    (void)state; /* a busy machine may stretch other steps */
    assert_true(count_said(slow_steps, "executing task 'steps' took 0.") >= 1);
    assert_true(count_said(slow_steps, "executing callback '' took 0.") >= 1);
    assert_int_equal(count_said(quick_steps, "executing "), 0);
}

static intptr_t is_debug(void *arg) {
    (void)arg;
    return weft_loop_get_debug(weft_get_running_loop());
}
static void test_DB1_DB2_RN7_argument_and_environment(void **state) {
    (void)state;
    unsetenv("WEFT_DEBUG");
    assert_int_equal(weft_run_fn(is_debug, NULL), 0);
    assert_int_equal(weft_run_fn_with((weft_options){.debug = 1}, is_debug, NULL), 1);
    setenv("WEFT_DEBUG", "0", 1); /* any value that is not empty */
    assert_int_equal(weft_run_fn(is_debug, NULL), 1);
    assert_int_equal(weft_run_fn_with((weft_options){.debug = -1}, is_debug, NULL), 0);
    setenv("WEFT_DEBUG", "", 1);
    assert_int_equal(weft_run_fn(is_debug, NULL), 0);
    unsetenv("WEFT_DEBUG");
}

static intptr_t forgets(void *arg) {
    (void)arg;
    weft_release(weft_coroutine(fails, NULL));
    weft_release(weft_spawn(fails, NULL));
    weft_future *future = weft_future_new();
    weft_future_set_exception(future, -EIO);
    weft_release(future);
    return weft_sleep(0);
}
static void test_DB5_reports_say_where_it_was_made(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    weft_run_fn_with((weft_options){.workers = 1, .fifo = true, .debug = 1}, forgets, NULL);
    assert_int_equal(capture_end(capture, "(made at "), 3);
}

/* ---- generators at the end of a run ---- */

static intptr_t two_values(void *arg) {
    (void)arg;
    intptr_t given = weft_yield_value(1);
    must_equal(given, WEFT_GENERATOR_EXIT);
    must_equal(weft_sleep(WEFT_MS(1)), 0); /* clean-up may await */
    mark("agen-closed");
    return given;
}
static intptr_t cleaning_task(void *arg) {
    intptr_t result = weft_sleep(WEFT_FOREVER);
    mark("cancelled");
    weft_sleep(WEFT_MS(1));
    mark(arg);
    return result;
}
static intptr_t b25_main(void *arg) {
    intptr_t value;
    (void)arg;
    for (int i = 0; i < 2; i++) weft_release(weft_spawn(cleaning_task, "cleaned"));
    weft_generator *generator = weft_generator_new(two_values, NULL);
    must_equal(weft_anext(generator, &value), 1);
    weft_sleep(0);
    mark("main-returns");
    return (intptr_t)generator;
}
static void test_AG1_RN3_B25_generators_are_closed_last(void **state) {
    (void)state;
    trace[0] = '\0';
    weft_generator *generator = (weft_generator *)run_on(0, b25_main, NULL);
    mark("run-returned");
    assert_string_equal(trace, "main-returns cancelled cancelled cleaned cleaned agen-closed run-returned");
    weft_generator_release(generator);
    trace[0] = '\0';
    weft_runner *runner = weft_runner_new((weft_options){0});
    generator = (weft_generator *)weft_runner_run(runner, weft_coroutine(b25_main, NULL));
    assert_string_equal(trace, "main-returns");
    weft_runner_release(runner);
    assert_non_null(strstr(trace, "agen-closed"));
    weft_generator_release(generator);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_F10_reported_once_if_nobody_saw_it),
        cmocka_unit_test(test_F10_results_and_cancellations_are_not),
        cmocka_unit_test(test_EH2_a_handler_gets_loop_and_record),
        cmocka_unit_test(test_RN4_errors_of_leftovers_are_reported),
        cmocka_unit_test(test_DB1_DB3_DB4_slow_steps),
        cmocka_unit_test(test_DB1_DB2_RN7_argument_and_environment),
        cmocka_unit_test(test_DB5_reports_say_where_it_was_made),
        cmocka_unit_test(test_AG1_RN3_B25_generators_are_closed_last),
    };
    return run_group(tests);
}
