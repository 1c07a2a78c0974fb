/* Fork-join of CPU work: results on every kind of loop, joins out of order, calls that suspend, cancelled
 * callers, and that two workers share. */
#include "api_support.h"

static intptr_t fib(void *arg) {
    intptr_t n = (intptr_t)arg;
    if (n < 2) return n;
    weft_parallel call;
    must_equal(weft_parallel_start(&call, fib, (void *)(n - 1)), 0);
    intptr_t b = fib((void *)(n - 2));
    return weft_parallel_join(&call) + b;
}

static void test_fib(void **state) {
    (void)state;
    static const intptr_t expected[] = {6765, 10946, 17711, 28657, 46368, 75025};
    int most = ROUNDS(6) < 3 ? 3 : 6; /* 20 to 25, less under sanitizers */
    for (int i = 0; i < most; i++) {
        void *n = (void *)(intptr_t)(20 + i);
        assert_int_equal(fib(n), expected[i]); /* no loop: plain calls */
        for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
            assert_int_equal(run_on(workers, fib, n), expected[i]);
    }
}

/* Joined in the order of starting, the wrong way round: slower, never wrong. */
static intptr_t square(void *arg) { return (intptr_t)arg * (intptr_t)arg; }
static intptr_t out_of_order(void *arg) {
    weft_parallel calls[50];
    intptr_t sum = 0;
    (void)arg;
    for (intptr_t i = 0; i < 50; i++) must_equal(weft_parallel_start(&calls[i], square, (void *)i), 0);
    for (int i = 0; i < 50; i++) sum += weft_parallel_join(&calls[i]);
    return sum;
}

static void test_out_of_order(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(200); i++)
        for (unsigned workers = 0; workers <= 2; workers++)
            assert_int_equal(run_on(workers, out_of_order, NULL), 40425);
}

/* Calls that await, sleep and fail; errors come out of join. */
static intptr_t suspends(void *arg) {
    intptr_t n = (intptr_t)arg;
    must_equal(weft_sleep(n % 3 ? WEFT_US(n) : 0), 0);
    weft_task *task = weft_spawn(square, arg);
    must_equal(weft_yield(), 0);
    intptr_t result = weft_join(task);
    return n % 5 == 0 ? -EIO : result;
}

static intptr_t suspending(void *arg) {
    weft_parallel calls[20];
    (void)arg;
    for (intptr_t i = 0; i < 20; i++) must_equal(weft_parallel_start(&calls[i], suspends, (void *)i), 0);
    must_equal(weft_sleep(WEFT_US(100)), 0); /* somebody else may take them meanwhile */
    for (intptr_t i = 20; i-- > 0;) must_equal(weft_parallel_join(&calls[i]), i % 5 == 0 ? -EIO : i * i);
    return 0;
}

static void test_suspending(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(100); i++)
        for (unsigned workers = 0; workers <= 4; workers += 2)
            assert_int_equal(run_on(workers, suspending, NULL), 0);
}

/* Joining is no cancellation point: a cancelled caller gets its results, and the request afterwards. */
static intptr_t cancelled_caller(void *arg) {
    weft_parallel calls[4];
    (void)arg;
    weft_cancel(weft_current_task());
    for (intptr_t i = 0; i < 4; i++) must_equal(weft_parallel_start(&calls[i], square, (void *)i), 0);
    for (int i = 0; i < 4; i++) must_equal(weft_parallel_join(&calls[i]), i * i); /* out of order: suspends */
    must_equal(weft_sleep(WEFT_SEC(10)), -ECANCELED);
    return 3;
}

static intptr_t cancelled_in_flight(void *arg) {
    intptr_t r = fib(arg);
    return r == 610 ? 0 : -EIO;
}

static intptr_t cancelling(void *arg) {
    (void)arg;
    must_equal(weft_join(weft_spawn(cancelled_caller, NULL)), 3);
    weft_task *task = weft_spawn(cancelled_in_flight, (void *)15);
    must_equal(weft_yield(), 0);
    bool accepted = weft_cancel(task);
    intptr_t r = weft_join(task);
    must(r == 0 || (accepted && r == -ECANCELED));
    return 0;
}

static void test_cancelled(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(300); i++)
        for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, cancelling, NULL), 0);
}

/* A run that ends in the middle of forks and joins: whoever was taken by a thief is waited for. */
static intptr_t forks_for_ever(void *arg) {
    (void)arg;
    while (weft_sleep(0) == 0) must_equal(fib((void *)5), 5);
    must_equal(fib((void *)10), 55);
    return 0;
}

static intptr_t ends_in_the_middle(void *arg) {
    for (int i = 0; i < 3; i++) must_equal(weft_go(forks_for_ever, arg), 0);
    for (int i = 0; i < (int)(intptr_t)arg % 20; i++) must_equal(weft_yield(), 0);
    return 1;
}

static void test_ends_in_the_middle(void **state) {
    (void)state;
    for (intptr_t i = 0; i < ROUNDS(300); i++)
        assert_int_equal(run_on(2 + (unsigned)i % 3, ends_in_the_middle, (void *)i), 1);
}

/* An uneven load, one call after the other on one worker: the other takes some. */
static intptr_t spins(void *arg) {
    (void)arg;
    int64_t until = weft_time() + WEFT_US(100);
    while (weft_time() < until) {}
    return 1;
}

static intptr_t uneven(void *arg) {
    weft_stats stats;
    (void)arg;
    for (int tries = 0; tries < 100; tries++) {
        weft_parallel calls[64];
        for (int i = 0; i < 64; i++) must_equal(weft_parallel_start(&calls[i], spins, NULL), 0);
        for (int i = 64; i-- > 0;) must_equal(weft_parallel_join(&calls[i]), 1);
        must_equal(weft_stats_get(&stats), 0);
        if (stats.steals > 0) return 1;
    }
    return 0;
}

static void test_shared(void **state) {
    (void)state;
    assert_int_equal(run_on(2, uneven, NULL), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fib),        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_suspending), cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_shared),     cmocka_unit_test(test_ends_in_the_middle),
    };
    return run_group(tests);
}
