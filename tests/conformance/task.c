/* Tasks: rules T1 to T18, and the golden traces B1, B2, B3, B9, B10, B13, B14 and B17. */
#include "api_support.h"

static void on_each_loop(weft_fn *fn, intptr_t expected) {
    assert_int_equal(run_on(0, fn, NULL), expected);
    assert_int_equal(run_on(1, fn, NULL), expected);
    assert_int_equal(run_on(2, fn, NULL), expected);
}

static intptr_t same(void *arg) { return (intptr_t)arg; }

/* ---- golden traces, strict order ---- */

static void soon(const char *what) {
    must_equal(
        weft_loop_call_soon_threadsafe(weft_get_running_loop(), mark_callback, (void *)(uintptr_t)what).error, 0);
}

weft_async(marks, (const char *, what)) {
    mark(what);
    return 0;
}

weft_async(turns, (char, name)) {
    for (char i = '0'; i < '3'; i++) {
        mark((char[]){name, i, 0});
        must_equal(weft_sleep(0), 0);
    }
    return 0;
}

weft_async(b1) {
    weft_task *tasks[3];
    for (int i = 0; i < 3; i++) tasks[i] = weft_create_task(turns((char)('a' + i)));
    for (int i = 0; i < 3; i++) must_equal(weft_join(tasks[i]), 0);
    return 0;
}

weft_async(b2) { /* T1, T2, L1 */
    soon("cs1");
    weft_task *task = weft_create_task(marks("t1"));
    soon("cs2");
    mark("m");
    must_equal(weft_join(task), 0);
    mark("m2");
    return 0;
}

static void cb1(void *arg) {
    (void)arg;
    mark("cb1");
    soon("cb1.child");
}

weft_async(b3) {
    must_equal(weft_loop_call_soon_threadsafe(weft_get_running_loop(), cb1, NULL).error, 0);
    soon("cb2");
    must_equal(weft_sleep(0), 0);
    mark("after1");
    must_equal(weft_sleep(0), 0);
    mark("after2");
    return 0;
}

weft_async(b9) { /* F9, CO3 */
    weft_future *finished = weft_future_new();
    must_equal(weft_future_set_result(finished, 1), 0);
    soon("cb");
    must_equal(weft_join(finished), 1);
    mark("A");
    must_equal(weft_await(marks("sub")), 0);
    mark("B");
    must_equal(weft_sleep(0), 0);
    mark("C");
    return 0;
}

weft_async(b10_waiter, (weft_future *, future)) {
    must_equal(weft_await(future), 5);
    mark("waiter");
    return 0;
}

weft_async(b10) { /* F8 */
    weft_future *future = weft_future_new();
    weft_task *waiter = weft_create_task(b10_waiter(future));
    must_equal(weft_sleep(0), 0);
    must_equal(weft_future_set_result(future, 5), 0);
    soon("X");
    mark("m");
    must_equal(weft_sleep(0), 0);
    mark("m1");
    weft_release(future);
    return weft_join(waiter);
}

static void mark_bool(bool value) { mark(value ? "true" : "false"); }

weft_async(b13) { /* X1, X6 */
    weft_task *task = weft_create_task(marks("body"));
    mark_bool(weft_cancel(task));
    mark_bool(weft_cancelled(task));
    mark_bool(weft_done(task));
    must_equal(weft_await(task), -ECANCELED);
    mark("CE");
    mark_bool(weft_cancelled(task));
    weft_release(task);
    return 0;
}

static intptr_t sleeps_long(void *arg) {
    (void)arg;
    return weft_sleep(WEFT_SEC(100));
}

weft_async(b14) { /* X1, X7 */
    weft_task *task = weft_spawn(sleeps_long, NULL);
    must_equal(weft_sleep(0), 0);
    mark_bool(weft_cancel(task));
    mark_bool(weft_cancel(task));
    mark(weft_cancelling(task) == 2 ? "2" : "not 2");
    must_equal(weft_await(task), -ECANCELED);
    mark_bool(weft_cancel(task));
    mark(weft_cancelling(task) == 2 ? "2" : "not 2");
    weft_release(task);
    return 0;
}

/* Scaled: a second is 20 ms, and the poll is at 10 and not at 20 so that a slow machine counts the same. */
weft_async(sleeping_for_10) {
    mark("sleeping");
    int r = weft_sleep(WEFT_MS(200));
    if (r == 0) mark("finished");
    return r;
}

weft_async(b17) { /* X5 */
    weft_task *task = weft_create_task(sleeping_for_10());
    int64_t begin = weft_time();
    for (int seconds = 0; !weft_done(task);) {
        mark("tick");
        must_equal(weft_sleep_until(begin + ++seconds * WEFT_MS(20)), 0);
        if (seconds == 5) {
            must(weft_cancel(task));
            mark(weft_done(task) ? "done" : "not-done");
        }
    }
    must_equal(weft_await(task), -ECANCELED);
    mark("CE");
    weft_release(task);
    return 0;
}

static void golden(weft_future *coroutine, const char *expected) {
    trace[0] = 0;
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, coroutine), 0);
    assert_string_equal(trace, expected);
}

static void test_B_golden_traces(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        golden(b1(), "a0 b0 c0 a1 b1 c1 a2 b2 c2");
        golden(b2(), "m cs1 t1 cs2 m2");
        golden(b3(), "cb1 cb2 after1 cb1.child after2");
        golden(b9(), "A sub B cb C");
        golden(b10(), "m waiter X m1");
        golden(b13(), "true false false CE true");
        golden(b14(), "true true 2 false 2");
        golden(b17(), "tick sleeping tick tick tick tick not-done tick CE");
    }
}

/* 1000 tasks start in creation order, 1000 awaiters resume in the order of their waiting. */
static int position;
static intptr_t in_order(void *arg) {
    must_equal(position++, (intptr_t)arg);
    return weft_is_error((intptr_t)arg) ? 0 : (intptr_t)arg;
}

struct awaiter {
    weft_future *future;
    int index;
};

static intptr_t resumes_in_order(void *arg) {
    struct awaiter *self = arg;
    must_equal(weft_await(self->future), 77);
    must_equal(position++, self->index);
    return 77;
}

#define MANY 1000
static weft_task *tasks[MANY];
static struct awaiter awaiters[MANY];

weft_async(orders) {
    position = 0;
    for (intptr_t i = 0; i < MANY; i++) tasks[i] = weft_spawn(in_order, (void *)i);
    must_equal(position, 0); /* T1: none before the creator suspends */
    for (intptr_t i = 0; i < MANY; i++) must_equal(weft_join(tasks[i]), i);
    position = 0;
    weft_future *future = weft_future_new();
    for (int i = 0; i < MANY; i++) {
        awaiters[i] = (struct awaiter){future, i};
        tasks[i] = weft_spawn(resumes_in_order, &awaiters[i]);
    }
    must_equal(weft_sleep(0), 0);
    must_equal(weft_future_set_result(future, 77), 0);
    must_equal(position, 0); /* F5: nobody ran inside the call */
    for (int i = 0; i < MANY; i++) must_equal(weft_join(tasks[i]), 77);
    weft_release(future);
    return 0;
}

static void test_T1_T2_T7_order(void **state) {
    (void)state;
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, orders()), 0);
}

/* ---- creation ---- */

/* T3: no loop runs here. The coroutine is reported, not lost. */
weft_async(orphan) { return 0; }

static void test_T3_no_running_loop(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    weft_task *task = weft_create_task(orphan());
    intptr_t result = weft_await(task);
    weft_release(task);
    assert_int_equal(weft_go(same, NULL), -EPERM); /* of a plain function, also "task" by name */
    assert_int_equal(capture_end(capture, "'orphan' was never awaited"), 1);
    assert_int_equal(result, -EPERM);
}

/* T4: what is no coroutine is refused, and stays the caller's; on a closed loop the coroutine is disposed of. */
static weft_loop *kept;
static intptr_t refusals(void *arg) {
    (void)arg;
    weft_future *future = weft_future_new();
    must_equal(weft_result(weft_create_task(future)), -EINVAL);
    must_equal(weft_result(weft_create_task(NULL)), -EINVAL);
    must(!weft_done(future));
    weft_release(future);
    weft_task *task = weft_spawn(same, (void *)4);
    must_equal(weft_result(weft_create_task(task)), -EINVAL); /* scheduled already */
    must_equal(weft_join(task), 4);
    kept = weft_loop_ref(weft_get_running_loop());
    return 0;
}

static void test_T4_refusals(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, refusals, NULL), 0);
        struct capture capture = capture_begin();
        weft_task *task = weft_run_coroutine_threadsafe(orphan(), kept);
        assert_int_equal(capture_end(capture, "never awaited"), 0);
        assert_int_equal(weft_join(task), -ESHUTDOWN);
        weft_loop_release(kept);
    }
}

/* T6: the outcome of a task is its coroutine's alone. */
static intptr_t waits_for(void *future) { return weft_await(future); }
static intptr_t not_from_outside(void *arg) {
    (void)arg;
    weft_future *future = weft_future_new();
    weft_task *task = weft_spawn(waits_for, future);
    for (int round = 0; round < 2; round++) {
        must_equal(weft_future_set_result(task, 1), -EINVAL);
        must_equal(weft_future_set_exception(task, -EIO), -EINVAL);
        must_equal(weft_done(task), round);
        if (round == 0) must_equal(weft_future_set_result(future, 6), 0);
        must_equal(weft_await(task), 6);
    }
    weft_release(task);
    weft_release(future);
    return 0;
}

static void test_T6_not_from_outside(void **state) {
    (void)state;
    on_each_loop(not_from_outside, 0);
}

/* T8: an error at that await, not a hang; also from a coroutine that the task awaits. */
weft_async(awaits_its_task) { return weft_await(weft_current_task()); }
static intptr_t awaits_itself(void *arg) {
    (void)arg;
    must_equal(weft_await(weft_current_task()), -EDEADLK);
    must_equal(weft_await(awaits_its_task()), -EDEADLK);
    must_equal(weft_join(weft_create_task(awaits_its_task())), -EDEADLK);
    return 8;
}

static void test_T8_awaits_itself(void **state) {
    (void)state;
    on_each_loop(awaits_itself, 8);
}

/* Results, repeated await, several awaiters, the queries afterwards. */
static intptr_t awaits_task(void *arg) { return weft_await(arg); }

static intptr_t results(void *arg) {
    (void)arg;
    intptr_t values[] = {0, 1, INTPTR_MAX, -4096, INTPTR_MIN, -EIO, -4095};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        weft_task *task = weft_spawn(same, (void *)values[i]), *others[3];
        for (int j = 0; j < 3; j++) others[j] = weft_spawn(awaits_task, task);
        for (int j = 0; j < 3; j++) must_equal(weft_join(others[j]), values[i]);
        for (int j = 0; j < 3; j++) must_equal(weft_await(task), values[i]);
        must(weft_done(task) && !weft_cancelled(task));
        must_equal(weft_result(task), values[i]);
        must_equal(weft_exception(task), weft_is_error(values[i]) ? values[i] : 0);
        must(!weft_cancel(task));
        must_equal(weft_cancelling(task), 0);
        weft_release(task);
    }
    return 0;
}

static void test_T5_T7_results(void **state) {
    (void)state;
    on_each_loop(results, 0);
}

weft_async(seven) { return 7; }
static intptr_t ensure(void *arg) {
    (void)arg;
    weft_future *task = weft_ensure_future(seven());
    must(task != NULL && !weft_iscoroutine(task));
    must(weft_ensure_future(task) == task);
    weft_future *future = weft_future_new();
    must(weft_ensure_future(future) == future);
    weft_release(future);
    must_equal(weft_result(weft_ensure_future(NULL)), -EINVAL);
    return weft_join(task);
}

static void test_T9_ensure_future(void **state) {
    (void)state;
    on_each_loop(ensure, 7);
}

weft_async(named) { return 0; }
static intptr_t names(void *arg) {
    (void)arg;
    weft_task *plain = weft_spawn(same, NULL), *async = weft_create_task(named());
    weft_task *custom = weft_create_task_with((weft_task_options){.name = "custom"}, named());
    must(strcmp(weft_task_name(plain), "task") == 0);
    must(strcmp(weft_task_name(async), "named") == 0);
    must(strcmp(weft_task_name(custom), "custom") == 0);
    weft_join(plain);
    weft_join(async);
    must_equal(weft_await(custom), 0);
    must(strcmp(weft_task_name(custom), "custom") == 0);
    weft_release(custom);
    return 0;
}

static void test_T17_names(void **state) {
    (void)state;
    on_each_loop(names, 0);
}

/* A task without a handle lives on, and runs to its end while main waits for something else. */
static weft_future *finished;
static intptr_t without_handle(void *arg) {
    (void)arg;
    must_equal(weft_sleep(WEFT_MS(2)), 0);
    return weft_future_set_result(finished, 8);
}

static intptr_t going_alone(void *arg) {
    finished = weft_future_new();
    must_equal(weft_go(without_handle, arg), 0);
    intptr_t result = weft_join(finished);
    finished = weft_future_new();
    weft_release(weft_spawn(without_handle, arg));
    must_equal(weft_join(finished), result);
    return result;
}

static void test_T18_lives_without_a_handle(void **state) {
    (void)state;
    on_each_loop(going_alone, 8);
}

/* ---- sleeping ---- */

static intptr_t sleeps(void *ns) { return weft_sleep((intptr_t)ns); }

/* T10: everybody else goes on. */
static intptr_t counts_turns(void *arg) {
    int *turns = arg;
    for (; *turns < 1000; ++*turns) must_equal(weft_sleep(0), 0);
    return 0;
}

static intptr_t sleeps_alone(void *arg) {
    int turns = 0;
    (void)arg;
    weft_task *sleeper = weft_spawn(sleeps, (void *)WEFT_SEC(1000)), *other = weft_spawn(counts_turns, &turns);
    must_equal(weft_join(other), 0);
    must_equal(turns, 1000);
    must(!weft_done(sleeper));
    weft_cancel(sleeper);
    must_equal(weft_join(sleeper), -ECANCELED);
    return 0;
}

static void test_T10_sleep_suspends_one_task(void **state) {
    (void)state;
    on_each_loop(sleeps_alone, 0);
}

static intptr_t never_early(void *arg) {
    int64_t durations[] = {1, 1000, WEFT_US(50), WEFT_MS(1), WEFT_MS(30)};
    (void)arg;
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        int64_t before = weft_time();
        must_equal(weft_sleep(durations[i]), 0);
        must(weft_time() - before >= durations[i]);
        before = weft_time();
        must_equal(weft_sleep_until(before + durations[i]), 0);
        must(weft_time() >= before + durations[i]);
    }
    return 0;
}

static void test_T11_never_early(void **state) {
    (void)state;
    on_each_loop(never_early, 0);
    assert_int_equal(never_early(NULL), 0); /* a plain thread */
}

/* T12: exactly one turn (B3 shows its place), and no timer. */
weft_async(b12) {
    int64_t delays[] = {0, -1, INT64_MIN};
    weft_stats before, after;
    must_equal(weft_stats_get(&before), 0);
    for (int i = 0; i < 3; i++) {
        must_equal(weft_loop_call_soon_threadsafe(weft_get_running_loop(), cb1, NULL).error, 0);
        must_equal(weft_sleep(delays[i]), 0);
        mark("slept");
        must_equal(weft_sleep(0), 0);
    }
    must_equal(weft_stats_get(&after), 0);
    must_equal(after.timers, before.timers);
    return 0;
}

static void test_T12_one_turn(void **state) {
    (void)state;
    golden(b12(), "cb1 slept cb1.child cb1 slept cb1.child cb1 slept cb1.child");
}

/* T14: a cancelled sleep leaves no timer that fires later. */
static intptr_t no_timers(void *arg) {
    weft_stats before, after;
    (void)arg;
    must_equal(weft_stats_get(&before), 0);
    for (int i = 0; i < 100; i++) {
        weft_task *task = weft_spawn(sleeps, (void *)(WEFT_SEC(1) + WEFT_MS(i)));
        must_equal(i % 2 ? weft_yield() : weft_sleep(0), 0);
        must(weft_cancel(task));
        must_equal(weft_join(task), -ECANCELED);
    }
    must_equal(weft_sleep(WEFT_MS(1200)), 0);
    must_equal(weft_stats_get(&after), 0);
    must_equal(after.timers - before.timers, 1); /* our own */
    return 0;
}

static void test_T14_no_timer_outlives(void **state) {
    (void)state;
    assert_int_equal(run_on(0, no_timers, NULL), 0);
    assert_int_equal(run_on(2, no_timers, NULL), 0);
}

/* T15: tasks overlap. T16: coroutines do not. */
static intptr_t overlap(void *arg) {
    weft_task *tasks[3];
    (void)arg;
    int64_t begin = weft_time();
    for (int i = 0; i < 3; i++) tasks[i] = weft_spawn(sleeps, (void *)WEFT_MS(300));
    for (int i = 0; i < 3; i++) must_equal(weft_join(tasks[i]), 0);
    int64_t took = weft_time() - begin;
    must(took >= WEFT_MS(300) && took < WEFT_MS(890));
    return 0;
}

static intptr_t add_up(void *arg) {
    int64_t begin = weft_time();
    (void)arg;
    for (int i = 0; i < 3; i++) must_equal(weft_await(weft_coroutine(sleeps, (void *)WEFT_MS(20))), 0);
    must(weft_time() - begin >= WEFT_MS(60));
    return 0;
}

static void test_T15_tasks_overlap(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, overlap, NULL), 0);
}

static void test_T16_coroutines_add_up(void **state) {
    (void)state;
    on_each_loop(add_up, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_B_golden_traces),       cmocka_unit_test(test_T1_T2_T7_order),
        cmocka_unit_test(test_T3_no_running_loop),    cmocka_unit_test(test_T4_refusals),
        cmocka_unit_test(test_T5_T7_results),         cmocka_unit_test(test_T6_not_from_outside),
        cmocka_unit_test(test_T8_awaits_itself),      cmocka_unit_test(test_T9_ensure_future),
        cmocka_unit_test(test_T10_sleep_suspends_one_task), cmocka_unit_test(test_T11_never_early),
        cmocka_unit_test(test_T12_one_turn),          cmocka_unit_test(test_T14_no_timer_outlives),
        cmocka_unit_test(test_T15_tasks_overlap),     cmocka_unit_test(test_T16_coroutines_add_up),
        cmocka_unit_test(test_T17_names),             cmocka_unit_test(test_T18_lives_without_a_handle),
    };
    return run_group(tests);
}
