/* Debug mode's report of a pthread mutex that a task holds when it gives up its thread. Each task here comes back to
 * the thread that it left: what a mutex is held across is the subject, not what happens to it then. */
#define _GNU_SOURCE
#include "stderr_support.h"

#include <pthread.h>
#include <threads.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spinlock;
static mtx_t c11_mutex;

static const struct timespec long_ago;

/* As a task that stays on its worker. */
static intptr_t run_holder(void *fn) {
    weft_stats stats;
    must_equal(weft_stats_get(&stats), 0);
    weft_task_options options = {.name = "holder", .pinned = stats.workers > 1};
    return weft_join(weft_create_task_with(options, weft_coroutine(*(weft_fn **)fn, NULL)));
}

/* Runs `fn`, and says how often `text` was said meanwhile. */
static unsigned reports_of(weft_fn *fn, const char *text, weft_options options) {
    int before = stderr_begin();
    intptr_t result = weft_run_fn_with(options, run_holder, &fn);
    unsigned reports = times_said(text);
    stderr_end(before);
    assert_int_equal(result, 0);
    return reports;
}

static const weft_options one = {.workers = 1, .debug = 1}, two = {.workers = 2, .debug = 1},
                          strict = {.fifo = true, .debug = 1}, off = {.workers = 2, .debug = -1};
static const char beginning[] = "weft: task 'holder' (made at ", end[] = ": use weft_lock, or unlock it before\n";

/* Once, not once more for the same place. */
static void expect_report(weft_fn *fn, const char *text, weft_options options) {
    assert_int_equal(reports_of(fn, text, options), 1);
    assert_int_equal(reports_of(fn, " gave up its thread", options), 0);
}

static void expect_silence(weft_fn *fn) {
    assert_int_equal(reports_of(fn, " gave up its thread", two), 0);
    assert_int_equal(reports_of(fn, " gave up its thread", strict), 0);
}

/* ---- each kind ---- */

static void give_up_thread(void) { must_equal(weft_sleep(WEFT_MS(1)), 0); }

#define HELD_BY(name, lock, unlock)                                                                           \
    static intptr_t name(void *arg) {                                                                         \
        (void)arg;                                                                                            \
        must_equal(lock, 0);                                                                                  \
        give_up_thread();                                                                                     \
        give_up_thread();                                                                                     \
        must_equal(unlock, 0);                                                                                \
        return 0;                                                                                             \
    }
HELD_BY(by_lock, pthread_mutex_lock(&mutex), pthread_mutex_unlock(&mutex))
HELD_BY(by_trylock, pthread_mutex_trylock(&mutex), pthread_mutex_unlock(&mutex))
HELD_BY(by_timedlock, pthread_mutex_timedlock(&mutex, &long_ago), pthread_mutex_unlock(&mutex))
HELD_BY(by_rdlock, pthread_rwlock_rdlock(&rwlock), pthread_rwlock_unlock(&rwlock))
HELD_BY(by_wrlock, pthread_rwlock_wrlock(&rwlock), pthread_rwlock_unlock(&rwlock))
HELD_BY(by_spin_lock, pthread_spin_lock(&spinlock), pthread_spin_unlock(&spinlock))
HELD_BY(by_mtx_lock, mtx_lock(&c11_mutex), mtx_unlock(&c11_mutex))

static void test_each_kind_of_lock(void **state) {
    (void)state;
    char text[128];
    snprintf(text, sizeof text, ") gave up its thread while it held the mutex %p (locked at ", (void *)&mutex);
    expect_report(by_lock, text, two);
    expect_report(by_trylock, text, strict);
    expect_report(by_timedlock, beginning, two);
    expect_report(by_rdlock, "held the read-write lock", two);
    expect_report(by_wrlock, "held the read-write lock", strict);
    expect_report(by_spin_lock, "held the spinlock", two);
    expect_report(by_mtx_lock, end, two);
}

/* ---- each way to give up the thread ---- */

static intptr_t into_region(void *arg) {
    (void)arg;
    must_equal(pthread_mutex_lock(&mutex), 0);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_leave_blocking(), 0);
    must_equal(pthread_mutex_unlock(&mutex), 0);
    return 0;
}

static intptr_t out_of_region(void *arg) {
    static pthread_mutex_t left_locked = PTHREAD_MUTEX_INITIALIZER; /* by a thread that is not ours any more */
    (void)arg;
    must_equal(weft_enter_blocking(), 0);
    int error = pthread_mutex_trylock(&left_locked);
    must(error == 0 || error == EBUSY);
    return weft_leave_blocking();
}

static intptr_t to_the_end(void *arg) {
    static pthread_mutex_t left_locked = PTHREAD_MUTEX_INITIALIZER;
    (void)arg;
    int error = pthread_mutex_trylock(&left_locked);
    must(error == 0 || error == EBUSY);
    return 0;
}

static intptr_t child_that_waits(void *arg) {
    (void)arg;
    give_up_thread();
    return 0;
}

static intptr_t child_that_locks(void *arg) {
    must_equal(pthread_mutex_lock(arg), 0);
    return 0;
}

/* It runs in place, on our stack, and gives up the thread for both of us. */
static intptr_t in_a_child(void *arg) {
    (void)arg;
    must_equal(pthread_mutex_lock(&mutex), 0);
    must_equal(weft_join(weft_spawn(child_that_waits, NULL)), 0);
    must_equal(pthread_mutex_unlock(&mutex), 0);
    return 0;
}

static intptr_t with_many_others(void *arg) {
    static pthread_mutex_t others[20]; /* more than are remembered */
    (void)arg;
    for (int i = 0; i < 20; i++) must_equal(pthread_mutex_init(&others[i], NULL), 0);
    for (int i = 0; i < 20; i++) must_equal(pthread_mutex_lock(&others[i]), 0);
    must_equal(pthread_mutex_lock(&mutex), 0);
    give_up_thread();
    must_equal(pthread_mutex_unlock(&mutex), 0);
    for (int i = 20; i-- > 0;) must_equal(pthread_mutex_unlock(&others[i]), 0);
    for (int i = 0; i < 20; i++) must_equal(pthread_mutex_destroy(&others[i]), 0);
    return 0;
}

static void test_the_newest_of_many(void **state) {
    (void)state;
    char text[128];
    snprintf(text, sizeof text, "held the mutex %p", (void *)&mutex);
    expect_report(with_many_others, text, strict);
}

static void test_each_way_to_give_up_the_thread(void **state) {
    (void)state;
    expect_report(into_region, beginning, two);
    expect_report(out_of_region, beginning, two);
    expect_report(to_the_end, beginning, two);
    expect_report(in_a_child, end, one);
}

/* ---- what is all right ---- */

static intptr_t unlocked_before(void *arg) {
    (void)arg;
    for (int i = 0; i < 100; i++) {
        must_equal(pthread_mutex_lock(&mutex), 0);
        must_equal(pthread_mutex_unlock(&mutex), 0);
    }
    must_equal(pthread_mutex_lock(&mutex), 0);
    must_equal(pthread_mutex_trylock(&mutex), EBUSY);
    must_equal(pthread_mutex_unlock(&mutex), 0);
    give_up_thread();
    return 0;
}

/* It runs in place, too, and the thread stays ours. */
static intptr_t locked_by_a_child(void *arg) {
    (void)arg;
    must_equal(weft_join(weft_spawn(child_that_locks, &mutex)), 0);
    must_equal(pthread_mutex_unlock(&mutex), 0);
    return 0;
}

static void lock(void *arg) { must_equal(pthread_mutex_lock(arg), 0); }
static void unlock(void *arg) { must_equal(pthread_mutex_unlock(arg), 0); }

/* The loop's thread holds it, no task does. */
static intptr_t held_by_a_callback(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    (void)arg;
    must_equal(weft_loop_call_soon(loop, lock, &mutex).error, 0);
    give_up_thread();
    give_up_thread();
    must_equal(weft_loop_call_soon(loop, unlock, &mutex).error, 0);
    give_up_thread();
    return 0;
}

static void test_silence_about_what_is_all_right(void **state) {
    (void)state;
    expect_silence(unlocked_before);
    expect_silence(held_by_a_callback);
    assert_int_equal(reports_of(locked_by_a_child, " gave up its thread", one), 0);
    must_equal(pthread_mutex_lock(&mutex), 0);
    expect_silence(child_that_waits);
    must_equal(pthread_mutex_unlock(&mutex), 0);
}

HELD_BY(by_lock_elsewhere, pthread_mutex_lock(&mutex), pthread_mutex_unlock(&mutex))

static void test_silence_without_debug_mode(void **state) {
    (void)state;
    assert_int_equal(reports_of(by_lock_elsewhere, " gave up its thread", off), 0);
    assert_int_equal(reports_of(by_lock_elsewhere, beginning, two), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_kind_of_lock),
                                       cmocka_unit_test(test_the_newest_of_many),
                                       cmocka_unit_test(test_each_way_to_give_up_the_thread),
                                       cmocka_unit_test(test_silence_about_what_is_all_right),
                                       cmocka_unit_test(test_silence_without_debug_mode)};
    if (pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE) != 0) return 1;
    if (mtx_init(&c11_mutex, mtx_plain) != thrd_success) return 1;
    return run_group(tests);
}
