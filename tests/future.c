/* Futures: rules F1 to F4, F8, F9, T7; completed by plain threads, awaited by tasks and by threads; and the
 * races MT4 (three completers, one wins) and MT5 (a completion against an awaiter who is just suspending). */
#include "api_support.h"

/* F1, F2, F4 */
static void test_life(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    assert_false(weft_done(future) || weft_cancelled(future));
    assert_int_equal(weft_result(future), -EINPROGRESS);
    assert_int_equal(weft_future_set_result(future, 42), 0);
    assert_true(weft_done(future));
    assert_false(weft_cancelled(future));
    assert_int_equal(weft_result(future), 42);
    assert_int_equal(weft_exception(future), 0);
    assert_int_equal(weft_future_set_exception(future, -EIO), -EALREADY);
    assert_int_equal(weft_join(future), 42);

    future = weft_future_new();
    assert_int_equal(weft_future_set_exception(future, -EIO), 0);
    assert_int_equal(weft_result(future), -EIO);
    assert_int_equal(weft_exception(future), -EIO);
    assert_int_equal(weft_await(future), -EIO);
    assert_int_equal(weft_wait_blocking(future, 0), -EIO);
    weft_release(future);

    future = weft_future_new(); /* -ECANCELED set as an error is an error, not a cancellation */
    assert_int_equal(weft_future_set_exception(future, -ECANCELED), 0);
    assert_false(weft_cancelled(future));
    assert_int_equal(weft_join(future), -ECANCELED);
}

/* F3, F4 */
static void test_cancel(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    assert_true(weft_cancel(future));
    assert_true(weft_done(future) && weft_cancelled(future));
    assert_int_equal(weft_result(future), -ECANCELED);
    assert_int_equal(weft_exception(future), -ECANCELED);
    assert_false(weft_cancel(future));
    assert_int_equal(weft_future_set_result(future, 1), -EALREADY);
    assert_true(weft_cancelled(future));
    assert_int_equal(weft_join(future), -ECANCELED);
}

/* F9: a finished one costs no turn. (On runtimes the budget may make one now and then.) */
weft_async(finished_ones) {
    weft_stats before, after;
    weft_future *future = weft_future_new();
    weft_future_set_result(future, 1);
    must_equal(weft_stats_get(&before), 0);
    for (int i = 0; i < 1000; i++) must_equal(weft_await(future), 1);
    must_equal(weft_stats_get(&after), 0);
    must_equal(after.switches, before.switches);
    return weft_join(future);
}

static void test_finished(void **state) {
    (void)state;
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, finished_ones()), 1);
}

/* ---- completed by a thread, awaited by tasks and threads ---- */

static void *complete_in_thread(void *future) {
    must_equal(weft_future_set_result(future, 99), 0);
    return NULL;
}

static void *await_in_thread(void *future) { return (void *)weft_await(future); }
static intptr_t await_in_task(void *future) { return weft_await(future); }

static intptr_t mixed(void *arg) {
    (void)arg;
    weft_future *future = weft_future_new();
    weft_task *tasks[10];
    pthread_t threads[5];
    for (int i = 0; i < 10; i++) tasks[i] = weft_spawn(await_in_task, future);
    for (int i = 0; i < 5; i++) threads[i] = thread_start(await_in_thread, future);
    must_equal(weft_sleep(0), 0);
    pthread_t completer = thread_start(complete_in_thread, future);
    for (int i = 0; i < 10; i++) must_equal(weft_join(tasks[i]), 99);
    for (int i = 0; i < 5; i++) must_equal((intptr_t)thread_join(threads[i]), 99);
    thread_join(completer);
    must_equal(weft_await(future), 99);
    weft_release(future);
    return 0;
}

static void test_mixed(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(100); i++)
        for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, mixed, NULL), 0);
}

/* A future outlives the runtime that made it, and waits for the next. */
static intptr_t make(void *future) {
    *(weft_future **)future = weft_future_new();
    return 0;
}

static void test_outlives(void **state) {
    (void)state;
    weft_future *future = NULL;
    assert_int_equal(weft_run_fn(make, &future), 0);
    assert_int_equal(weft_result(future), -EINPROGRESS);
    pthread_t thread = thread_start(complete_in_thread, future);
    assert_int_equal(weft_run_fn(await_in_task, future), 99);
    thread_join(thread);
    weft_release(future);
}

/* weft_wait_blocking gives up in time, cancels nothing, and can be called again. */
static void test_wait_blocking(void **state) {
    (void)state;
    weft_future *future = weft_future_new();
    int64_t begin = weft_time();
    assert_int_equal(weft_wait_blocking(future, WEFT_MS(20)), -ETIMEDOUT);
    assert_true(weft_time() - begin >= WEFT_MS(20));
    assert_false(weft_done(future));
    pthread_t thread = thread_start(complete_in_thread, future);
    assert_int_equal(weft_wait_blocking(future, WEFT_FOREVER), 99);
    thread_join(thread);
    weft_release(future);
}

/* ---- MT4 ---- */

static weft_future *prize;
static _Atomic long round_begun, finished_threads, wins[3];
static long rounds;

static bool try(int how, long round) {
    switch (how) {
    case 0: return weft_future_set_result(prize, round) == 0;
    case 1: return weft_future_set_exception(prize, -EIO) == 0;
    default: return weft_cancel(prize);
    }
}

static void *compete(void *arg) {
    int how = (int)(intptr_t)arg;
    for (long round = 1; round <= rounds; round++) {
        spin_until(&round_begun, round);
        if (try(how, round)) atomic_fetch_add(&wins[how], 1);
        atomic_fetch_add(&finished_threads, 1);
    }
    return NULL;
}

static void test_one_winner(void **state) {
    (void)state;
    pthread_t threads[2];
    long total = 0, kinds[3] = {0};
    rounds = ROUNDS(100000);
    for (int i = 0; i < 2; i++) threads[i] = thread_start(compete, (void *)(intptr_t)(i + 1));
    for (long round = 1; round <= rounds; round++) {
        prize = weft_future_new();
        atomic_store(&finished_threads, 0);
        atomic_store(&round_begun, round);
        bool won = try(0, round);
        spin_until(&finished_threads, 2);
        intptr_t result = weft_result(prize);
        assert_true(weft_done(prize));
        assert_int_equal(won, result == round);
        assert_int_equal(weft_cancelled(prize), result == -ECANCELED);
        kinds[result == round ? 0 : result == -EIO ? 1 : 2]++;
        total += won;
        weft_release(prize);
    }
    for (int i = 0; i < 2; i++) thread_join(threads[i]);
    assert_int_equal(total, kinds[0]);
    assert_int_equal(wins[1], kinds[1]);
    assert_int_equal(wins[2], kinds[2]);
    assert_int_equal(total + wins[1] + wins[2], rounds);
}

/* ---- MT5: the completer writes, completes, and moves on to the next round's future ---- */

struct relay {
    weft_future *future;
    intptr_t written; /* plain: visible through the completion */
};

static struct relay *relays;
static _Atomic long waiting;

static intptr_t relay_awaiter(void *arg) {
    (void)arg;
    for (long i = 0; i < rounds; i++) {
        atomic_store_explicit(&waiting, i + 1, memory_order_release); /* the former relay has been read */
        must_equal(weft_await(relays[i % 2].future), i);
        must_equal(relays[i % 2].written, i);
        weft_release(relays[i % 2].future);
        relays[i % 2].future = weft_future_new();
    }
    return 0;
}

/* Completes number i once its awaiter has announced that it is about to wait. */
static intptr_t relay_completer(void *arg) {
    for (long i = 0; i < rounds; i++) {
        for (unsigned round = 1; atomic_load(&waiting) <= i; round++)
            if (round % 64 == 0 && arg) sched_yield();
            else if (round % 64 == 0) must_equal(weft_yield(), 0);
        for (unsigned delay = (unsigned)i * 7 % 64; delay > 0; delay--) __asm__ volatile("");
        relays[i % 2].written = i;
        must_equal(weft_future_set_result(relays[i % 2].future, i), 0);
    }
    return 0;
}

static void *completer_thread(void *arg) { return (void *)relay_completer(arg ? arg : (void *)1); }
static void *awaiter_thread(void *arg) { return (void *)relay_awaiter(arg); }

static void relay_begin(long count) {
    static struct relay both[2];
    rounds = count;
    relays = both;
    for (int i = 0; i < 2; i++) relays[i].future = weft_future_new();
    atomic_store(&waiting, 0);
}

static void relay_end(void) {
    for (int i = 0; i < 2; i++) weft_release(relays[i].future);
}

static intptr_t both_in_tasks(void *arg) {
    (void)arg;
    weft_task *awaiter = weft_spawn(relay_awaiter, NULL), *completer = weft_spawn(relay_completer, NULL);
    must_equal(weft_sleep(0), 0);
    must_equal(weft_join(completer), 0);
    return weft_join(awaiter);
}

static intptr_t awaiter_in_task(void *arg) {
    pthread_t thread = thread_start(completer_thread, arg);
    intptr_t result = weft_join(weft_spawn(relay_awaiter, NULL));
    thread_join(thread);
    return result;
}

static void test_no_lost_wakeup(void **state) {
    (void)state;
    relay_begin(ROUNDS(400000));
    assert_int_equal(run_on(2, both_in_tasks, NULL), 0);
    relay_end();
    relay_begin(ROUNDS(300000));
    assert_int_equal(run_on(1, awaiter_in_task, NULL), 0);
    relay_end();
    relay_begin(ROUNDS(100000));
    assert_int_equal(run_on(0, awaiter_in_task, NULL), 0);
    relay_end();
    relay_begin(ROUNDS(200000));
    pthread_t thread = thread_start(awaiter_thread, NULL);
    completer_thread(NULL);
    thread_join(thread);
    relay_end();
}

/* A plain thread that gives up waiting just when the completion comes: a result or a timeout, no third. */
static _Atomic long gives_up;
static weft_future *late;
static void *completes_late(void *arg) {
    (void)arg;
    for (long i = 1; i <= rounds; i++) {
        spin_until(&gives_up, i);
        int64_t until = weft_time() + i % 50 * 1000;
        while (weft_time() < until) {}
        must_equal(weft_future_set_result(late, i), 0);
        atomic_fetch_add(&finished_threads, 1);
    }
    return NULL;
}

static void test_giving_up(void **state) {
    (void)state;
    rounds = ROUNDS(5000);
    atomic_store(&finished_threads, 0);
    atomic_store(&gives_up, 0);
    pthread_t thread = thread_start(completes_late, NULL);
    for (long i = 1; i <= rounds; i++) {
        late = weft_future_new();
        atomic_store(&gives_up, i);
        intptr_t result = weft_wait_blocking(late, i * 7 % 50 * 1000);
        assert_true(result == i || result == -ETIMEDOUT);
        spin_until(&finished_threads, i);
        assert_int_equal(weft_join(late), i);
    }
    thread_join(thread);
}

/* References, taken and given up by many threads; the last one frees. */
static void *refers(void *future) {
    for (int i = 0; i < ROUNDS(20000); i++) {
        weft_ref(future);
        if (i % 3 == 0) weft_done(future);
        weft_release(future);
    }
    weft_release(future);
    return NULL;
}

static void test_references(void **state) {
    (void)state;
    for (int round = 0; round < 5; round++) {
        weft_future *future = weft_future_new();
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) threads[i] = thread_start(refers, weft_ref(future));
        assert_int_equal(weft_future_set_result(future, round), 0);
        if (round % 2) weft_release(future);
        for (int i = 0; i < 4; i++) thread_join(threads[i]);
        if (round % 2 == 0) assert_int_equal(weft_join(future), round);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),          cmocka_unit_test(test_cancel),     cmocka_unit_test(test_finished),
        cmocka_unit_test(test_mixed),         cmocka_unit_test(test_outlives),   cmocka_unit_test(test_wait_blocking),
        cmocka_unit_test(test_one_winner),    cmocka_unit_test(test_no_lost_wakeup),
        cmocka_unit_test(test_giving_up),     cmocka_unit_test(test_references),
    };
    return run_group(tests);
}
