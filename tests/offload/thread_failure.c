/* The system gives no thread, or no memory: an error, and nothing is lost. */
#include "api_support.h"

#include <limits.h>
#include <sys/mman.h>

static _Atomic long threads_left = LONG_MAX, allocations_left = LONG_MAX;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);
void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

static bool fails(_Atomic long *left) {
    return atomic_load(left) != LONG_MAX && atomic_fetch_sub(left, 1) <= 0;
}
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg) {
    return fails(&threads_left) ? EAGAIN : __real_pthread_create(thread, attributes, fn, arg);
}
void *__wrap_malloc(size_t bytes) { return fails(&allocations_left) ? NULL : __real_malloc(bytes); }
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return fails(&allocations_left) ? MAP_FAILED : __real_mmap(address, bytes, protection, flags, fd, offset);
}

static intptr_t add_one(void *arg) { return (intptr_t)arg + 1; }

/* ---- no thread ---- */

static intptr_t no_thread(void *none) {
    (void)none;
    atomic_store(&threads_left, 0);
    for (int i = 0; i < 3; i++) {
        must_equal(weft_join(weft_to_thread(add_one, NULL)), -EAGAIN);
        must_equal(weft_enter_blocking(), -EAGAIN);
        must_equal(weft_sleep(0), 0);
    }
    atomic_store(&threads_left, LONG_MAX);
    must_equal(weft_join(weft_to_thread(add_one, NULL)), 1);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_leave_blocking(), 0);
    return 0;
}
static void test_no_thread(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, no_thread, NULL), 0);
}

/* With one thread there, jobs wait for it. */
static intptr_t one_thread(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    atomic_store(&threads_left, 1);
    weft_future *held = weft_to_thread(pass_gate, &gate), *jobs[50];
    for (intptr_t i = 0; i < 50; i++) jobs[i] = weft_to_thread(add_one, (void *)i);
    gate_open(&gate);
    for (intptr_t i = 0; i < 50; i++) must_equal(weft_join(jobs[i]), i + 1);
    must_equal(weft_join(held), 7);
    atomic_store(&threads_left, LONG_MAX);
    return 0;
}
static void test_one_thread(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, one_thread, NULL), 0);
}

/* Several submit while the only thread fails to start, and others close: each learns of it. */
static intptr_t submit_some(void *arg) {
    weft_thread_pool *pool = arg;
    for (intptr_t i = 0; i < 10; i++) {
        intptr_t result = weft_join(weft_thread_pool_submit(pool, add_one, (void *)i));
        must(result == i + 1 || result == -EAGAIN || result == -ESHUTDOWN || result == -ECANCELED);
    }
    return 0;
}
static void *submit_as_thread(void *pool) { return (void *)submit_some(pool); }
static void test_threads_fail_now_and_then(void **state) {
    (void)state;
    for (long round = 0; round < ROUNDS(500); round++) {
        pthread_t threads[3];
        weft_thread_pool *pool =
            weft_thread_pool_new((weft_thread_pool_options){.threads = 3, .queue = 2, .idle_ns = 1000});
        for (int i = 0; i < 3; i++) threads[i] = thread_start(submit_as_thread, pool);
        atomic_store(&threads_left, round % 4);
        if (round % 3 == 0) assert_true(weft_thread_pool_close(pool, WEFT_FOREVER) == 0);
        for (int i = 0; i < 3; i++) thread_join(threads[i]);
        atomic_store(&threads_left, LONG_MAX);
        assert_int_equal(weft_thread_pool_close(pool, WEFT_SEC(60)), 0);
        weft_thread_pool_release(pool);
    }
}

/* ---- no memory ---- */

static weft_context_var variable = WEFT_CONTEXT_VAR("variable", NULL);

static intptr_t use_all(void *none) {
    (void)none;
    intptr_t results[3] = {weft_join(weft_to_thread(add_one, (void *)1)), weft_enter_blocking()};
    if (results[1] == 0) must_equal(weft_leave_blocking(), 0);
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){0});
    results[2] = pool ? weft_join(weft_run_in_executor(NULL, pool, add_one, (void *)1)) : -ENOMEM;
    weft_thread_pool_release(pool);
    must(results[0] == 2 || results[0] == -ENOMEM);
    must(results[1] == 0 || results[1] == -ENOMEM);
    must(results[2] == 2 || results[2] == -ENOMEM);
    return results[0] == 2 && results[1] == 0 && results[2] == 2;
}
static intptr_t run_short_of_memory(void *none) {
    (void)none;
    must_equal(weft_context_var_set(&variable, &variable, NULL), 0);
    bool all = false;
    for (long allocations = 0; !all; allocations++) {
        must(allocations < 100);
        atomic_store(&allocations_left, allocations);
        all = use_all(NULL);
        atomic_store(&allocations_left, LONG_MAX);
    }
    must_equal(use_all(NULL), 1);
    return 0;
}
static void test_no_memory(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, run_short_of_memory, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_thread),
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_threads_fail_now_and_then),
        cmocka_unit_test(test_no_memory),
    };
    return run_group(tests);
}
