/* Between loops, and what is left of single rules: T8, F13, LK4 and MT10 (the "wrong loop" errors do not exist:
 * every future and primitive works between all loops), MT3, MT21, L13, X16, R12, TH5 with B30. */
#include "api_support.h"

static intptr_t gives_seven(void *arg) {
    (void)arg;
    return 7;
}
static void ignores(void *arg) { (void)arg; }

/* ---- two loops in two threads share a lock, a queue and futures ---- */

static weft_lock lock = WEFT_LOCK_INIT;
static weft_queue queue;
static weft_future *started[2], *handed_over;
static long inside, visits;

static intptr_t visitor(void *arg) {
    intptr_t which = (intptr_t)arg, item;
    must_equal(weft_future_set_result(started[which], which), 0);
    must_equal(weft_await(started[1 - which]), 1 - which); /* a future of the other loop */
    for (int i = 0; i < ROUNDS(20000); i++) {
        must_equal(weft_lock_acquire(&lock), 0);
        must_equal(inside++, 0);
        visits++;
        if (i % 64 == 0) weft_sleep(0); /* holds it while the other one waits, on another loop */
        must_equal(--inside, 0);
        must_equal(weft_lock_release(&lock), 0);
        if (which == 0) must_equal(weft_queue_put(&queue, i), 0);
        else must(weft_queue_get(&queue, &item) == 0 && item == i);
    }
    return which == 0 ? weft_await(handed_over) : weft_future_set_result(handed_over, 7);
}

static void *run_visitor(void *which) {
    weft_loop *loop = weft_new_event_loop();
    void *result = (void *)weft_loop_run_until_complete(loop, weft_coroutine(visitor, which));
    must_equal(weft_loop_close(loop), 0);
    weft_loop_release(loop);
    return result;
}

static void test_T8_LK4_MT10_F13_between_loops(void **state) {
    pthread_t threads[2];
    (void)state;
    visits = 0;
    handed_over = weft_future_new();
    assert_int_equal(weft_queue_init(&queue, 16), 0);
    for (int i = 0; i < 2; i++) started[i] = weft_future_new();
    for (intptr_t i = 0; i < 2; i++) threads[i] = thread_start(run_visitor, (void *)i);
    assert_int_equal((intptr_t)thread_join(threads[1]), 0);
    assert_int_equal((intptr_t)thread_join(threads[0]), 7);
    assert_int_equal(visits, 2 * ROUNDS(20000));
    for (int i = 0; i < 2; i++) weft_release(started[i]);
    weft_release(handed_over);
    weft_queue_fini(&queue);
}

static weft_future *shared;
static intptr_t awaits_shared(void *arg) {
    (void)arg;
    return weft_await(shared);
}
static void *run_awaiter(void *arg) {
    return (void *)run_on(0, awaits_shared, arg);
}
static void test_F13_error_and_cancellation_cross_loops(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        shared = weft_future_new();
        pthread_t thread = thread_start(run_awaiter, NULL);
        if (how == 0) assert_int_equal(weft_future_set_exception(shared, -EIO), 0);
        else assert_true(weft_cancel(shared));
        assert_int_equal((intptr_t)thread_join(thread), how == 0 ? -EIO : -ECANCELED);
        assert_false(weft_cancel(shared)); /* done: left untouched */
        assert_int_equal(weft_cancelled(shared), how);
        weft_release(shared);
    }
}

/* ---- TH5, B30: a limit in the submitting thread stops nothing; cancelling the handle does ---- */

static _Atomic bool may_end;
static intptr_t ends_when_told(void *arg) {
    while (!atomic_load(&may_end))
        if (weft_sleep(WEFT_MS(1)) == -ECANCELED) return -ECANCELED;
    return (intptr_t)arg;
}
static weft_loop *served_loop;
static void *submits(void *done) {
    weft_future *first = weft_run_coroutine_threadsafe(weft_coroutine(ends_when_told, (void *)5), served_loop);
    weft_future *second = weft_run_coroutine_threadsafe(weft_coroutine(ends_when_told, (void *)6), served_loop);
    must_equal(weft_wait_blocking(first, WEFT_MS(5)), -ETIMEDOUT);
    must(weft_cancel(second));
    must_equal(weft_join(second), -ECANCELED);
    must(!weft_done(first));
    atomic_store(&may_end, true);
    must_equal(weft_join(first), 5);
    weft_future_set_result(done, 0);
    return NULL;
}
static intptr_t serves(void *arg) {
    weft_future *done = weft_future_new();
    (void)arg;
    atomic_store(&may_end, false);
    served_loop = weft_get_running_loop();
    pthread_t thread = thread_start(submits, done);
    intptr_t result = weft_join(done);
    thread_join(thread);
    return result;
}
static void test_TH5_B30_a_limit_stops_nothing(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, serves, NULL), 0);
}

/* ---- MT13: a loop is closed while another thread submits to it ---- */

static _Atomic(weft_loop *) open_loop;
static _Atomic bool no_more;
static _Atomic long submitted, refused;
static void *submits_one_each(void *arg) {
    (void)arg;
    for (unsigned spin = 1; !atomic_load(&no_more); spin++) {
        weft_loop *loop = atomic_exchange(&open_loop, NULL);
        if (!loop) {
            if (spin % 64 == 0) sched_yield();
            continue;
        }
        weft_future *task = weft_run_coroutine_threadsafe(weft_coroutine(gives_seven, NULL), loop);
        int error = weft_loop_call_soon_threadsafe(loop, ignores, NULL).error;
        intptr_t result = weft_join(task); /* nobody stays blocked */
        must(result == 7 || result == -ECANCELED || result == -ESHUTDOWN);
        must(error == 0 || error == -ESHUTDOWN);
        must(error == 0 ? result != -ESHUTDOWN : 1); /* the gate stays closed */
        atomic_fetch_add(result == -ESHUTDOWN ? &refused : &submitted, 1);
        weft_loop_release(loop);
    }
    return NULL;
}
static void test_MT13_close_races_with_submission(void **state) {
    (void)state;
    atomic_store(&no_more, false);
    struct capture capture = capture_begin(); /* a task that was pending at close is reported */
    pthread_t thread = thread_start(submits_one_each, NULL);
    for (long i = 0; i < ROUNDS(100000); i++) {
        weft_loop *loop = weft_new_event_loop_with((weft_options){.driver = "epoll"});
        must(loop);
        atomic_store(&open_loop, weft_loop_ref(loop));
        for (unsigned spin = 1; i % 2 && atomic_load(&open_loop); spin++) /* before it is taken, or after */
            if (spin % 64 == 0) sched_yield();
        for (unsigned spin = 0; spin < i % 400; spin++) atomic_load(&no_more);
        must_equal(weft_loop_close(loop), 0);
        weft_loop_release(loop);
        while (atomic_load(&open_loop)) sched_yield();
    }
    while (atomic_load(&submitted) + atomic_load(&refused) < ROUNDS(100000)) sched_yield();
    atomic_store(&no_more, true);
    thread_join(thread);
    capture_end(capture, "weft");
    print_message("%ld accepted, %ld refused\n", atomic_load(&submitted), atomic_load(&refused));
    assert_true(atomic_load(&submitted) > 0 && atomic_load(&refused) > 0);
}

/* ---- X16: an error that says -ECANCELED is not a cancellation ---- */

static intptr_t says_so(void *arg) {
    (void)arg;
    weft_future *error = weft_future_new(), *cancelled = weft_future_new();
    must_equal(weft_future_set_exception(error, -ECANCELED), 0);
    must(weft_cancel(cancelled));
    must(!weft_cancelled(error) && weft_cancelled(cancelled));
    must(weft_is_error(-ECANCELED) && -ECANCELED != -ETIMEDOUT); /* WF11 */
    weft_release(error);
    weft_release(cancelled);
    return 0;
}
static void test_X16_its_own_category(void **state) {
    (void)state;
    assert_int_equal(run_on(0, says_so, NULL), 0);
}

/* ---- L13: cancelled timers leave nothing behind ---- */

static void never(void *arg) { must(!arg); }
static long resident_kb(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}
static intptr_t cancels_many(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    long before = 0;
    for (long i = 0; i < ROUNDS(1000000); i++) {
        weft_handle handle = weft_loop_call_later(loop, WEFT_SEC(3600), never, arg);
        must_equal(weft_handle_cancel(handle), WEFT_HANDLE_CANCELLED);
        if (i == 1000) before = resident_kb();
    }
    must(resident_kb() - before < 8192); /* a million records would be 192 MB */
    return 0;
}
static void test_L13_cancelled_timers_are_reclaimed(void **state) {
    (void)state;
    assert_int_equal(run_on(0, cancels_many, state), 0);
}

/* ---- MT21: ready tasks run although another worker computes ---- */

static _Atomic long ran;
static intptr_t counts(void *arg) {
    atomic_fetch_add(&ran, 1);
    return (intptr_t)arg;
}
static intptr_t computes(void *arg) {
    weft_task *tasks[8];
    (void)arg;
    for (int i = 0; i < 8; i++) tasks[i] = weft_spawn(counts, NULL);
    spin_until(&ran, 8); /* never gives up its worker: the other one must take them */
    for (int i = 0; i < 8; i++) must_equal(weft_join(tasks[i]), 0);
    return 0;
}
static void test_MT21_ready_tasks_move(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(200); i++) {
        atomic_store(&ran, 0);
        assert_int_equal(run_on(2, computes, NULL), 0);
    }
}

/* ---- MT3: with several workers only the partial order holds; what one task does stays in order ---- */

static intptr_t marks_in_order(void *arg) {
    long *last = arg;
    for (long i = 1; i <= 100; i++) {
        must_equal(*last, i - 1);
        *last = i;
        weft_sleep(0);
    }
    return *last;
}
static intptr_t three_in_parallel(void *arg) {
    long last[3] = {0, 0, 0};
    intptr_t results[3];
    (void)arg;
    must_equal(weft_await(weft_gather_into(results, weft_coroutine(marks_in_order, &last[0]),
                                           weft_coroutine(marks_in_order, &last[1]),
                                           weft_coroutine(marks_in_order, &last[2]))), 0);
    for (int i = 0; i < 3; i++) must_equal(results[i], 100);
    return 0;
}
static void test_MT3_partial_order_on_several_workers(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 3; workers++)
        assert_int_equal(run_on(workers, three_in_parallel, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T8_LK4_MT10_F13_between_loops),
        cmocka_unit_test(test_F13_error_and_cancellation_cross_loops),
        cmocka_unit_test(test_TH5_B30_a_limit_stops_nothing),
        cmocka_unit_test(test_MT13_close_races_with_submission),
        cmocka_unit_test(test_X16_its_own_category),
        cmocka_unit_test(test_L13_cancelled_timers_are_reclaimed),
        cmocka_unit_test(test_MT21_ready_tasks_move),
        cmocka_unit_test(test_MT3_partial_order_on_several_workers),
    };
    return run_group(tests);
}
