/* weft_semaphore: rules SM1 and MT20. */
#include "sync_support.h"

static weft_semaphore semaphore;
static _Atomic long inside;

/* ---- SM1 ---- */

static int acquire_in_callback(void *arg) { return weft_semaphore_acquire(arg); }

static intptr_t values(void *arg) {
    weft_semaphore one = WEFT_SEMAPHORE_INIT(1), bounded = WEFT_BOUNDED_SEMAPHORE_INIT(2), zero;
    (void)arg;
    must_equal(weft_semaphore_init(&semaphore, -1), -EINVAL);
    must_equal(weft_bounded_semaphore_init(&semaphore, -1), -EINVAL);
    must_equal(weft_semaphore_init(NULL, 1), -EINVAL);
    must_equal(weft_semaphore_init(&zero, 0), 0);
    must(weft_semaphore_locked(&zero) && !weft_semaphore_locked(&one));
    must_equal(weft_semaphore_try_acquire(&zero), -EAGAIN);
    must_equal(in_callback(acquire_in_callback, &zero), -EDEADLK);
    must_equal(weft_semaphore_release(&zero), 0);
    must_equal(in_callback(acquire_in_callback, &zero), 0);
    must_equal(weft_semaphore_release(&bounded), -EOVERFLOW);
    must_equal(weft_semaphore_acquire(&bounded), 0);
    must_equal(weft_semaphore_try_acquire(&bounded), 0);
    must_equal(weft_semaphore_try_acquire(&bounded), -EAGAIN);
    must_equal(weft_semaphore_release(&bounded), 0);
    must_equal(weft_semaphore_release(&bounded), 0);
    must_equal(weft_semaphore_release(&bounded), -EOVERFLOW);
    must_equal(weft_bounded_semaphore_init(&bounded, 0), 0);
    must_equal(weft_semaphore_release(&bounded), -EOVERFLOW);
    must_equal(weft_semaphore_release(&one), 0); /* unbounded */
    must_equal(weft_semaphore_init(&one, INT32_MAX), 0);
    must_equal(weft_semaphore_release(&one), -EOVERFLOW);
    must_equal(weft_semaphore_acquire(NULL), -EINVAL);
    must_equal(weft_semaphore_try_acquire(NULL), -EINVAL);
    must_equal(weft_semaphore_release(NULL), -EINVAL);
    must(!weft_semaphore_locked(NULL));
    return 0;
}

static void test_SM1_values(void **state) {
    (void)state;
    on_each_loop(values);
}

static intptr_t golden_party(void *arg) {
    char name = (char)(intptr_t)arg;
    mark2(name, "?");
    weft_semaphore_acquire(&semaphore);
    mark2(name, "+");
    weft_sleep(0);
    weft_semaphore_release(&semaphore);
    mark2(name, "-");
    return 0;
}

static intptr_t golden_semaphore(void *arg) {
    weft_task *tasks[5];
    (void)arg;
    must_equal(weft_semaphore_init(&semaphore, 2), 0);
    for (int i = 0; i < 5; i++) tasks[i] = weft_spawn(golden_party, (void *)(intptr_t)("abcde"[i]));
    for (int i = 0; i < 5; i++) weft_join(tasks[i]);
    return 0;
}

static void test_order_as_in_asyncio(void **state) {
    (void)state;
    golden(golden_semaphore, "a? a+ b? b+ c? d? e? a- b- c+ d+ c- d- e+ e-");
}

/* ---- first come, first served ---- */

#define WAITERS 12
static int order[WAITERS];
static _Atomic long entered;

static intptr_t takes_its_turn(void *arg) {
    must_equal(weft_semaphore_acquire(&semaphore), 0);
    order[atomic_fetch_add(&entered, 1)] = (int)(intptr_t)arg;
    return weft_semaphore_release(&semaphore);
}

static intptr_t in_line(void *arg) {
    struct party parties[WAITERS];
    (void)arg;
    must_equal(weft_semaphore_init(&semaphore, 0), 0);
    for (int round = 0; round < 50; round++) {
        atomic_store(&entered, 0);
        for (int i = 0; i < WAITERS; i++) {
            uint64_t former = peek(&semaphore.opaque[SEMAPHORE_LAST]);
            party_start(&parties[i], i % 4 == 3, takes_its_turn, (void *)(intptr_t)i);
            until_arrived(&semaphore.opaque[SEMAPHORE_LAST], former);
        }
        must_equal(weft_semaphore_release(&semaphore), 0);
        for (int i = 0; i < WAITERS; i++) must_equal(party_join(&parties[i]), 0);
        for (int i = 0; i < WAITERS; i++) must_equal(order[i], i);
        must_equal(weft_semaphore_try_acquire(&semaphore), 0);
    }
    return 0;
}

static void test_MT20_request_order(void **state) {
    (void)state;
    on_each_loop(in_line);
}

/* ---- cancellation ---- */

static intptr_t acquires(void *result) { return *(int *)result = weft_semaphore_acquire(&semaphore); }

static intptr_t canceller(void *task) {
    weft_cancel(task);
    return 0;
}

/* A release races with a cancel: the permit is the waiter's or still there, never lost. */
static intptr_t release_x_cancel(void *arg) {
    (void)arg;
    must_equal(weft_semaphore_init(&semaphore, 0), 0);
    for (int i = 0; i < ROUNDS(100000); i++) {
        int result = -ECANCELED;
        weft_task *waiter = weft_spawn(acquires, &result);
        if (i % 2) weft_yield();
        weft_task *killer = weft_spawn(canceller, waiter);
        if (i % 3) weft_yield();
        must_equal(weft_semaphore_release(&semaphore), 0);
        weft_join(killer);
        weft_join(waiter);
        must(result == 0 || result == -ECANCELED);
        must_equal(weft_semaphore_try_acquire(&semaphore), result == 0 ? -EAGAIN : 0);
    }
    return 0;
}

static void test_release_x_cancel(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, release_x_cancel, NULL), 0);
}

static intptr_t cancelled(void *arg) {
    int result = 1;
    (void)arg;
    must_equal(weft_semaphore_init(&semaphore, 0), 0);
    weft_task *task = weft_spawn(acquires, &result);
    until_arrived(&semaphore.opaque[SEMAPHORE_LAST], 0);
    must(weft_cancel(task));
    must_equal(weft_join(task), -ECANCELED);
    must_equal(semaphore.opaque[0], 0); /* nobody waits */
    must_equal(weft_semaphore_release(&semaphore), 0);
    return weft_semaphore_try_acquire(&semaphore);
}

static void test_cancelled_waiter(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

static intptr_t granted_then_cancelled(void *arg) {
    int result = 1;
    (void)arg;
    must_equal(weft_semaphore_init(&semaphore, 0), 0);
    weft_task *task = weft_spawn(acquires, &result);
    until_arrived(&semaphore.opaque[SEMAPHORE_LAST], 0);
    must_equal(weft_semaphore_release(&semaphore), 0);
    weft_cancel(task);
    weft_join(task);
    must_equal(result, 0);
    must(weft_semaphore_locked(&semaphore));
    return 0;
}

static void test_grant_before_cancel(void **state) {
    (void)state;
    on_each_loop(granted_then_cancelled);
}

/* ---- MT20: never more inside than permits, none lost, with cancels ---- */

#define PERMITS 3
#define PARTIES 16
static intptr_t works(void *arg) {
    for (int i = 0; i < ROUNDS(20000); i++) {
        if (weft_semaphore_acquire(&semaphore)) continue;
        must(atomic_fetch_add(&inside, 1) < PERMITS);
        if (i % 5 == 0) weft_yield();
        atomic_fetch_sub(&inside, 1);
        must_equal(weft_semaphore_release(&semaphore), 0);
    }
    return (intptr_t)arg;
}

static intptr_t many(void *arg) {
    struct party parties[PARTIES];
    (void)arg;
    must_equal(weft_bounded_semaphore_init(&semaphore, PERMITS), 0);
    for (int i = 0; i < PARTIES; i++) party_start(&parties[i], i % 8 == 7, works, NULL);
    for (int i = 0; i < 1000; i++) {
        weft_cancel(parties[i % 6].task);
        weft_yield();
    }
    for (int i = 0; i < PARTIES; i++) party_join(&parties[i]);
    for (int i = 0; i < PERMITS; i++) must_equal(weft_semaphore_try_acquire(&semaphore), 0);
    must_equal(weft_semaphore_try_acquire(&semaphore), -EAGAIN);
    return 0;
}

static void test_MT20_permits(void **state) {
    (void)state;
    on_each_loop(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_SM1_values),          cmocka_unit_test(test_order_as_in_asyncio),
        cmocka_unit_test(test_MT20_request_order),  cmocka_unit_test(test_release_x_cancel),
        cmocka_unit_test(test_cancelled_waiter),    cmocka_unit_test(test_grant_before_cancel),
        cmocka_unit_test(test_MT20_permits),
    };
    return run_group(tests);
}
