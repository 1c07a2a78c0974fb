/* Timeout scopes: rules TO1 to TO6. */
#include "race_support.h"

static void on_each_loop(weft_fn *fn) {
    for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
        assert_int_equal(run_on(workers, fn, NULL), 0);
}

/* TO1, TO2, TO5, TO6 */
static intptr_t scopes(void *arg) {
    weft_task *self = weft_current_task();
    weft_timeout scope;
    int64_t begin = weft_time();
    (void)arg;
    must_equal(weft_timeout_enter(&scope, WEFT_MS(5)), 0);
    must(!weft_timeout_expired(&scope));
    must_equal(weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(100))), -ETIMEDOUT); /* TO1 */
    must(weft_time() - begin >= WEFT_MS(5));
    must(weft_timeout_expired(&scope));
    must_equal(weft_cancelling(self), 0);
    must_equal(weft_sleep(0), 0);

    must_equal(weft_timeout_enter(&scope, WEFT_FOREVER), 0); /* TO2 */
    must_equal(weft_timeout_exit(&scope, weft_sleep(WEFT_MS(1))), 0);
    must(!weft_timeout_expired(&scope));
    for (int64_t past = -1; past <= 0; past++) {
        must_equal(weft_timeout_enter(&scope, past), 0);
        must_equal(weft_timeout_exit(&scope, 9), 9); /* never suspended: no error, and nothing stays behind */
        must_equal(weft_cancelling(self), 0);
        must_equal(weft_sleep(0), 0);
        must_equal(weft_timeout_enter_at(&scope, past), 0);
        must_equal(weft_timeout_exit(&scope, weft_sleep(0)), -ETIMEDOUT);
        must_equal(weft_sleep(WEFT_US(1)), 0);
    }
    must_equal(weft_timeout_enter(&scope, 0), 0); /* another error is not changed */
    must_equal(weft_sleep(0), -ECANCELED);
    must_equal(weft_timeout_exit(&scope, -EIO), -EIO);
    must_equal(weft_cancelling(self), 0);

    must_equal(weft_timeout_enter(&scope, WEFT_SEC(100)), 0); /* TO5 */
    weft_cancel(self);
    must_equal(weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(100))), -ECANCELED);
    must_equal(weft_uncancel(self), 0);

    must_equal(weft_timeout_enter(&scope, WEFT_MS(1)), 0); /* TO6 */
    must_equal(weft_timeout_reschedule(&scope, WEFT_FOREVER), 0);
    must_equal(weft_sleep(WEFT_MS(3)), 0);
    must_equal(weft_timeout_reschedule(&scope, weft_time() + WEFT_MS(1)), 0);
    must_equal(weft_sleep(WEFT_SEC(100)), -ECANCELED);
    must_equal(weft_timeout_reschedule(&scope, WEFT_FOREVER), -EALREADY);
    must_equal(weft_timeout_exit(&scope, -ECANCELED), -ETIMEDOUT);
    must_equal(weft_timeout_enter(&scope, WEFT_SEC(100)), 0);
    must_equal(weft_timeout_reschedule(&scope, 0), 0); /* past: at once */
    must_equal(weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(100))), -ETIMEDOUT);
    must_equal(weft_cancelling(self), 0);
    return 0;
}

static void test_scopes(void **state) {
    (void)state;
    on_each_loop(scopes);
}

/* TO3 */
static intptr_t nested(void *arg) {
    weft_timeout outer, inner;
    (void)arg;
    for (int first = 0; first < 3; first++) {
        must_equal(weft_timeout_enter(&outer, first == 1 ? WEFT_MS(1) : first == 2 ? 0 : WEFT_SEC(100)), 0);
        must_equal(weft_timeout_enter(&inner, first == 0 ? WEFT_MS(1) : first == 2 ? 0 : WEFT_SEC(100)), 0);
        intptr_t r = weft_timeout_exit(&inner, weft_sleep(WEFT_SEC(100)));
        must_equal(r, first == 0 ? -ETIMEDOUT : -ECANCELED);
        must_equal(weft_timeout_exit(&outer, r), -ETIMEDOUT);
        must_equal(weft_cancelling(weft_current_task()), 0);
        must_equal(weft_sleep(0), 0);
    }
    return 0;
}

static void test_nested(void **state) {
    (void)state;
    on_each_loop(nested);
}

/* A body that takes its cancellation back itself: the count still never goes below zero. */
static intptr_t uncancels_itself(void *arg) {
    weft_task *self = weft_current_task();
    weft_timeout scope;
    (void)arg;
    must_equal(weft_timeout_enter(&scope, 0), 0);
    must_equal(weft_sleep(0), -ECANCELED);
    must_equal(weft_uncancel(self), 0);
    must_equal(weft_timeout_exit(&scope, -ECANCELED), -ETIMEDOUT); /* as asyncio: uncancel() stops at zero */
    must_equal(weft_cancelling(self), 0);
    return 0;
}

static void test_uncancels_itself(void **state) {
    (void)state;
    on_each_loop(uncancels_itself);
}

/* WF4: a scope around a task with clean-up ends when that has ended. */
static intptr_t with_cleanup(void *arg) {
    (void)arg;
    intptr_t r = weft_sleep(WEFT_SEC(100));
    must_equal(weft_sleep(WEFT_MS(20)), 0);
    return r;
}

static intptr_t waits_for_cleanup(void *arg) {
    weft_timeout scope;
    int64_t begin = weft_time();
    must_equal(weft_timeout_enter(&scope, WEFT_MS(5)), 0);
    weft_task *task = weft_spawn(with_cleanup, arg);
    must_equal(weft_timeout_exit(&scope, weft_await(task)), -ETIMEDOUT);
    must(weft_time() - begin >= WEFT_MS(25));
    must(weft_cancelled(task));
    weft_release(task);
    return 0;
}

static void test_waits_for_cleanup(void **state) {
    (void)state;
    on_each_loop(waits_for_cleanup);
}

/* The deadline against a value, and against a cancel from outside: never both lost, never doubled. */
static weft_task *limited;
static _Atomic bool accepted;

static void cancels_outside(long round) {
    int64_t until = weft_time() + round * 37 % 20000;
    while (weft_time() < until) {}
    atomic_store(&accepted, weft_cancel(limited));
}

static void play_against_cancel(struct race *race, long round) {
    weft_timeout scope;
    limited = weft_current_task();
    race_open(race, round);
    must_equal(weft_timeout_enter(&scope, 1000 + round * 53 % 20000), 0);
    intptr_t r = weft_timeout_exit(&scope, weft_sleep(WEFT_SEC(100)));
    bool timed_out = r == -ETIMEDOUT;
    must(timed_out || r == -ECANCELED);
    must(!timed_out || weft_timeout_expired(&scope));
    race_close(race, round);
    must(atomic_load(&accepted));
    must_equal(weft_cancelling(limited), 1); /* the outside one alone */
    must_equal(weft_sleep(0), timed_out ? -ECANCELED : 0); /* one that came after the scope is still to be seen */
    must_equal(weft_uncancel(limited), 0);
    must_equal(weft_sleep(0), 0);
}

static void test_against_cancel(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(20000), .play = play_against_cancel, .rivals = {cancels_outside}};
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, run_race, &race), 0);
}

static intptr_t against_value(void *arg) {
    weft_task *self = weft_current_task();
    (void)arg;
    for (long i = 1; i <= ROUNDS(20000); i++) {
        weft_timeout scope;
        must_equal(weft_timeout_enter(&scope, 1000 + i * 53 % 20000), 0);
        intptr_t body = weft_sleep(1000 + i * 37 % 20000), r = weft_timeout_exit(&scope, body);
        must(body == 0 || body == -ECANCELED);
        must_equal(r, body == 0 ? 0 : -ETIMEDOUT);
        must_equal(weft_cancelling(self), 0);
        must_equal(weft_sleep(0), 0); /* withdrawn: nothing left behind */
    }
    return 0;
}

static void test_against_value(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, against_value, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scopes),         cmocka_unit_test(test_nested),
        cmocka_unit_test(test_uncancels_itself), cmocka_unit_test(test_waits_for_cleanup),
        cmocka_unit_test(test_against_cancel), cmocka_unit_test(test_against_value),
    };
    return run_group(tests);
}
