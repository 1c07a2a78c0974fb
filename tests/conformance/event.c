/* weft_event: rule EV1. */
#include "sync_support.h"

static weft_event event;
static _Atomic long woken;

static intptr_t waits(void *arg) {
    (void)arg;
    int error = weft_event_wait(&event);
    if (!error) atomic_fetch_add(&woken, 1);
    return error;
}

/* ---- EV1: all who wait now, even if clear follows at once ---- */

#define WAITERS 12
static intptr_t set_then_clear(void *arg) {
    struct party parties[WAITERS];
    (void)arg;
    for (int round = 0; round < 50; round++) {
        atomic_store(&woken, 0);
        for (int i = 0; i < WAITERS; i++) {
            uint64_t former = peek(&event.opaque[EVENT_LAST]);
            party_start(&parties[i], i % 4 == 3, waits, NULL);
            until_arrived(&event.opaque[EVENT_LAST], former);
        }
        must_equal(weft_event_set(&event), 0);
        must_equal(weft_event_clear(&event), 0);
        must(!weft_event_is_set(&event));
        for (int i = 0; i < WAITERS; i++) must_equal(party_join(&parties[i]), 0);
        must_equal(atomic_load(&woken), WAITERS);
    }
    return 0;
}

static void test_EV1_set_wakes_all(void **state) {
    (void)state;
    must_equal(weft_event_init(&event), 0);
    on_each_loop(set_then_clear);
}

static intptr_t golden_waiter(void *name) {
    weft_event_wait(&event);
    mark2((char)(intptr_t)name, weft_event_is_set(&event) ? "1" : "0");
    return 0;
}

static intptr_t golden_event(void *arg) {
    weft_task *tasks[3];
    (void)arg;
    for (int i = 0; i < 3; i++) tasks[i] = weft_spawn(golden_waiter, (void *)(intptr_t)("abc"[i]));
    weft_sleep(0);
    weft_event_set(&event);
    soon("X");
    weft_event_clear(&event);
    mark("m");
    weft_sleep(0);
    mark("m1");
    for (int i = 0; i < 3; i++) weft_join(tasks[i]);
    return 0;
}

static void test_EV1_order_as_in_asyncio(void **state) {
    (void)state;
    golden(golden_event, "m a0 b0 c0 X m1");
}

static intptr_t adds_one(void *arg) {
    (*(int *)arg)++;
    return 0;
}

static int wait_in_callback(void *arg) { return weft_event_wait(arg); }

static intptr_t set_already(void *arg) {
    int ran = 0;
    (void)arg;
    weft_task *other = weft_spawn(adds_one, &ran);
    must_equal(weft_event_set(&event), 0);
    must_equal(weft_event_set(&event), 0);
    for (int i = 0; i < 1000; i++) must_equal(weft_event_wait(&event), 0);
    must_equal(ran, 0);
    must_equal(weft_join(other), 0);
    must_equal(in_callback(wait_in_callback, &event), 0);
    must_equal(weft_event_clear(&event), 0);
    must_equal(in_callback(wait_in_callback, &event), -EDEADLK);
    must_equal(weft_event_init(NULL), -EINVAL);
    must_equal(weft_event_wait(NULL), -EINVAL);
    must_equal(weft_event_set(NULL), -EINVAL);
    must_equal(weft_event_clear(NULL), -EINVAL);
    must(!weft_event_is_set(NULL));
    return 0;
}

static void test_EV1_set_event_does_not_yield(void **state) {
    (void)state;
    assert_int_equal(run_on(0, set_already, NULL), 0);
}

/* ---- cancellation ---- */

static intptr_t cancelled(void *arg) {
    (void)arg;
    weft_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        uint64_t former = peek(&event.opaque[EVENT_LAST]);
        tasks[i] = weft_spawn(waits, NULL);
        until_arrived(&event.opaque[EVENT_LAST], former);
    }
    must(weft_cancel(tasks[1]));
    must_equal(weft_join(tasks[1]), -ECANCELED);
    must_equal(weft_event_set(&event), 0);
    must_equal(weft_join(tasks[0]), 0);
    must_equal(weft_join(tasks[2]), 0);
    must_equal(weft_event_clear(&event), 0);
    tasks[0] = weft_spawn(waits, NULL);
    until_arrived(&event.opaque[EVENT_LAST], 0);
    must(weft_cancel(tasks[0])); /* the last one: the event is as new */
    must_equal(weft_join(tasks[0]), -ECANCELED);
    must_equal(event.opaque[0], 0);
    return 0;
}

static void test_cancelled_waiter(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

/* ---- stress: set x wait x clear x cancel; what was written before set is seen after wait ---- */

static int written;

static intptr_t sees(void *arg) {
    int error = weft_event_wait(&event);
    if (!error) must_equal(written, *(int *)arg);
    return 0;
}

static intptr_t sets(void *arg) {
    written = *(int *)arg;
    return weft_event_set(&event);
}

static intptr_t set_x_wait(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS(100000); i++) {
        weft_task *tasks[3] = {weft_spawn(sees, &i), weft_spawn(sets, &i), weft_spawn(sees, &i)};
        if (i % 2) weft_yield();
        if (i % 3 == 0) weft_cancel(tasks[0]);
        for (int j = 0; j < 3; j++) {
            intptr_t result = weft_join(tasks[j]);
            must(result == 0 || (j == 0 && result == -ECANCELED));
        }
        must_equal(event.opaque[EVENT_LAST], 0);
        weft_event_clear(&event);
    }
    return 0;
}

static void test_set_x_wait(void **state) {
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) assert_int_equal(run_on(workers, set_x_wait, NULL), 0);
}

static void *sets_on_thread(void *arg) {
    for (int i = 0; i < ROUNDS(100000); i++) {
        weft_event_set(arg);
        weft_event_clear(arg);
    }
    weft_event_set(arg);
    return NULL;
}

static intptr_t waits_often(void *arg) {
    for (int i = 0; i < ROUNDS(20000); i++) must_equal(weft_event_wait(arg), 0);
    return 0;
}

static intptr_t set_and_clear(void *arg) {
    (void)arg;
    struct party parties[6];
    pthread_t thread = thread_start(sets_on_thread, &event);
    for (int i = 0; i < 6; i++) party_start(&parties[i], i == 5, waits_often, &event);
    for (int i = 0; i < 6; i++) must_equal(party_join(&parties[i]), 0);
    thread_join(thread);
    return weft_event_clear(&event);
}

static void test_MT20_set_and_clear(void **state) {
    (void)state;
    on_each_loop(set_and_clear);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_EV1_set_wakes_all),
        cmocka_unit_test(test_EV1_order_as_in_asyncio),
        cmocka_unit_test(test_EV1_set_event_does_not_yield),
        cmocka_unit_test(test_cancelled_waiter),
        cmocka_unit_test(test_set_x_wait),
        cmocka_unit_test(test_MT20_set_and_clear),
    };
    return run_group(tests);
}
