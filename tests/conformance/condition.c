/* weft_condition: rules CN1 and CN2. */
#include "sync_support.h"

static weft_lock lock = WEFT_LOCK_INIT;
static weft_condition condition = WEFT_CONDITION_INIT(&lock);
static int holders, value; /* lock */

static void hold(void) {
    must(weft_lock_locked(&lock));
    must_equal(holders++, 0);
    must_equal(--holders, 0);
}

/* ---- golden ---- */

static intptr_t golden_waiter(void *arg) {
    char name = (char)(intptr_t)arg;
    weft_lock_acquire(&lock);
    mark2(name, "?");
    weft_condition_wait(&condition);
    mark2(name, "+");
    return weft_lock_release(&lock);
}

static intptr_t golden_condition(void *arg) {
    weft_task *tasks[4];
    (void)arg;
    for (int i = 0; i < 4; i++) tasks[i] = weft_spawn(golden_waiter, (void *)(intptr_t)("abcd"[i]));
    weft_sleep(0);
    weft_lock_acquire(&lock);
    weft_condition_notify(&condition, 2);
    soon("X");
    mark("n2");
    weft_sleep(0);
    mark("held");
    weft_lock_release(&lock);
    mark("free");
    weft_sleep(0);
    mark("m1");
    weft_sleep(0);
    mark("m2");
    weft_lock_acquire(&lock);
    weft_condition_notify_all(&condition);
    mark("all");
    weft_lock_release(&lock);
    weft_sleep(0);
    mark("m3");
    for (int i = 0; i < 4; i++) weft_join(tasks[i]);
    return 0;
}

static void test_CN2_order_as_in_asyncio(void **state) {
    (void)state;
    golden(golden_condition, "a? b? c? d? n2 X held free a+ m1 b+ m2 all c+ d+ m3");
}

/* ---- misuse ---- */

static bool never(void *arg) {
    (void)arg;
    return false;
}

static bool is_positive(void *arg) { return *(int *)arg > 0; }

static int wait_in_callback(void *arg) { return weft_condition_wait(arg); }

static intptr_t condition_misuse(void *arg) {
    weft_condition none = {0};
    (void)arg;
    must_equal(weft_condition_wait(&condition), -EPERM);
    must_equal(weft_condition_wait_for(&condition, never, NULL), -EPERM);
    must_equal(weft_condition_notify(&condition, 1), -EPERM);
    must_equal(weft_condition_notify_all(&condition), -EPERM);
    must_equal(weft_condition_wait(&none), -EINVAL);
    must_equal(weft_condition_wait(NULL), -EINVAL);
    must_equal(weft_condition_notify(NULL, 1), -EINVAL);
    must_equal(weft_condition_init(&none, NULL), -EINVAL);
    must_equal(weft_condition_init(NULL, &lock), -EINVAL);
    must_equal(weft_lock_acquire(&lock), 0);
    must_equal(weft_condition_wait_for(&condition, NULL, NULL), -EINVAL);
    must_equal(weft_condition_notify(&condition, 3), 0); /* nobody waits */
    value = 1;
    must_equal(weft_condition_wait_for(&condition, is_positive, &value), 0);
    must_equal(in_callback(wait_in_callback, &condition), -EDEADLK);
    must(weft_lock_locked(&lock));
    return weft_lock_release(&lock);
}

static void test_CN1_needs_the_lock(void **state) {
    (void)state;
    must_equal(weft_condition_init(&condition, &lock), 0);
    on_each_loop(condition_misuse);
}

/* ---- CN1: holds the lock again, whatever happens ---- */

static intptr_t waits(void *result) {
    must_equal(weft_lock_acquire(&lock), 0);
    int error = weft_condition_wait(&condition);
    hold();
    must_equal(weft_lock_release(&lock), 0);
    return *(int *)result = error;
}

static weft_task *waiting(int *result) {
    uint64_t former = peek(&condition.opaque[CONDITION_LAST]);
    weft_task *task = weft_spawn(waits, result);
    until_arrived(&condition.opaque[CONDITION_LAST], former);
    return task;
}

static intptr_t cancelled(void *arg) {
    int results[3] = {1, 1, 1};
    (void)arg;
    weft_task *a = waiting(&results[0]), *b = waiting(&results[1]), *c = waiting(&results[2]);
    must_equal(weft_lock_acquire(&lock), 0);
    must(weft_cancel(a));
    for (int i = 0; i < 10; i++) weft_yield();
    must(!weft_done(a)); /* it cannot have the lock yet */
    must(weft_cancel(a)); /* and while it takes it again it cannot be cancelled */
    must_equal(weft_lock_release(&lock), 0);
    weft_join(a);
    must_equal(results[0], -ECANCELED);
    must_equal(weft_lock_acquire(&lock), 0);
    must_equal(weft_condition_notify(&condition, 1), 0);
    must(weft_cancel(b)); /* the notification came first: it is not lost */
    must_equal(weft_lock_release(&lock), 0);
    weft_join(b);
    must_equal(results[1], 0);
    must(!weft_done(c));
    must_equal(weft_lock_acquire(&lock), 0);
    must_equal(weft_condition_notify(&condition, 1), 0);
    must_equal(weft_lock_release(&lock), 0);
    must_equal(weft_join(c), 0);
    return 0;
}

static void test_CN1_cancelled(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

/* CN2: at most n, in order. */
#define WAITERS 9
static int order[WAITERS], woken;

static intptr_t waits_in_order(void *arg) {
    must_equal(weft_lock_acquire(&lock), 0);
    must_equal(weft_condition_wait(&condition), 0);
    hold();
    order[woken++] = (int)(intptr_t)arg;
    return weft_lock_release(&lock);
}

static void notified(size_t count, int expected) {
    must_equal(weft_lock_acquire(&lock), 0);
    if (count == SIZE_MAX) must_equal(weft_condition_notify_all(&condition), 0);
    else must_equal(weft_condition_notify(&condition, count), 0);
    must_equal(weft_lock_release(&lock), 0);
    for (int seen = -1; seen != expected;) {
        weft_yield();
        must_equal(weft_lock_acquire(&lock), 0);
        seen = woken;
        must_equal(weft_lock_release(&lock), 0);
        must(seen <= expected);
    }
}

static intptr_t in_order(void *arg) {
    struct party parties[WAITERS];
    bool strict = arg;
    for (int round = 0; round < 20; round++) {
        woken = 0;
        for (int i = 0; i < WAITERS; i++) {
            uint64_t former = peek(&condition.opaque[CONDITION_LAST]);
            party_start(&parties[i], !strict && i % 4 == 3, waits_in_order, (void *)(intptr_t)i);
            until_arrived(&condition.opaque[CONDITION_LAST], former);
        }
        for (int i = 1; i <= 3; i++) notified(1, i);
        notified(2, 5);
        notified(0, 5);
        notified(SIZE_MAX, WAITERS);
        for (int i = 0; i < WAITERS; i++) must_equal(party_join(&parties[i]), 0);
        for (int i = 0; i < 3; i++) must_equal(order[i], i);
        must_equal(order[3] + order[4], 3 + 4); /* woken together, they may race for the lock */
    }
    return 0;
}

static void test_CN2_notifies_in_order(void **state) {
    (void)state;
    assert_int_equal(run_on(0, in_order, &lock), 0);
    for (unsigned workers = 1; workers <= 4; workers *= 2) assert_int_equal(run_on(workers, in_order, NULL), 0);
}

/* ---- stress: notify x cancel; a notification is used or still there for the next ---- */

static intptr_t consumes(void *result) {
    if (weft_lock_acquire(&lock)) return *(int *)result = -ECANCELED;
    int error = weft_condition_wait_for(&condition, is_positive, &value);
    hold();
    if (!error) value--;
    must_equal(weft_lock_release(&lock), 0);
    return *(int *)result = error;
}

static intptr_t canceller(void *task) {
    weft_cancel(task);
    return 0;
}

static intptr_t notify_x_cancel(void *arg) {
    (void)arg;
    value = 0;
    for (int i = 0; i < ROUNDS(100000); i++) {
        int first = -ECANCELED, second = 1;
        weft_task *a = weft_spawn(consumes, &first), *b = weft_spawn(consumes, &second);
        if (i % 2) weft_yield();
        weft_task *killer = weft_spawn(canceller, a);
        must_equal(weft_lock_acquire(&lock), 0);
        value++;
        must_equal(weft_condition_notify(&condition, 1), 0);
        must_equal(weft_lock_release(&lock), 0);
        weft_join(killer);
        /* `a` may have the item, or `b`; the other one needs another. */
        must_equal(weft_lock_acquire(&lock), 0);
        value++;
        must_equal(weft_condition_notify_all(&condition), 0);
        must_equal(weft_lock_release(&lock), 0);
        weft_join(a);
        must_equal(weft_join(b), 0);
        must(first == 0 || first == -ECANCELED);
        must_equal(value, first == 0 ? 0 : 1);
        value = 0;
    }
    return 0;
}

static void test_notify_x_cancel(void **state) {
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++)
        assert_int_equal(run_on(workers, notify_x_cancel, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_CN2_order_as_in_asyncio), cmocka_unit_test(test_CN1_needs_the_lock),
        cmocka_unit_test(test_CN1_cancelled),           cmocka_unit_test(test_CN2_notifies_in_order),
        cmocka_unit_test(test_notify_x_cancel),
    };
    return run_group(tests);
}
