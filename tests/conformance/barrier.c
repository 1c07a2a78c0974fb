/* weft_barrier: rule BR1. */
#include "sync_support.h"

static weft_barrier barrier;

static intptr_t golden_party(void *arg) {
    for (int round = 0; round < 2; round++) {
        char index[] = {(char)('0' + weft_barrier_wait(&barrier)), 0};
        mark2((char)(intptr_t)arg, index);
    }
    return 0;
}

static intptr_t golden_barrier(void *arg) {
    weft_task *tasks[3];
    (void)arg;
    must_equal(weft_barrier_init(&barrier, 3), 0);
    for (int i = 0; i < 3; i++) tasks[i] = weft_spawn(golden_party, (void *)(intptr_t)("abc"[i]));
    for (int i = 0; i < 3; i++) weft_join(tasks[i]);
    return 0;
}

/* The indices are CPython's; so is the order, but for who arrives while the barrier "drains": there `c`, which
 * runs on first, is put last in the second round, here it is first to arrive. */
static void test_BR1_order(void **state) {
    (void)state;
    golden(golden_barrier, "c2 a0 b1 b2 c0 a1");
}

#define PARTIES 5
static _Atomic long seen[PARTIES], arrivals;

static intptr_t rounds(void *arg) {
    for (int i = 0; i < ROUNDS(20000); i++) {
        long before = atomic_fetch_add(&arrivals, 1);
        must(before / PARTIES == i); /* nobody is ahead by a round */
        int index = weft_barrier_wait(&barrier);
        must(index >= 0 && index < PARTIES);
        must(atomic_load(&arrivals) >= (i + 1) * PARTIES);
        atomic_fetch_add(&seen[index], 1);
    }
    return (intptr_t)arg;
}

static intptr_t together(void *arg) {
    struct party parties[PARTIES];
    (void)arg;
    must_equal(weft_barrier_init(&barrier, PARTIES), 0);
    atomic_store(&arrivals, 0);
    for (int i = 0; i < PARTIES; i++) atomic_store(&seen[i], 0);
    for (int i = 0; i < PARTIES; i++) party_start(&parties[i], i == 4, rounds, NULL);
    for (int i = 0; i < PARTIES; i++) must_equal(party_join(&parties[i]), 0);
    for (int i = 0; i < PARTIES; i++) must_equal(atomic_load(&seen[i]), ROUNDS(20000)); /* distinct indices */
    must_equal(weft_barrier_waiting(&barrier), 0);
    return 0;
}

static void test_BR1_distinct_indices(void **state) {
    (void)state;
    assert_int_equal(run_on(0, together, NULL), 0);
    assert_int_equal(run_on(2, together, NULL), 0);
}

static intptr_t waits(void *outcome) { return *(int *)outcome = weft_barrier_wait(&barrier); }

static void until_waiting(int count) {
    while (weft_barrier_waiting(&barrier) != count) weft_yield();
}

static int wait_in_callback(void *arg) { return weft_barrier_wait(arg); }

static intptr_t misuse(void *arg) {
    weft_barrier one = WEFT_BARRIER_INIT(1);
    (void)arg;
    must_equal(weft_barrier_init(&barrier, 0), -EINVAL);
    must_equal(weft_barrier_init(NULL, 1), -EINVAL);
    must_equal(weft_barrier_wait(NULL), -EINVAL);
    must_equal(weft_barrier_reset(NULL), -EINVAL);
    must_equal(weft_barrier_abort(NULL), -EINVAL);
    must_equal(weft_barrier_waiting(NULL), -EINVAL);
    must_equal(weft_barrier_wait(&one), 0);
    must_equal(in_callback(wait_in_callback, &one), 0);
    must_equal(weft_barrier_init(&one, 2), 0);
    must_equal(in_callback(wait_in_callback, &one), -EDEADLK);
    must_equal(weft_barrier_waiting(&one), 0);
    return 0;
}

static void test_misuse(void **state) {
    (void)state;
    on_each_loop(misuse);
}

/* A cancelled waiter is uncounted, and leaves no gap among the indices. */
static intptr_t cancelled(void *arg) {
    int outcomes[4] = {-1, -1, -1, -1};
    weft_task *tasks[4];
    (void)arg;
    must_equal(weft_barrier_init(&barrier, 3), 0);
    for (int i = 0; i < 2; i++) {
        tasks[i] = weft_spawn(waits, &outcomes[i]);
        until_waiting(i + 1);
    }
    must(weft_cancel(tasks[0]));
    must_equal(weft_join(tasks[0]), -ECANCELED);
    must_equal(weft_barrier_waiting(&barrier), 1);
    tasks[2] = weft_spawn(waits, &outcomes[2]);
    until_waiting(2);
    must_equal(weft_barrier_wait(&barrier), 2);
    must(weft_cancel(tasks[2]) || weft_done(tasks[2])); /* too late: it was released */
    weft_join(tasks[1]);
    weft_join(tasks[2]);
    must(outcomes[1] == 0 && outcomes[2] == 1);
    return 0;
}

static void test_BR1_cancelled_waiter_is_uncounted(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

static intptr_t breaks(void *arg) {
    int outcomes[2] = {0, 0};
    struct party parties[2];
    (void)arg;
    must_equal(weft_barrier_init(&barrier, 3), 0);
    for (int reset = 0; reset <= 1; reset++) {
        for (int i = 0; i < 2; i++) party_start(&parties[i], i, waits, &outcomes[i]);
        until_waiting(2);
        must_equal(reset ? weft_barrier_reset(&barrier) : weft_barrier_abort(&barrier), 0);
        for (int i = 0; i < 2; i++) must_equal(party_join(&parties[i]), -ENOTRECOVERABLE);
        must_equal(weft_barrier_broken(&barrier), !reset);
        if (!reset) must_equal(weft_barrier_wait(&barrier), -ENOTRECOVERABLE);
        must_equal(weft_barrier_reset(&barrier), 0);
        must(!weft_barrier_broken(&barrier));
    }
    return 0;
}

static void test_BR1_abort_and_reset(void **state) {
    (void)state;
    on_each_loop(breaks);
}

/* The last arrival races with the cancellation of another: both or none. */
static intptr_t canceller(void *task) {
    weft_cancel(task);
    return 0;
}

static intptr_t arrive_x_cancel(void *arg) {
    (void)arg;
    must_equal(weft_barrier_init(&barrier, 3), 0);
    for (int i = 0; i < ROUNDS(100000); i++) {
        int outcomes[3] = {-ECANCELED, -1, -1};
        weft_task *tasks[3];
        for (int j = 0; j < 3; j++) tasks[j] = weft_spawn(waits, &outcomes[j]);
        if (i % 2) weft_yield();
        weft_task *killer = weft_spawn(canceller, tasks[0]);
        weft_join(killer);
        weft_join(tasks[0]);
        if (outcomes[0] == -ECANCELED) must(weft_barrier_wait(&barrier) >= 0);
        weft_join(tasks[1]);
        weft_join(tasks[2]);
        int sum = outcomes[1] + outcomes[2] + outcomes[0];
        if (outcomes[0] >= 0) must_equal(sum, 3);
        must(outcomes[1] >= 0 && outcomes[2] >= 0 && outcomes[1] != outcomes[2]);
        must_equal(weft_barrier_waiting(&barrier), 0);
    }
    return 0;
}

static void test_arrive_x_cancel(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, arrive_x_cancel, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_BR1_order),
        cmocka_unit_test(test_BR1_distinct_indices),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_BR1_cancelled_waiter_is_uncounted),
        cmocka_unit_test(test_BR1_abort_and_reset),
        cmocka_unit_test(test_arrive_x_cancel),
    };
    return run_group(tests);
}
