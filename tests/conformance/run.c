/* weft_run: rules RN1 to RN6, as far as tasks go. */
#include "api_support.h"

#include <sched.h>

static intptr_t same(void *arg) { return (intptr_t)arg; }

static intptr_t busy(void *arg) {
    weft_task *tasks[32];
    for (int i = 0; i < 32; i++) tasks[i] = weft_spawn(same, arg);
    must_equal(weft_sleep(WEFT_US(100)), 0);
    for (int i = 0; i < 32; i++) must_equal(weft_join(tasks[i]), (intptr_t)arg);
    return (intptr_t)arg;
}

/* RN1: main's value or error comes out; its loop is new and closed afterwards. */
static weft_loop *seen;
static intptr_t remembers_loop(void *arg) {
    must(seen == NULL || weft_get_running_loop() != seen);
    seen = weft_loop_ref(weft_get_running_loop());
    return (intptr_t)arg;
}

static void never(void *arg) {
    (void)arg;
    must(!"a callback on a closed loop runs");
}

static void test_RN1_value_error_and_closed_loop(void **state) {
    (void)state;
    intptr_t values[] = {0, 42, -EIO, -ECANCELED, INTPTR_MAX, -4096};
    for (unsigned workers = 0; workers <= 2; workers++)
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            weft_loop *former = seen;
            assert_int_equal(run_on(workers, remembers_loop, (void *)values[i]), values[i]);
            weft_loop_release(former);
            assert_int_equal(weft_loop_call_soon_threadsafe(seen, never, NULL).error, -ESHUTDOWN);
            assert_null(weft_get_running_loop());
        }
    weft_loop_release(seen);
}

/* Run after run, each on loops of its own, and nothing stays: no descriptor, no thread, no mapping that grows. */
static long count_of(const char *directory) {
    long count = 0;
    DIR *opened = opendir(directory);
    while (opened && readdir(opened)) count++;
    if (opened) closedir(opened);
    return count;
}

static long pages(void) {
    long virtual_pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld", &virtual_pages) != 1) virtual_pages = 0;
    if (file) fclose(file);
    return virtual_pages;
}

static void test_RN1_run_after_run(void **state) {
    (void)state;
    long tasks = count_of("/proc/self/task"), first_pages = 0;
    int descriptors = open_descriptors();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(run_on((unsigned)i % 5, busy, (void *)(intptr_t)i), i);
        if (i == 50) first_pages = pages();
    }
    assert_int_equal(open_descriptors(), descriptors);
    for (int i = 0; i < 100000 && count_of("/proc/self/task") > tasks; i++) sched_yield(); /* joined, leaving */
    assert_int_equal(count_of("/proc/self/task"), tasks);
#if defined(WEFT__ASAN) || defined(WEFT__TSAN)
    (void)first_pages; /* a sanitizer maps as it likes */
#else
    assert_true(pages() - first_pages < 64 << 8); /* 64 MiB: a stack pool's mapping that was forgotten */
#endif
}

/* RN2: not while a loop runs in the same thread; the coroutine is consumed all the same. */
static intptr_t runs_inside(void *arg) {
    (void)arg;
    must_equal(weft_run_fn(same, NULL), -EDEADLK);
    must_equal(run_on(0, same, NULL), -EDEADLK);
    must_equal(weft_await(weft_coroutine(same, (void *)7)), 7); /* and nothing is spoilt */
    return 7;
}

static void test_RN2_not_inside_a_loop(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    intptr_t results = 0;
    for (unsigned workers = 0; workers <= 2; workers++) results += run_on(workers, runs_inside, NULL);
    assert_int_equal(capture_end(capture, "never awaited"), 0);
    assert_int_equal(results, 21);
}

/* Other threads may each run their own at the same time. */
static void *runs(void *arg) {
    for (int i = 0; i < 20; i++) must_equal(run_on((unsigned)i % 3, busy, arg), (intptr_t)arg);
    return NULL;
}

static void test_RN2_several_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) threads[i] = thread_start(runs, (void *)(i + 1));
    for (int i = 0; i < 4; i++) thread_join(threads[i]);
}

/* Leftovers. Each is cancelled exactly once, its clean-up may await, what it creates meanwhile
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

static void test_RN3_RN4_RN5_leftovers(void **state) {
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

/* RN6: a coroutine only. What is refused stays the caller's. */
weft_async(one) { return 1; }
static intptr_t spawned(void *task) {
    *(weft_task **)task = weft_spawn(same, (void *)3);
    return 0;
}

static void test_RN6_only_coroutines(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    assert_int_equal(weft_run(NULL), -EINVAL);
    assert_int_equal(weft_run(future), -EINVAL);
    assert_int_equal(weft_future_set_result(future, 1), 0);
    assert_int_equal(weft_run(future), -EINVAL);
    assert_int_equal(weft_join(future), 1);
    weft_task *task = NULL;
    assert_int_equal(weft_run_fn(spawned, &task), 0);
    assert_int_equal(weft_run(task), -EINVAL);
    weft_release(task);
    assert_int_equal(weft_run_fn(NULL, NULL), -EINVAL);
    future = weft_ref(one());
    assert_int_equal(weft_run(future), 1);
    assert_int_equal(weft_run(future), -EINVAL); /* driven already */
    weft_release(future);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_RN1_value_error_and_closed_loop), cmocka_unit_test(test_RN1_run_after_run),
        cmocka_unit_test(test_RN2_not_inside_a_loop),           cmocka_unit_test(test_RN2_several_threads),
        cmocka_unit_test(test_RN3_RN4_RN5_leftovers),           cmocka_unit_test(test_RN6_only_coroutines),
    };
    return run_group(tests);
}
