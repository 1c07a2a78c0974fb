/* Context variables, introspection: CV1, CV2, CV4, L8, IN1, IN2, MT16, MT17; the first half of B26. */
#include "api_support.h"

static weft_context_var var = WEFT_CONTEXT_VAR("var", "default");
static weft_context_var other = WEFT_CONTEXT_VAR("other", NULL);

static void set(const char *value) { must_equal(weft_context_var_set(&var, (void *)(uintptr_t)value, NULL), 0); }
static const char *get(void) { return weft_context_var_get(&var); }
#define must_be(value) must_equal(strcmp(get(), value), 0)

static intptr_t child(void *expected) {
    must_equal(strcmp(get(), expected), 0);
    set("child's own");
    weft_sleep(0);
    must_be("child's own");
    return 0;
}
static intptr_t copies(void *arg) {
    (void)arg;
    must_be("default");
    set("A");
    weft_task *task = weft_spawn(child, "A");
    set("B");
    weft_task *second = weft_spawn(child, "B");
    must_equal(weft_join(task), 0);
    must_equal(weft_join(second), 0);
    must_be("B");
    must_equal(weft_await(weft_coroutine(child, "B")), 0); /* directly: shares */
    must_be("child's own");
    return 0;
}
static void test_CV1_a_task_copies_a_coroutine_shares(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, copies, NULL), 0);
    assert_string_equal(get(), "default");
    set("thread's");
    assert_int_equal(weft_run(weft_coroutine(child, "thread's")), 0); /* main copies the thread's */
    assert_string_equal(get(), "thread's");
    set("default");
}

static void check_callback(void *expected) {
    must_equal(strcmp(get(), expected), 0);
    set("callback's own");
}
static void check_done(weft_future *future, void *expected) {
    (void)future;
    check_callback(expected);
}
static intptr_t b26(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    (void)arg;
    set("A");
    weft_task *task = weft_spawn(child, "A");
    weft_loop_call_soon(loop, check_callback, "A");
    weft_loop_call_later(loop, 0, check_callback, "A");
    set("B");
    must_equal(weft_add_done_callback(task, check_done, "B"), 0);
    set("C");
    weft_sleep(0);
    weft_join(task);
    weft_sleep(WEFT_MS(1));
    must_be("C");
    return 0;
}
static void test_CV2_B26_callbacks_copy_at_registration(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, b26, NULL), 0);
}

static intptr_t set_inside(void *value) {
    set(value);
    return 7;
}
static intptr_t explicit_context(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    (void)arg;
    set("registered");
    weft_context *context = weft_copy_context();
    set("now");
    must(!weft_loop_call_soon_with(loop, context, check_callback, "registered").error);
    must(!weft_loop_call_at_with(loop, 0, context, check_callback, "callback's own").error); /* runs second */
    weft_sleep(0);
    weft_sleep(WEFT_MS(1));
    must_be("now");
    must_equal(weft_context_run(context, set_inside, "run's"), 7);
    must_be("now");
    must_equal(weft_context_run(context, child, "run's"), 0);
    must_equal(weft_context_run(NULL, child, "x"), -EINVAL);
    weft_context_release(context);
    return 0;
}
static void test_L8_a_callback_s_own_context(void **state) {
    (void)state;
    assert_int_equal(run_on(0, explicit_context, NULL), 0);
}

static void *sets_and_ends(void *value) {
    set(value); /* LeakSanitizer looks whether it is given back */
    return (void *)(uintptr_t)get();
}
static void test_a_thread_s_own_context(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_string_equal(thread_join(thread_start(sets_and_ends, "its own")), "its own");
    assert_string_equal(get(), "default");
}

static intptr_t enter_again(void *context) { return weft_context_run(context, set_inside, "x"); }
static void test_tokens_and_errors(void **state) {
    (void)state;
    weft_context_token token, second;
    assert_int_equal(weft_context_var_set(&other, "1", &token), 0);
    assert_int_equal(weft_context_var_set(&other, "2", &second), 0);
    assert_int_equal(weft_context_var_reset(&var, &second), -EINVAL);
    assert_int_equal(weft_context_var_reset(&other, &second), 0);
    assert_int_equal(weft_context_var_reset(&other, &second), -EINVAL); /* once */
    assert_string_equal(weft_context_var_get(&other), "1");
    assert_int_equal(weft_context_var_reset(&other, &token), 0);
    assert_null(weft_context_var_get(&other));
    assert_int_equal(weft_context_var_set(NULL, "1", NULL), -EINVAL);
    assert_null(weft_context_var_get(NULL));
    weft_context *context = weft_copy_context();
    assert_int_equal(weft_context_run(context, enter_again, context), -EBUSY);
    weft_context_release(weft_context_ref(context));
    weft_context_release(context);
    weft_context_release(NULL);
}

enum { TASKS = 16 };
static intptr_t wander(void *mine) {
    weft_task *self = weft_current_task();
    set(mine);
    for (int i = 0; i < ROUNDS(2000); i++) {
        if (i % 3) weft_yield();
        else weft_sleep(0);
        must(get() == mine && weft_current_task() == self); /* whatever the worker */
    }
    return 0;
}
static intptr_t wanderers(void *arg) {
    static char names[TASKS];
    weft_task *tasks[TASKS];
    (void)arg;
    for (int i = 0; i < TASKS; i++) tasks[i] = weft_spawn(wander, &names[i]);
    for (int i = 0; i < TASKS; i++) must_equal(weft_join(tasks[i]), 0);
    return 0;
}
static void test_CV4_MT16_follow_the_task(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 4; workers++) assert_int_equal(run_on(workers, wanderers, NULL), 0);
}

/* ---- introspection ---- */

static intptr_t is_current(void *expected) {
    weft_sleep(0);
    return weft_current_task() == expected;
}
static void in_callback(void *arg) {
    must(!weft_current_task());
    *(bool *)arg = true;
}
static intptr_t who_runs(void *arg) {
    bool called = false;
    weft_task *self = weft_current_task();
    (void)arg;
    must(self);
    /* a coroutine runs as part of the awaiting task */
    must_equal(weft_await(weft_coroutine(is_current, self)), 1);
    weft_task *task = weft_spawn(is_current, self);
    must_equal(weft_join(task), 0);
    must(weft_current_task() == self);
    weft_loop_call_soon(weft_get_running_loop(), in_callback, &called);
    while (!called) weft_sleep(0);
    return 0;
}
static void test_IN1_the_current_task(void **state) {
    (void)state;
    assert_null(weft_current_task());
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, who_runs, NULL), 0);
}

static int count_of(weft_task **tasks, int count, const weft_task *task) {
    int found = 0;
    for (int i = 0; i < count; i++) found += tasks[i] == task;
    return found;
}
static _Atomic bool churn_ends;
static intptr_t nothing(void *arg) { return (intptr_t)arg; }
static intptr_t churn(void *arg) {
    (void)arg;
    while (!atomic_load(&churn_ends)) weft_join(weft_spawn(nothing, NULL));
    return 0;
}
static weft_loop *watched_loop;
static weft_task *constant[3];
static void *snapshots(void *rounds) {
    for (long i = 0; i < (long)rounds; i++) {
        weft_task **tasks;
        int count = weft_all_tasks(watched_loop, &tasks);
        must(count >= 3);
        for (int k = 0; k < 3; k++) must_equal(count_of(tasks, count, constant[k]), 1);
        for (int k = 0; k < count; k++) must_equal(count_of(tasks, count, tasks[k]), 1);
        weft_all_tasks_release(tasks, count);
    }
    return NULL;
}
static intptr_t all_tasks(void *arg) {
    weft_task **tasks;
    (void)arg;
    watched_loop = weft_get_running_loop();
    must_equal(weft_all_tasks(NULL, NULL), -EINVAL);
    must_equal(weft_all_tasks(NULL, &tasks), 1); /* the current one */
    must(tasks[0] == weft_current_task());
    weft_all_tasks_release(tasks, 1);
    weft_future *coroutine = weft_coroutine(nothing, NULL);
    weft_task *done = weft_spawn(nothing, NULL);
    weft_await(done);
    must_equal(weft_all_tasks(NULL, &tasks), 1); /* neither finished ones nor coroutines */
    weft_all_tasks_release(tasks, 1);
    weft_release(done);
    weft_coroutine_close(coroutine);
    atomic_store(&churn_ends, false);
    constant[0] = weft_current_task();
    for (int i = 1; i < 3; i++) constant[i] = weft_spawn(churn, NULL);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) threads[i] = thread_start(snapshots, (void *)(intptr_t)ROUNDS(2000));
    for (int i = 0; i < ROUNDS(200); i++) {
        snapshots((void *)1);
        weft_yield();
    }
    for (int i = 0; i < 2; i++) thread_join(threads[i]);
    atomic_store(&churn_ends, true);
    for (int i = 1; i < 3; i++) weft_join(constant[i]);
    return 0;
}
static void test_IN2_MT17_all_tasks(void **state) {
    (void)state;
    weft_task **tasks;
    assert_int_equal(weft_all_tasks(NULL, &tasks), -EPERM);
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, all_tasks, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_CV1_a_task_copies_a_coroutine_shares),
        cmocka_unit_test(test_CV2_B26_callbacks_copy_at_registration),
        cmocka_unit_test(test_L8_a_callback_s_own_context),
        cmocka_unit_test(test_a_thread_s_own_context),
        cmocka_unit_test(test_tokens_and_errors),
        cmocka_unit_test(test_CV4_MT16_follow_the_task),
        cmocka_unit_test(test_IN1_the_current_task),
        cmocka_unit_test(test_IN2_MT17_all_tasks),
    };
    return run_group(tests);
}
