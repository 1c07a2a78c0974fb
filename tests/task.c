/* Tasks: rules T1 to T18, RN3 to RN5 for what is left over, and the golden traces about order. */
#include "api_support.h"

static void on_each_loop(weft_fn *fn, intptr_t expected) {
    assert_int_equal(run_on(0, fn, NULL), expected);
    assert_int_equal(run_on(1, fn, NULL), expected);
    assert_int_equal(run_on(2, fn, NULL), expected);
    assert_int_equal(run_on(4, fn, NULL), expected);
}

static intptr_t same(void *arg) { return (intptr_t)arg; }

/* ---- golden traces, strict order ---- */

static void soon(const char *what) {
    must_equal(weft_loop_call_soon_threadsafe(weft_get_running_loop(), mark_callback, (void *)(uintptr_t)what).error, 0);
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

static void test_golden_traces(void **state) {
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

/* T2, T7: 1000 tasks start in creation order, 1000 awaiters resume in the order of their waiting. */
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

static void test_order(void **state) {
    (void)state;
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, orders()), 0);
}

/* T5, T7: results, repeated await, several awaiters, the queries afterwards. */
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

static void test_results(void **state) {
    (void)state;
    on_each_loop(results, 0);
}

/* T17 */
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

static void test_names(void **state) {
    (void)state;
    on_each_loop(names, 0);
}

/* A pinned task stays where it is, whatever it awaits and whoever wakes it. */
static intptr_t yields(void *arg) {
    (void)arg;
    return weft_yield();
}

static intptr_t stays(void *arg) {
    weft_loop *home = arg ? arg : weft_get_running_loop();
    pthread_t thread = pthread_self();
    for (int i = 0; i < 200; i++) {
        must(weft_get_running_loop() == home);
        if (!arg) must(pthread_equal(pthread_self(), thread));
        must_equal(weft_join(weft_spawn(yields, NULL)), 0);
        must_equal(i % 3 ? weft_yield() : weft_sleep(i % 2 ? 0 : WEFT_US(10)), 0);
    }
    return 0;
}

static weft_loop *loops[4];
static intptr_t where(void *arg) {
    (void)arg;
    must_equal(weft_sleep(WEFT_US(100)), 0);
    return (intptr_t)weft_get_running_loop();
}

static intptr_t pinning(void *arg) {
    (void)arg;
    weft_task *here = weft_create_task_with((weft_task_options){.pinned = true}, weft_coroutine(stays, NULL));
    weft_loop *found = weft_get_running_loop();
    for (int i = 0; i < 100 && found == weft_get_running_loop(); i++) found = (weft_loop *)weft_join(weft_spawn(where, NULL));
    weft_task *there[8];
    for (int i = 0; i < 8; i++)
        there[i] = weft_create_task_with((weft_task_options){.loop = found}, weft_coroutine(stays, found));
    for (int i = 0; i < 8; i++) must_equal(weft_join(there[i]), 0);
    return weft_join(here);
}

static void test_pinned(void **state) {
    (void)state;
    (void)loops;
    on_each_loop(pinning, 0);
}

/* stack_bytes: half of it at least is usable, whatever the runtime's default. */
__attribute__((noinline)) static intptr_t use_stack(void *arg) {
    size_t bytes = (size_t)arg;
    volatile char *memory = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 1024) memory[i] = (char)i;
    must_equal(weft_sleep(0), 0);
    for (size_t i = 0; i < bytes; i += 1024) must_equal(memory[i], (char)i);
    return 1;
}

static intptr_t stack_sizes(void *arg) {
    (void)arg;
    size_t sizes[] = {1, 32 << 10, 33 << 10, 64 << 10, 1 << 20, 8 << 20, 128 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t promised = sizes[i] < 32 << 10 ? 8 << 10 : sizes[i] / 2 - 2048;
        weft_task *several[3];
        for (int j = 0; j < 3; j++)
            several[j] = weft_create_task_with((weft_task_options){.stack_bytes = sizes[i]},
                                               weft_coroutine(use_stack, (void *)promised));
        for (int j = 0; j < 3; j++) must_equal(weft_join(several[j]), 1);
    }
    return 0;
}

static void test_stack_bytes(void **state) {
    (void)state;
#if defined(WEFT__ASAN) || defined(WEFT__TSAN)
    skip(); /* frames are several times larger there */
#endif
    on_each_loop(stack_sizes, 0);
    for (size_t bytes = 64 << 10; bytes <= 16 << 20; bytes *= 4)
        assert_int_equal(weft_run_fn_with((weft_options){.workers = 2, .stack_bytes = bytes}, stack_sizes, NULL), 0);
}

/* RN3 to RN5: leftovers. Each is cancelled exactly once, its clean-up may await, what it creates meanwhile
 * is cancelled too, and weft_run returns after all that. */
static _Atomic long started, cleaned, cancelled_again, born_ran;

static intptr_t must_not_run(void *arg) {
    (void)arg;
    atomic_fetch_add(&born_ran, 1);
    return 0;
}

static intptr_t child_of_cleanup(void *arg) {
    (void)arg;
    atomic_fetch_add(&born_ran, 1);
    return 5;
}

static intptr_t leftover(void *arg) {
    atomic_fetch_add(&started, 1);
    intptr_t r = weft_sleep(WEFT_SEC(1000));
    if (r != -ECANCELED) return r;
    must_equal(weft_cancelling(weft_current_task()), 1);
    for (int i = 0; i < 3; i++)
        if (weft_sleep(WEFT_US(200)) != 0 || weft_sleep(0) != 0) atomic_fetch_add(&cancelled_again, 1);
    must_equal(weft_cancelling(weft_current_task()), 1);
    if (arg) { /* RN5: until none remain */
        must_equal(weft_go(must_not_run, NULL), 0);
        must_equal(weft_join(weft_spawn(child_of_cleanup, NULL)), -ECANCELED);
        must_equal(weft_cancelling(weft_current_task()), 1);
    }
    atomic_fetch_add(&cleaned, 1);
    return 123; /* swallowed: does not matter to weft_run */
}

#define LEFTOVERS 200
static intptr_t leave(void *arg) {
    atomic_store(&started, 0);
    atomic_store(&cleaned, 0);
    for (intptr_t i = 0; i < LEFTOVERS; i++) must_equal(weft_go(leftover, (void *)(i % 2)), 0);
    while (atomic_load(&started) < LEFTOVERS) must_equal(weft_sleep(0), 0);
    return (intptr_t)arg;
}

static void test_leftovers(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
        for (int i = 0; i < ROUNDS(20); i++) {
            intptr_t value = i % 2 ? 42 : -EIO; /* RN4: the same when main failed */
            assert_int_equal(run_on(workers, leave, (void *)value), value);
            assert_int_equal(atomic_load(&cleaned), LEFTOVERS);
            assert_int_equal(atomic_load(&cancelled_again), 0);
            assert_int_equal(atomic_load(&born_ran), 0);
        }
}

/* T18: a task without a handle lives on, and runs to its end while main waits for something else. */
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

static void test_alone(void **state) {
    (void)state;
    on_each_loop(going_alone, 8);
}

/* IN1, MT16: the current task through nested awaits, calls in place, suspension and migration. */
static intptr_t is_current(void *arg) {
    weft_task *self = weft_current_task();
    int depth = (int)(intptr_t)arg;
    must(self != NULL);
    if (depth > 0) {
        weft_task *child = weft_spawn(is_current, (void *)(intptr_t)(depth - 1));
        if (depth % 2) must_equal(weft_sleep(0), 0);
        must(weft_current_task() == self);
        intptr_t address = weft_await(child);
        must(weft_current_task() == self);
        must(address == (intptr_t)child); /* it saw itself, and is not we */
        weft_release(child);
    } else {
        must_equal(weft_sleep(WEFT_US(50)), 0);
    }
    must_equal(weft_yield(), 0);
    must(weft_current_task() == self);
    return (intptr_t)self;
}

static intptr_t current(void *arg) {
    (void)arg;
    weft_task *several[8];
    for (int i = 0; i < 8; i++) several[i] = weft_spawn(is_current, (void *)(intptr_t)10);
    for (int i = 0; i < 8; i++) {
        must(weft_await(several[i]) == (intptr_t)several[i]);
        weft_release(several[i]);
    }
    return 0;
}

static void test_current(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(50); i++) on_each_loop(current, 0);
    assert_null(weft_current_task());
}

/* In place: what is awaited unstarted is a call on a runtime, a task of its own turn on a strict loop. */
static intptr_t in_place(void *arg) {
    weft_stats before, after;
    must_equal(weft_stats_get(&before), 0);
    for (intptr_t i = 0; i < 100; i++) must_equal(weft_join(weft_spawn(same, (void *)i)), i);
    must_equal(weft_stats_get(&after), 0);
    must_equal(after.spawns - before.spawns, 100);
    return (intptr_t)(after.in_place - before.in_place) >= (intptr_t)arg;
}

static void test_in_place(void **state) {
    (void)state;
    assert_int_equal(run_on(1, in_place, (void *)100), 1);
    assert_int_equal(run_on(0, in_place, (void *)1), 0);
}

/* T9 */
weft_async(seven) { return 7; }
static intptr_t ensure(void *arg) {
    (void)arg;
    weft_future *task = weft_ensure_future(seven());
    must(task != NULL && !weft_iscoroutine(task));
    must(weft_ensure_future(task) == task);
    return weft_join(task);
}

static void test_ensure_future(void **state) {
    (void)state;
    on_each_loop(ensure, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_traces), cmocka_unit_test(test_order),   cmocka_unit_test(test_results),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_pinned),  cmocka_unit_test(test_stack_bytes),
        cmocka_unit_test(test_leftovers),     cmocka_unit_test(test_alone),   cmocka_unit_test(test_current),
        cmocka_unit_test(test_in_place),      cmocka_unit_test(test_ensure_future),
    };
    return run_group(tests);
}
