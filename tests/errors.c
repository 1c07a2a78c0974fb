/* Every public call's list of errors, each provoked, and that bad input changes nothing. */
#include "api_support.h"

static intptr_t seven(void *arg) {
    (void)arg;
    return 7;
}

static intptr_t nap(void *arg) { return weft_sleep(WEFT_MS((intptr_t)arg)); }

static void ignore(void *arg) { (void)arg; }

/* ---- base.h ---- */

static void test_names(void **state) {
    (void)state;
    assert_string_equal(weft_strerror(-ECANCELED), "ECANCELED");
    assert_string_equal(weft_strerror(-ETIMEDOUT), "ETIMEDOUT");
    assert_string_equal(weft_strerror(-EINVAL), "EINVAL");
    assert_string_equal(weft_strerror(-ESHUTDOWN), "ESHUTDOWN");
    assert_string_equal(weft_strerror(-4095), "EUNKNOWN");
    assert_string_equal(weft_strerror(-4096), "OK");
    assert_string_equal(weft_strerror(0), "OK");
    assert_string_equal(weft_strerror(42), "OK");
    assert_string_equal(weft_strerror(INTPTR_MIN), "OK");
    assert_true(weft_is_error(-1) && weft_is_error(-4095));
    assert_false(weft_is_error(0) || weft_is_error(-4096) || weft_is_error(1));
    int64_t before = weft_time();
    assert_true(before > 0 && weft_time() >= before);
    assert_ptr_equal(weft_errno_location(), &errno);
}

/* ---- future.h ---- */

static void test_future_errors(void **state) {
    (void)state;
    assert_int_equal(weft_future_set_result(NULL, 1), -EINVAL);
    assert_int_equal(weft_future_set_exception(NULL, -EIO), -EINVAL);
    assert_false(weft_done(NULL));
    assert_false(weft_cancelled(NULL));
    assert_int_equal(weft_result(NULL), -EINVAL);
    assert_int_equal(weft_exception(NULL), -EINVAL);
    assert_null(weft_ref(NULL));
    weft_release(NULL);
    assert_int_equal(weft_await(NULL), -EINVAL);
    assert_int_equal(weft_join(NULL), -EINVAL);
    assert_int_equal(weft_wait_blocking(NULL, 0), -EINVAL);
    assert_false(weft_cancel(NULL));

    weft_future *future = weft_future_new();
    assert_int_equal(weft_result(future), -EINPROGRESS);
    assert_int_equal(weft_exception(future), -EINPROGRESS);
    assert_int_equal(weft_future_set_result(future, -EIO), -EINVAL);
    assert_int_equal(weft_future_set_exception(future, 0), -EINVAL);
    assert_int_equal(weft_future_set_exception(future, 5), -EINVAL);
    assert_int_equal(weft_future_set_exception(future, -4096), -EINVAL);
    assert_int_equal(weft_wait_blocking(future, WEFT_MS(1)), -ETIMEDOUT);
    assert_int_equal(weft_wait_blocking(future, 0), -ETIMEDOUT);
    assert_int_equal(weft_wait_blocking(future, -5), -ETIMEDOUT);
    assert_false(weft_done(future)); /* none of this changed anything */
    assert_int_equal(weft_future_set_result(future, 42), 0);
    assert_int_equal(weft_future_set_result(future, 43), -EALREADY);
    assert_int_equal(weft_future_set_exception(future, -EIO), -EALREADY);
    assert_false(weft_cancel(future));
    assert_int_equal(weft_result(future), 42);
    assert_int_equal(weft_exception(future), 0);
    assert_int_equal(weft_cancelling(future), -EINVAL);
    assert_int_equal(weft_uncancel(future), -EINVAL);
    assert_int_equal(weft_coroutine_close(future), -EINVAL);
    assert_false(weft_iscoroutine(future));
    assert_int_equal(weft_join(future), 42);
}

/* A failed maker's future: completed, and forgiving. */
static void test_failed_futures(void **state) {
    (void)state;
    weft_future *failed = weft_coroutine(NULL, NULL);
    assert_true(weft_done(failed));
    assert_false(weft_cancelled(failed));
    assert_false(weft_iscoroutine(failed));
    assert_int_equal(weft_result(failed), -EINVAL);
    assert_int_equal(weft_exception(failed), -EINVAL);
    assert_int_equal(weft_future_set_result(failed, 1), -EALREADY);
    assert_int_equal(weft_future_set_exception(failed, -EIO), -EALREADY);
    assert_false(weft_cancel(failed));
    assert_int_equal(weft_cancelling(failed), -EINVAL);
    assert_int_equal(weft_await(failed), -EINVAL);
    assert_int_equal(weft_wait_blocking(failed, 0), -EINVAL);
    assert_int_equal(weft_coroutine_close(failed), 0);
    assert_ptr_equal(weft_create_task(failed), failed);
    assert_ptr_equal(weft_ensure_future(failed), failed);
    assert_int_equal(weft_run(failed), -EINVAL);
    for (int i = 0; i < 3; i++) weft_release(weft_ref(failed));
    weft_release(failed);
    assert_int_equal(weft_result(weft_coroutine_copy("x", seven, NULL, 8)), -EINVAL);
    assert_int_equal(weft_join(weft_coroutine_copy("x", NULL, "", 1)), -EINVAL);
}

/* ---- outside every loop ---- */

static void test_outside(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    int create = (int)weft_join(weft_create_task(weft_coroutine(seven, NULL)));
    int ensure = (int)weft_join(weft_ensure_future(weft_coroutine(seven, NULL)));
    int spawn = (int)weft_join(weft_spawn(seven, NULL));
    int go = weft_go(seven, NULL);
    int await = (int)weft_await(weft_coroutine(seven, NULL));
    int join = (int)weft_join(weft_coroutine(seven, NULL));
    int warnings = capture_end(capture, "never awaited");
    assert_int_equal(create, -EPERM);
    assert_int_equal(ensure, -EPERM);
    assert_int_equal(spawn, -EPERM);
    assert_int_equal(go, -EPERM);
    assert_int_equal(await, -EPERM);
    assert_int_equal(join, -EPERM);
    assert_int_equal(warnings, 6); /* T3: reported, not lost silently */
    assert_int_equal(weft_go(NULL, NULL), -EINVAL);
    assert_int_equal(weft_join(weft_create_task(NULL)), -EINVAL);
    assert_int_equal(weft_join(weft_ensure_future(NULL)), -EINVAL);
    assert_null(weft_get_running_loop());
    assert_null(weft_current_task());
    assert_int_equal(weft_yield(), 0);
    assert_int_equal(weft_coroutine_close(NULL), 0);
    assert_int_equal(weft_join(weft_gather_list(NULL, 0)), 0); /* of nothing: done */
    assert_int_equal(weft_join(weft_gather_list(NULL, 1, (weft_future *)NULL)), -EINVAL);
    assert_false(weft_is_coroutine_function(NULL));
    assert_int_equal(weft_cancelling(NULL), -EINVAL);
    assert_int_equal(weft_uncancel(NULL), -EINVAL);
    assert_false(weft_iscoroutine(NULL));
    assert_string_equal(weft_task_name(NULL), "task");

    weft_stats stats = {.workers = 99};
    assert_int_equal(weft_stats_get(NULL), -EINVAL);
    assert_int_equal(weft_stats_get(&stats), -EPERM);
    assert_int_equal(stats.workers, 99);

    weft_timeout scope = {0};
    assert_int_equal(weft_timeout_enter(NULL, 1), -EINVAL);
    assert_int_equal(weft_timeout_enter(&scope, 1), -EPERM);
    assert_int_equal(weft_timeout_enter_at(NULL, 1), -EINVAL);
    assert_int_equal(weft_timeout_enter_at(&scope, 1), -EPERM);
    assert_int_equal(weft_timeout_reschedule(NULL, 1), -EINVAL);
    assert_int_equal(weft_timeout_reschedule(&scope, 1), -EINVAL);
    assert_int_equal(weft_timeout_exit(NULL, 3), -EINVAL);
    assert_int_equal(weft_timeout_exit(&scope, 3), -EINVAL);
    assert_false(weft_timeout_expired(NULL));
    assert_false(weft_timeout_expired(&scope));

    weft_parallel call;
    assert_int_equal(weft_parallel_start(NULL, seven, NULL), -EINVAL);
    assert_int_equal(weft_parallel_start(&call, NULL, NULL), -EINVAL);
    assert_int_equal(weft_parallel_join(NULL), -EINVAL);

    assert_int_equal(weft_loop_call_soon_threadsafe(NULL, ignore, NULL).error, -EINVAL);
    assert_null(weft_loop_ref(NULL));
    weft_loop_release(NULL);
    weft_future *coroutine = weft_coroutine(seven, NULL);
    assert_int_equal(weft_wait_blocking(coroutine, 0), -EINVAL); /* does not consume */
    assert_true(weft_iscoroutine(coroutine));
    assert_int_equal(weft_future_set_result(coroutine, 1), -EINVAL);
    assert_int_equal(weft_future_set_exception(coroutine, -EIO), -EINVAL);
    assert_false(weft_cancel(coroutine));
    assert_int_equal(weft_result(coroutine), -EINPROGRESS);
    assert_int_equal(weft_result(weft_run_coroutine_threadsafe(coroutine, NULL)), -EINVAL); /* consumes */
    assert_int_equal(weft_result(weft_run_coroutine_threadsafe(NULL, NULL)), -EINVAL);
}

/* ---- in a task ---- */

static intptr_t await_itself(void *arg) {
    weft_task *self = weft_current_task();
    (void)arg;
    must_equal(weft_await(self), -EDEADLK);
    must_equal(weft_wait_blocking(self, 0), -EDEADLK);
    must(!weft_done(self));
    return 1;
}

static intptr_t drive_twice(void *arg) {
    weft_future **self = arg;
    must_equal(weft_await(weft_ref(*self)), -EINVAL); /* CO6: while it is driven */
    must_equal(weft_wait_blocking(*self, 0), -EDEADLK);
    return 5;
}

weft_async(in_a_task) {
    weft_task *task = weft_spawn(nap, (void *)1);
    weft_loop *loop = weft_get_running_loop();
    must_equal(weft_future_set_result(task, 1), -EINVAL); /* T6 */
    must_equal(weft_future_set_exception(task, -EIO), -EINVAL);
    must(!weft_iscoroutine(task));
    must_equal(weft_coroutine_close(task), -EINVAL);
    must(weft_ensure_future(task) == task);
    must_equal(weft_result(weft_create_task(task)), -EINVAL); /* scheduled already; still ours */
    must_equal(weft_result(weft_run_coroutine_threadsafe(task, loop)), -EINVAL);
    must_equal(weft_run(task), -EINVAL);
    must_equal(weft_join(task), 0);
    weft_future *future = weft_future_new();
    must_equal(weft_result(weft_create_task(future)), -EINVAL); /* T4 */
    must_equal(weft_result(weft_run_coroutine_threadsafe(future, loop)), -EINVAL); /* TH6 */
    must_equal(weft_wait_blocking(future, 0), -EDEADLK); /* TH7 */
    must(weft_ensure_future(future) == future);
    must_equal(weft_future_set_result(future, 9), 0);
    must_equal(weft_join(future), 9);

    must_equal(weft_join(weft_spawn(await_itself, NULL)), 1); /* T8 */
    weft_future *coroutine = NULL;
    coroutine = weft_coroutine(drive_twice, &coroutine);
    weft_ref(coroutine);
    must_equal(weft_await(weft_ref(coroutine)), 5);
    must_equal(weft_await(weft_ref(coroutine)), -EINVAL); /* CO6: again */
    must_equal(weft_result(weft_create_task(coroutine)), -EINVAL);
    must_equal(weft_coroutine_close(coroutine), -EINVAL);
    weft_release(coroutine);
    weft_release(coroutine);

    must_equal(weft_run(weft_coroutine(seven, NULL)), -EDEADLK); /* RN2 */
    must_equal(weft_run_fn(seven, NULL), -EDEADLK);
    must_equal(weft_loop_call_soon_threadsafe(loop, NULL, NULL).error, -EINVAL);
    must_equal(weft_go(NULL, NULL), -EINVAL);
    weft_timeout scope = {0};
    must_equal(weft_timeout_reschedule(&scope, 1), -EINVAL);
    must_equal(weft_timeout_enter(&scope, WEFT_FOREVER), 0);
    must_equal(weft_timeout_exit(&scope, 3), 3);
    must_equal(weft_timeout_exit(&scope, 3), -EINVAL);       /* ended */
    must_equal(weft_timeout_reschedule(&scope, 1), -EINVAL); /* ended */
    must_equal(weft_timeout_enter(&scope, 0), 0);
    must_equal(weft_timeout_reschedule(&scope, WEFT_FOREVER), -EALREADY);
    must_equal(weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(9))), -ETIMEDOUT);
    must(weft_timeout_expired(&scope));
    must_equal(weft_cancelling(weft_current_task()), 0);
    must_equal(weft_uncancel(weft_current_task()), 0); /* never below zero */
    must_equal(weft_stats_get(NULL), -EINVAL);

    struct capture capture = capture_begin();
    weft_future *too_large = weft_create_task_with((weft_task_options){.stack_bytes = (size_t)1 << 40},
                                                   weft_coroutine(seven, NULL));
    must_equal(capture_end(capture, "never awaited"), 1);
    must_equal(weft_join(too_large), -EINVAL);
    return 42;
}

static void test_in_a_task(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 4; workers++)
        assert_int_equal(
            weft_run_with((weft_options){.workers = workers ? workers : 1, .fifo = !workers}, in_a_task()), 42);
}

/* ---- in a callback ---- */

struct in_callback {
    weft_future *done, *pending;
};

static void everything_in_callback(void *arg) {
    struct in_callback *self = arg;
    weft_future *finished = weft_future_new();
    must(weft_get_running_loop() != NULL);
    must(weft_current_task() == NULL); /* IN1 */
    must_equal(weft_await(self->pending), -EDEADLK);
    must_equal(weft_wait_blocking(self->pending, WEFT_SEC(1)), -EDEADLK);
    struct capture capture = capture_begin();
    must_equal(weft_await(weft_coroutine(seven, NULL)), -EDEADLK);
    must_equal(capture_end(capture, "never awaited"), 1);
    must_equal(weft_sleep(WEFT_MS(1)), -EPERM);
    must_equal(weft_sleep(0), -EPERM);
    must_equal(weft_sleep_until(0), -EPERM);
    must_equal(weft_yield(), -EPERM);
    must_equal(weft_run_fn(seven, NULL), -EDEADLK);
    weft_timeout scope = {0};
    must_equal(weft_timeout_enter(&scope, 1), -EPERM);
    must_equal(weft_timeout_exit(&scope, 1), -EINVAL);
    must_equal(weft_future_set_result(finished, 3), 0);
    must_equal(weft_join(finished), 3); /* needs no waiting */
    weft_parallel call;
    must_equal(weft_parallel_start(&call, seven, NULL), 0);
    must_equal(weft_parallel_join(&call), 7);
    weft_stats stats;
    must_equal(weft_stats_get(&stats), 0);
    must_equal(weft_go(seven, NULL), 0); /* Thread: loop */
    must_equal(weft_future_set_result(self->done, 1), 0);
}

weft_async(in_a_callback) {
    struct in_callback self = {weft_future_new(), weft_future_new()};
    must_equal(weft_loop_call_soon_threadsafe(weft_get_running_loop(), everything_in_callback, &self).error, 0);
    must_equal(weft_join(self.done), 1);
    weft_release(self.pending);
    return 0;
}

static void test_in_a_callback(void **state) {
    (void)state;
    assert_int_equal(weft_run_with((weft_options){.workers = 1, .fifo = true}, in_a_callback()), 0);
    assert_int_equal(weft_run_with((weft_options){.workers = 2}, in_a_callback()), 0);
}

/* ---- a closed loop, and another runtime's ---- */

weft_async(give_loop, (weft_loop **, loop)) {
    *loop = weft_loop_ref(weft_get_running_loop());
    return 0;
}

weft_async(use_closed, (weft_loop *, closed)) {
    return weft_join(weft_create_task_with((weft_task_options){.loop = closed}, weft_coroutine(seven, NULL)));
}

static void test_closed_loop(void **state) {
    (void)state;
    weft_loop *loop = NULL;
    assert_int_equal(weft_run(give_loop(&loop)), 0);
    assert_int_equal(weft_loop_call_soon_threadsafe(loop, ignore, NULL).error, -ESHUTDOWN); /* L11, MT14 */
    struct capture capture = capture_begin();
    weft_future *late = weft_run_coroutine_threadsafe(weft_coroutine(seven, NULL), loop);
    assert_int_equal(capture_end(capture, "never awaited"), 0); /* T4 */
    assert_true(weft_done(late));
    assert_int_equal(weft_join(late), -ESHUTDOWN);
    weft_loop_release(loop);
}

/* A task pinned to the loop of a runtime that has ended: refused, and its memory is not looked at. */
static void test_pinned_to_closed_loop(void **state) {
    (void)state;
    weft_loop *loop = NULL;
    assert_int_equal(weft_run(give_loop(&loop)), 0);
    assert_int_equal(weft_run(use_closed(loop)), -EINVAL);
    weft_loop_release(loop);
}

/* ---- run.h ---- */

static void test_run_errors(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    struct capture capture = capture_begin();
    assert_int_equal(weft_run(NULL), -EINVAL);
    assert_int_equal(weft_run(future), -EINVAL); /* RN6 */
    assert_int_equal(weft_run_fn(NULL, NULL), -EINVAL);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 1025}, seven, NULL), -EINVAL);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2, .fifo = true}, seven, NULL), -EINVAL);
    assert_int_equal(weft_run_fn_with((weft_options){.driver = "teleport"}, seven, NULL), -EINVAL);
    assert_int_equal(weft_run_fn_with((weft_options){.stack_bytes = (size_t)1 << 40}, seven, NULL), -EINVAL);
    assert_int_equal(capture_end(capture, "never awaited"), 0);
    assert_false(weft_done(future));
    weft_release(future);
    assert_int_equal(weft_run_fn(seven, NULL), 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_future_errors),
        cmocka_unit_test(test_failed_futures), cmocka_unit_test(test_outside),
        cmocka_unit_test(test_in_a_task),     cmocka_unit_test(test_in_a_callback),
        cmocka_unit_test(test_closed_loop),   cmocka_unit_test(test_pinned_to_closed_loop),
        cmocka_unit_test(test_run_errors),
    };
    return run_group(tests);
}
