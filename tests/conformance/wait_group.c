/* weft_wait_group: a count to wait for. */
#include "sync_support.h"

static weft_wait_group shared;

static int wait_in_callback(void *arg) { return weft_wait_group_wait(arg); }

static intptr_t misuse(void *arg) {
    weft_wait_group group = WEFT_WAIT_GROUP_INIT;
    (void)arg;
    must_equal(weft_wait_group_wait(&group), 0);
    must_equal(weft_wait_group_done(&group), -EINVAL);
    must_equal(weft_wait_group_add(&group, INT32_MAX), 0);
    must_equal(weft_wait_group_add(&group, 1), -EOVERFLOW);
    must_equal(in_callback(wait_in_callback, &group), -EDEADLK);
    must_equal(weft_wait_group_add(&group, -INT32_MAX), 0);
    must_equal(weft_wait_group_wait(&group), 0);
    must_equal(weft_wait_group_init(&group), 0);
    must_equal(weft_wait_group_init(NULL), -EINVAL);
    must_equal(weft_wait_group_add(NULL, 1), -EINVAL);
    must_equal(weft_wait_group_done(NULL), -EINVAL);
    must_equal(weft_wait_group_wait(NULL), -EINVAL);
    return 0;
}

static void test_misuse(void **state) {
    (void)state;
    on_each_loop(misuse);
}

static intptr_t finishes(void *group) { return weft_wait_group_done(group); }

static void *finishes_on_thread(void *group) {
    must_equal(weft_wait_group_done(group), 0);
    return NULL;
}

/* The group is gone as soon as its waiter goes on. */
static intptr_t waits_for_all(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS(20000); i++) {
        weft_wait_group *group = calloc(1, sizeof *group);
        must_equal(weft_wait_group_add(group, 4), 0);
        for (int j = 0; j < 4; j++) must_equal(weft_go(finishes, group), 0);
        if (i % 2) weft_yield();
        must_equal(weft_wait_group_wait(group), 0);
        free(group);
    }
    weft_wait_group group = WEFT_WAIT_GROUP_INIT;
    must_equal(weft_wait_group_add(&group, 1), 0);
    pthread_t thread = thread_start(finishes_on_thread, &group);
    must_equal(weft_wait_group_wait(&group), 0);
    thread_join(thread);
    return 0;
}

static void test_waits_for_all(void **state) {
    (void)state;
    on_each_loop(waits_for_all);
}

static intptr_t waits(void *result) { return *(int *)result = weft_wait_group_wait(&shared); }

static intptr_t cancelled(void *arg) {
    int result = 1;
    (void)arg;
    must_equal(weft_wait_group_add(&shared, 1), 0);
    weft_task *task = weft_spawn(waits, &result);
    until_arrived(&shared.opaque[GROUP_LAST], 0);
    must(weft_cancel(task));
    must_equal(weft_join(task), -ECANCELED);
    must_equal(shared.opaque[0], 1); /* nobody waits: the last done is a single step, and leaves the group alone */
    return weft_wait_group_done(&shared);
}

static void test_cancelled_waiter(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

static intptr_t canceller(void *task) {
    weft_cancel(task);
    return 0;
}

static intptr_t done_x_cancel(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS(100000); i++) {
        int results[2] = {-ECANCELED, 1};
        must_equal(weft_wait_group_add(&shared, 1), 0);
        weft_task *a = weft_spawn(waits, &results[0]), *b = weft_spawn(waits, &results[1]);
        if (i % 2) weft_yield();
        weft_task *killer = weft_spawn(canceller, a);
        if (i % 3) weft_yield();
        must_equal(weft_wait_group_add(&shared, 1), 0);
        must_equal(weft_wait_group_done(&shared), 0);
        must_equal(weft_wait_group_done(&shared), 0);
        weft_join(killer);
        weft_join(a);
        must_equal(weft_join(b), 0);
        must(results[0] == 0 || results[0] == -ECANCELED);
        must_equal(shared.opaque[0], 0);
    }
    return 0;
}

static void test_done_x_cancel(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, done_x_cancel, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_waits_for_all),
        cmocka_unit_test(test_cancelled_waiter),
        cmocka_unit_test(test_done_x_cancel),
    };
    return run_group(tests);
}
