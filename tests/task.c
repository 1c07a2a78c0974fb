/* What tasks can do beyond asyncio: pinning, stacks of their own size, running in place. */
#include "api_support.h"

static void on_each_loop(weft_fn *fn, intptr_t expected) {
    assert_int_equal(run_on(0, fn, NULL), expected);
    assert_int_equal(run_on(1, fn, NULL), expected);
    assert_int_equal(run_on(2, fn, NULL), expected);
    assert_int_equal(run_on(4, fn, NULL), expected);
}

static intptr_t same(void *arg) { return (intptr_t)arg; }

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
    for (int i = 0; i < 100 && found == weft_get_running_loop(); i++)
        found = (weft_loop *)weft_join(weft_spawn(where, NULL));
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
#if defined(WEFT__ASAN) || defined(WEFT__TSAN)
        promised /= 4; /* frames are several times larger there */
#endif
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
    on_each_loop(stack_sizes, 0);
    for (size_t bytes = 64 << 10; bytes <= 16 << 20; bytes *= 4)
        assert_int_equal(weft_run_fn_with((weft_options){.workers = 2, .stack_bytes = bytes}, stack_sizes, NULL),
                         0);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_stack_bytes),
        cmocka_unit_test(test_in_place),
    };
    return run_group(tests);
}
