/* Cancellation: rules X1 to X17; chains and cycles of awaits. */
#include "api_support.h"

#include <sys/wait.h>

static void on_each_loop(weft_fn *fn) {
    for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
        assert_int_equal(run_on(workers, fn, NULL), 0);
}

static intptr_t sleeps(void *arg) {
    (void)arg;
    return weft_sleep(WEFT_SEC(1000));
}
static intptr_t awaits(void *future) { return weft_await(future); }

static void let_start(void) {
    must_equal(weft_sleep(WEFT_MS(1)), 0);
}

/* X2, X3: only an await that truly suspends delivers, and once. X10: swallowed, the count stays. */
static intptr_t delivery(void *arg) {
    weft_future *finished = weft_future_new(), *pending = weft_future_new();
    weft_task *self = weft_current_task();
    (void)arg;
    must_equal(weft_future_set_result(finished, 4), 0);
    for (int how = 0; how < 4; how++) {
        must(weft_cancel(self));
        must(!weft_done(self) && !weft_cancelled(self)); /* X1 */
        must_equal(weft_cancelling(self), how + 1);
        must_equal(weft_await(finished), 4);
        must_equal(weft_yield(), 0); /* no cancellation point */
        switch (how) {
        case 0: must_equal(weft_sleep(0), -ECANCELED); break;
        case 1: must_equal(weft_sleep(WEFT_SEC(10)), -ECANCELED); break;
        case 2: must_equal(weft_await(pending), -ECANCELED); break; /* X8: and the future is cancelled */
        default: must_equal(weft_join(weft_spawn(sleeps, NULL)), -ECANCELED);
        }
        must_equal(weft_sleep(0), 0);
        must_equal(weft_sleep(WEFT_US(10)), 0);
    }
    must(weft_cancelled(pending));
    must_equal(weft_cancelling(self), 4);
    weft_release(finished);
    weft_release(pending);
    return 17;
}

static intptr_t test_delivery_in(void *arg) {
    weft_task *task = weft_spawn(delivery, arg);
    must_equal(weft_await(task), 17);
    must(!weft_cancelled(task)); /* X10 */
    must_equal(weft_cancelling(task), 4);
    must(!weft_cancel(task)); /* X7 */
    must_equal(weft_cancelling(task), 4);
    weft_release(task);
    return 0;
}

static void test_delivery(void **state) {
    (void)state;
    on_each_loop(test_delivery_in);
}

/* X6, also in place, and for a chain whose members have not started. */
static intptr_t never(void *arg) {
    (void)arg;
    must(!"a task that was cancelled before its first step runs");
    return 0;
}

static intptr_t before_start(void *arg) {
    (void)arg;
    weft_task *task = weft_create_task_with((weft_task_options){.pinned = true}, weft_coroutine(never, NULL));
    must(weft_cancel(task) && !weft_done(task));
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task));
    weft_release(task);
    weft_cancel(weft_current_task()); /* passes to what is awaited next; X4: comes out here */
    task = weft_create_task_with((weft_task_options){.pinned = true}, weft_coroutine(never, NULL));
    must_equal(weft_join(task), -ECANCELED);
    must_equal(weft_sleep(0), 0);
    return 0;
}

static void test_before_start(void **state) {
    (void)state;
    on_each_loop(before_start);
}

/* X12: its value is dropped. X15: an error of the clean-up wins, and the awaiter waits for the clean-up. */
static intptr_t cancels_itself(void *arg) {
    weft_cancel(weft_current_task());
    return (intptr_t)arg;
}

static bool cleaned;
static intptr_t cleans_up(void *arg) {
    must_equal(weft_sleep(WEFT_SEC(1000)), -ECANCELED);
    must_equal(weft_sleep(WEFT_MS(2)), 0);
    must_equal(weft_join(weft_spawn(awaits, weft_coroutine(NULL, NULL))), -EINVAL);
    cleaned = true;
    return (intptr_t)arg;
}

static intptr_t endings(void *arg) {
    (void)arg;
    weft_task *task = weft_spawn(cancels_itself, (void *)5);
    must_equal(weft_await(task), -ECANCELED);
    must(weft_cancelled(task));
    weft_release(task);
    intptr_t values[] = {-EIO, 3, -ECANCELED};
    for (int i = 0; i < 3; i++) {
        cleaned = false;
        task = weft_spawn(cleans_up, (void *)values[i]);
        let_start();
        must(weft_cancel(task));
        must_equal(weft_await(task), values[i]);
        must(cleaned);
        must_equal(weft_cancelled(task), values[i] == -ECANCELED);
        weft_release(task);
    }
    return 0;
}

static void test_endings(void **state) {
    (void)state;
    on_each_loop(endings);
}

/* X8: through 50 awaits to the innermost; each is counted once. X4: an awaiter outside is not cancelled. */
#define CHAIN 50
static weft_task *chain[CHAIN];
static _Atomic long chained;
static intptr_t link_of_chain(void *arg) {
    intptr_t i = (intptr_t)arg;
    chain[i] = weft_ref(weft_current_task());
    atomic_fetch_add(&chained, 1);
    intptr_t r =
        i + 1 < CHAIN ? weft_join(weft_spawn(link_of_chain, (void *)(i + 1))) : weft_sleep(WEFT_SEC(1000));
    must_equal(r, -ECANCELED);
    must_equal(weft_cancelling(chain[i]), 1);
    must_equal(weft_sleep(0), 0); /* consumed everywhere */
    return r;
}

static intptr_t chains(void *arg) {
    atomic_store(&chained, 0);
    weft_task *first = weft_spawn(link_of_chain, arg);
    while (atomic_load(&chained) < CHAIN) must_equal(weft_sleep(0), 0);
    let_start();
    must(weft_cancel(first));
    must_equal(weft_join(first), -ECANCELED);
    must_equal(weft_cancelling(weft_current_task()), 0);
    for (int i = 0; i < CHAIN; i++) {
        must(weft_cancelled(chain[i]));
        weft_release(chain[i]);
    }
    return 0;
}

static void test_chains(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(20); i++) on_each_loop(chains);
}

/* X9, X17 */
static intptr_t shared_ones(void *arg) {
    (void)arg;
    weft_task *third = weft_spawn(sleeps, NULL), *a = weft_spawn(awaits, third), *b = weft_spawn(awaits, third);
    let_start();
    must(weft_cancel(a));
    must_equal(weft_join(b), -ECANCELED);
    must_equal(weft_join(a), -ECANCELED);
    must(weft_cancelled(third));
    weft_release(third);
    for (int both = 0; both <= 1; both++) {
        weft_future *inner = weft_future_new();
        a = weft_spawn(awaits, inner);
        let_start();
        must(weft_cancel(inner) && weft_cancelled(inner)); /* F3: within the call */
        if (both) weft_cancel(a);
        must_equal(weft_await(a), -ECANCELED);
        must(weft_cancelled(a));
        weft_release(a);
        weft_release(inner);
    }
    return 0;
}

static void test_shared_ones(void **state) {
    (void)state;
    on_each_loop(shared_ones);
}

/* uncancel: withdraws what was not delivered, and never goes below zero. */
static intptr_t uncancels(void *arg) {
    weft_task *self = weft_current_task();
    (void)arg;
    must(weft_cancel(self) && weft_cancel(self));
    must_equal(weft_uncancel(self), 1);
    must_equal(weft_uncancel(self), 0);
    must_equal(weft_uncancel(self), 0);
    must_equal(weft_sleep(0), 0);
    weft_cancel(self);
    weft_cancel(self);
    must_equal(weft_uncancel(self), 1);
    must_equal(weft_sleep(0), -ECANCELED);
    must_equal(weft_uncancel(self), 0);
    for (int i = 0; i < 1000; i++) must(weft_cancel(self)); /* more than the word can hold */
    must_equal(weft_cancelling(self), 1000);
    must_equal(weft_sleep(0), -ECANCELED);
    must_equal(weft_sleep(0), 0);
    return 0;
}

static void test_uncancel(void **state) {
    (void)state;
    on_each_loop(uncancels);
}

/* T11 against uncancel: a sleep that was cancelled, and the request then taken back, either says so or sleeps
 * on: it never ends early as if its time had come. */
static intptr_t sleeps_40ms(void *arg) {
    int64_t begin = weft_time();
    (void)arg;
    intptr_t r = weft_sleep(WEFT_MS(40));
    must(r == -ECANCELED || weft_time() - begin >= WEFT_MS(40));
    return r;
}

static intptr_t taken_back(void *arg) {
    (void)arg;
    weft_task *task = weft_spawn(sleeps_40ms, NULL);
    let_start();
    must(weft_cancel(task));
    weft_uncancel(task);
    intptr_t r = weft_join(task);
    must(r == 0 || r == -ECANCELED);
    return 0;
}

static void test_taken_back(void **state) {
    (void)state;
    on_each_loop(taken_back);
}

/* Tasks that await each other in a circle: a cancelled one gives up its wait, and with it the others end. */
enum { CIRCLE = 3 };
static weft_task *circle[CIRCLE];
static _Atomic bool closed; /* all of the circle are tasks */
static intptr_t awaits_next(void *arg) {
    while (!atomic_load(&closed)) weft_yield();
    return weft_await(circle[((intptr_t)arg + 1) % CIRCLE]);
}
static void make_circle(bool pinned) {
    atomic_store(&closed, false);
    for (intptr_t i = 0; i < CIRCLE; i++) {
        weft_future *coroutine = weft_coroutine(awaits_next, (void *)i);
        circle[i] = weft_create_task_with((weft_task_options){.pinned = pinned}, coroutine);
    }
    atomic_store(&closed, true);
}

static intptr_t cancel_one(void *arg) { return weft_cancel(arg); }

static intptr_t circles(void *rounds) {
    for (intptr_t round = 0; round < (intptr_t)rounds; round++) {
        make_circle(round % 2);
        if (round % 3) let_start();
        weft_task *helper = round % 5 ? NULL : weft_spawn(cancel_one, circle[round % CIRCLE]);
        must(weft_cancel(circle[0]));
        weft_join(helper);
        for (int i = 0; i < CIRCLE; i++) must_equal(weft_await(circle[i]), -ECANCELED);
        /* one that starts late still looks at its next */
        for (int i = 0; i < CIRCLE; i++) weft_release(circle[i]);
    }
    return 0;
}

static intptr_t leave_circle(void *arg) {
    make_circle(arg);
    return 0; /* the loop cancels them, and ends */
}

static void test_left_circle(unsigned workers, bool pinned) {
    assert_int_equal(run_on(workers, leave_circle, pinned ? circle : NULL), 0);
    for (int i = 0; i < CIRCLE; i++) assert_int_equal(weft_join(circle[i]), -ECANCELED);
}

static void test_circle(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, circles, (void *)(intptr_t)ROUNDS(3000)), 0);
        test_left_circle(workers, false);
        test_left_circle(workers, true);
    }
}

/* Two cancellers at once, on both ends of a chain. */
static intptr_t awaits_sleeper(void *task) { return weft_await(task); }
static void *cancels_one(void *task) { return (void *)(intptr_t)weft_cancel(task); }
static intptr_t two_cancellers(void *arg) {
    (void)arg;
    weft_task *inner = weft_spawn(sleeps, NULL), *outer = weft_spawn(awaits_sleeper, inner);
    must_equal(weft_sleep(0), 0);
    pthread_t a = thread_start(cancels_one, outer), b = thread_start(cancels_one, inner);
    must_equal(weft_await(outer), -ECANCELED);
    must_equal(weft_await(inner), -ECANCELED);
    thread_join(a); /* they use our references */
    thread_join(b);
    weft_release(outer);
    weft_release(inner);
    return 0;
}

static void test_two_cancellers(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(200); i++) on_each_loop(two_cancellers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery),    cmocka_unit_test(test_before_start), cmocka_unit_test(test_endings),
        cmocka_unit_test(test_chains),      cmocka_unit_test(test_shared_ones),  cmocka_unit_test(test_uncancel),
        cmocka_unit_test(test_taken_back),  cmocka_unit_test(test_circle),       
        cmocka_unit_test(test_two_cancellers),
    };
    return run_group(tests);
}
