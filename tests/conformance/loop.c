/* Loops of one's own and their callbacks: chapters L and R, F5, F6, F11, TH2, TH3, MT6, MT7, MT12, MT14; golden
 * traces B2 to B7. */
#define _GNU_SOURCE
#include "api_support.h"

#include <sys/socket.h>

static weft_loop *loop;

static int make_loop(void **state) {
    (void)state;
    trace[0] = '\0';
    loop = weft_new_event_loop();
    return loop ? 0 : -1;
}

static int close_loop(void **state) {
    (void)state;
    int error = weft_loop_close(loop);
    weft_loop_release(loop);
    return error;
}

static void soon(char *what) { must_equal(weft_loop_call_soon(loop, mark_callback, what).error, 0); }
static void stop(void *arg) {
    if (arg) mark(arg);
    must_equal(weft_loop_stop(loop), 0);
}
/* Runs until nothing that is queued now is left. */
static void run_queued(void) {
    must_equal(weft_loop_call_soon(loop, stop, NULL).error, 0);
    must_equal(weft_loop_run_forever(loop), 0);
}

/* ---- call_soon ---- */

static void cb1(void *arg) {
    (void)arg;
    mark("cb1");
    soon("cb1.child");
    mark("registered");
}
static intptr_t sleep_twice(void *arg) {
    (void)arg;
    must_equal(weft_loop_call_soon(loop, cb1, NULL).error, 0);
    soon("cb2");
    weft_sleep(0);
    mark("after1");
    weft_sleep(0);
    mark("after2");
    return 0;
}
static void test_L1_B3_in_order_in_the_next_turn(void **state) {
    (void)state;
    assert_int_equal(weft_loop_run_until_complete(loop, weft_coroutine(sleep_twice, NULL)), 0);
    assert_string_equal(trace, "cb1 registered cb2 after1 cb1.child after2");
}

static intptr_t mark_t1(void *arg) {
    (void)arg;
    mark("t1");
    return 0;
}
static intptr_t b2_main(void *arg) {
    (void)arg;
    soon("cs1");
    weft_task *task = weft_spawn(mark_t1, NULL);
    soon("cs2");
    mark("m");
    weft_join(task);
    mark("m2");
    return 0;
}
static void test_B2_tasks_and_callbacks_share_one_queue(void **state) {
    (void)state;
    assert_int_equal(weft_loop_run_until_complete(loop, weft_coroutine(b2_main, NULL)), 0);
    assert_string_equal(trace, "m cs1 t1 cs2 m2");
}

static weft_handle victim;
static void cancel_victim(void *arg) {
    (void)arg;
    mark("canceller");
    must_equal(weft_handle_cancel(victim), WEFT_HANDLE_CANCELLED);
    must_equal(weft_handle_cancel(victim), WEFT_HANDLE_CANCELLED);
}
static void cancel_self(void *self) { must_equal(weft_handle_cancel(*(weft_handle *)self), WEFT_HANDLE_RUNNING); }
static void test_L2_a_cancelled_handle_never_runs(void **state) {
    (void)state;
    weft_handle self;
    assert_int_equal(weft_loop_call_soon(loop, cancel_victim, NULL).error, 0);
    victim = weft_loop_call_soon(loop, mark_callback, "victim"); /* the same batch */
    self = weft_loop_call_soon(loop, cancel_self, &self);
    weft_handle timer = weft_loop_call_later(loop, WEFT_SEC(3600), mark_callback, "timer");
    assert_int_equal(weft_handle_cancel(timer), WEFT_HANDLE_CANCELLED);
    run_queued();
    assert_string_equal(trace, "canceller");
    assert_int_equal(weft_handle_cancel(victim), WEFT_HANDLE_GONE);
    assert_int_equal(weft_handle_cancel(self), WEFT_HANDLE_GONE);
    assert_int_equal(weft_handle_cancel(timer), WEFT_HANDLE_GONE);
    soon("again"); /* perhaps in the same record */
    assert_int_equal(weft_handle_cancel(victim), WEFT_HANDLE_GONE);
    run_queued();
    assert_string_equal(trace, "canceller again");
}

static int64_t called_ns;
static void note_time(void *arg) {
    (void)arg;
    called_ns = weft_loop_time(loop);
    weft_loop_stop(loop);
}
static void test_L3_L4_not_before_its_time(void **state) {
    (void)state;
    int64_t before = weft_loop_time(loop);
    weft_handle handle = weft_loop_call_later(loop, WEFT_MS(20), note_time, NULL);
    assert_true(handle.when_ns >= before + WEFT_MS(20) && handle.when_ns <= weft_time() + WEFT_MS(20));
    assert_int_equal(weft_loop_run_forever(loop), 0);
    assert_true(called_ns >= handle.when_ns);
    handle = weft_loop_call_at(loop, weft_time() + WEFT_MS(5), note_time, NULL);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    assert_true(called_ns >= handle.when_ns);
    assert_true(called_ns < before + WEFT_SEC(5));
}

static void test_L5_L6_B6_due_timers_by_their_times(void **state) {
    (void)state;
    weft_loop_call_later(loop, 0, mark_callback, "later0");
    soon("soon");
    weft_loop_call_later(loop, -WEFT_SEC(1), mark_callback, "neg1");
    weft_loop_call_later(loop, -WEFT_SEC(2), mark_callback, "neg2");
    assert_int_equal(weft_loop_stop(loop), 0);
    assert_int_equal(weft_loop_run_forever(loop), 0); /* one turn */
    assert_string_equal(trace, "soon neg2 neg1 later0");
}

static int sockets[2];
static void on_readable(void *arg) {
    (void)arg;
    mark("io");
    must_equal(weft_loop_remove_reader(loop, sockets[0]), 1);
}
static void test_L6_B7_ready_then_io_then_timers(void **state) {
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    assert_int_equal(write(sockets[1], "x", 1), 1);
    assert_int_equal(weft_loop_add_reader(loop, sockets[0], on_readable, NULL), 0);
    weft_loop_call_later(loop, 0, mark_callback, "timer");
    soon("soon");
    assert_int_equal(weft_loop_stop(loop), 0);
    assert_int_equal(weft_loop_run_forever(loop), 0); /* one turn */
    assert_string_equal(trace, "soon io timer");
    close(sockets[0]);
    close(sockets[1]);
}

static void test_L7_equal_times_keep_their_order(void **state) {
    (void)state;
    int64_t when = weft_time() + WEFT_MS(2);
    static const char *names[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    for (int i = 0; i < 8; i++) weft_loop_call_at(loop, when, mark_callback, (void *)(uintptr_t)names[i]);
    weft_loop_call_at(loop, when + 1, note_time, NULL);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    assert_string_equal(trace, "0 1 2 3 4 5 6 7");
}

static void test_L10_more_than_a_day(void **state) {
    (void)state;
    weft_handle day = weft_loop_call_later(loop, WEFT_SEC(86400) * 400, mark_callback, "day");
    weft_handle ever = weft_loop_call_later(loop, WEFT_FOREVER, mark_callback, "ever");
    assert_int_equal(day.error, 0);
    assert_int_equal(ever.error, 0);
    run_queued();
    assert_string_equal(trace, "");
    assert_int_equal(weft_handle_cancel(day), WEFT_HANDLE_CANCELLED); /* `ever` is left for close to discard */
}

static void test_L11_R5_after_close(void **state) {
    (void)state;
    weft_loop *closed = weft_new_event_loop();
    weft_handle queued = weft_loop_call_soon(closed, mark_callback, "never");
    weft_handle timer = weft_loop_call_later(closed, 0, mark_callback, "never");
    assert_false(weft_loop_is_closed(closed));
    assert_int_equal(weft_loop_close(closed), 0);
    assert_int_equal(weft_loop_close(closed), 0);
    assert_true(weft_loop_is_closed(closed));
    assert_int_equal(weft_handle_cancel(queued), WEFT_HANDLE_GONE); /* MT14 */
    assert_int_equal(weft_handle_cancel(timer), WEFT_HANDLE_GONE);
    assert_int_equal(weft_loop_call_soon(closed, mark_callback, "no").error, -ESHUTDOWN);
    assert_int_equal(weft_loop_call_later(closed, 0, mark_callback, "no").error, -ESHUTDOWN);
    assert_int_equal(weft_loop_call_at(closed, 0, mark_callback, "no").error, -ESHUTDOWN);
    assert_int_equal(weft_loop_call_soon_threadsafe(closed, mark_callback, "no").error, -ESHUTDOWN);
    assert_int_equal(weft_loop_add_reader(closed, 0, mark_callback, "no"), -ESHUTDOWN);
    assert_int_equal(weft_loop_stop(closed), -ESHUTDOWN);
    assert_int_equal(weft_loop_run_forever(closed), -ESHUTDOWN);
    assert_int_equal(weft_join(weft_loop_create_task(closed, weft_coroutine(mark_t1, NULL))), -ESHUTDOWN);
    assert_int_equal(weft_loop_run_until_complete(closed, weft_coroutine(mark_t1, NULL)), -ESHUTDOWN);
    assert_string_equal(trace, "");
    weft_loop_release(closed);
}

static int links;
static void perpetuate(void *arg) {
    (void)arg;
    links++;
    if (!called_ns) weft_loop_call_soon(loop, perpetuate, NULL);
}
static void test_L14_a_chain_starves_no_timer(void **state) {
    (void)state;
    called_ns = 0;
    links = 0;
    weft_loop_call_soon(loop, perpetuate, NULL);
    weft_loop_call_later(loop, WEFT_MS(5), note_time, NULL);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    assert_true(called_ns > 0 && links > 1);
}

static _Atomic long fired;
static void count_fired(void *arg) {
    (void)arg;
    atomic_fetch_add(&fired, 1);
}
static _Atomic(weft_handle *) offered;
static _Atomic long cancelled_first;
static void *cancel_offered(void *rounds) {
    for (long i = 0; i < (long)rounds; i++) {
        weft_handle *handle;
        for (unsigned spin = 1; !(handle = atomic_load(&offered)); spin++)
            if (spin % 64 == 0) sched_yield();
        weft_handle copy = *handle;
        atomic_store(&offered, NULL);
        if (weft_handle_cancel(copy) == WEFT_HANDLE_CANCELLED) atomic_fetch_add(&cancelled_first, 1);
    }
    return NULL;
}
static intptr_t offer(void *rounds) {
    static weft_handle handle;
    for (long i = 0; i < (long)rounds; i++) {
        if (i % 2) handle = weft_loop_call_soon(loop, count_fired, NULL);
        else handle = weft_loop_call_later(loop, i % 4 ? 0 : WEFT_US(100), count_fired, NULL);
        atomic_store(&offered, &handle);
        while (atomic_load(&offered)) weft_sleep(0);
        if (i % 3) weft_sleep(0);
    }
    weft_sleep(WEFT_MS(1));
    return 0;
}
/* The timer's cancel races with its firing: each is either called or cancelled. */
static void test_L2_MT8_cancel_races_with_the_call(void **state) {
    (void)state;
    long rounds = ROUNDS(100000);
    atomic_store(&fired, 0);
    atomic_store(&cancelled_first, 0);
    pthread_t thread = thread_start(cancel_offered, (void *)rounds);
    assert_int_equal(weft_loop_run_until_complete(loop, weft_coroutine(offer, (void *)rounds)), 0);
    thread_join(thread);
    run_queued();
    assert_int_equal(atomic_load(&fired) + atomic_load(&cancelled_first), rounds);
}

/* ---- running and stopping ---- */

static intptr_t give(void *arg) { return (intptr_t)arg; }
static void test_R1_result_or_error(void **state) {
    (void)state;
    assert_int_equal(weft_loop_run_until_complete(loop, weft_coroutine(give, (void *)42)), 42);
    assert_int_equal(weft_loop_run_until_complete(loop, weft_coroutine(give, (void *)-EIO)), -EIO);
    assert_int_equal(weft_loop_run_until_complete(loop, NULL), -EINVAL);
    weft_future *future = weft_loop_create_future(loop);
    weft_future_set_result(future, 7);
    assert_int_equal(weft_loop_run_until_complete(loop, future), 7);
    assert_int_equal(weft_join(future), 7);
    weft_task *task = weft_loop_create_task(loop, weft_coroutine(give, (void *)3));
    assert_int_equal(weft_loop_run_until_complete(loop, task), 3);
    weft_release(task);
}

static intptr_t stop_early(void *arg) {
    (void)arg;
    weft_loop_stop(loop);
    weft_sleep(0);
    return 5;
}
static void test_R1_stopped_before_it_was_done(void **state) {
    (void)state;
    weft_task *task = weft_loop_create_task(loop, weft_coroutine(stop_early, NULL));
    assert_int_equal(weft_loop_run_until_complete(loop, task), -EINPROGRESS);
    assert_int_equal(weft_loop_run_until_complete(loop, task), 5);
    weft_release(task);
}

static void check_running(void *arg) {
    (void)arg;
    must(weft_loop_is_running(loop) && !weft_loop_is_closed(loop) && weft_get_running_loop() == loop);
    must_equal(weft_loop_run_forever(loop), -EBUSY);                                       /* R6 */
    must_equal(weft_loop_run_until_complete(loop, weft_coroutine(give, NULL)), -EBUSY);
    must_equal(weft_loop_close(loop), -EBUSY);                                             /* R5 */
    weft_loop *other = weft_new_event_loop();
    must_equal(weft_loop_run_forever(other), -EDEADLK);
    must_equal(weft_run(weft_coroutine(give, NULL)), -EDEADLK);                            /* RN2 */
    must_equal(weft_loop_close(other), 0);
    weft_loop_release(other);
    weft_loop_stop(loop);
}
static void *run_from_elsewhere(void *arg) {
    (void)arg;
    must_equal(weft_loop_run_forever(loop), -EBUSY);
    weft_loop_stop(loop); /* MT12: the loop sleeps, and is woken */
    return NULL;
}
static void test_R2_R6_truthful_and_exclusive(void **state) {
    (void)state;
    assert_false(weft_loop_is_running(loop));
    weft_loop_call_soon(loop, check_running, NULL);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    assert_false(weft_loop_is_running(loop));
}
static void start_other(void *thread) { *(pthread_t *)thread = thread_start(run_from_elsewhere, NULL); }
static void test_R6_MT12_another_thread(void **state) {
    (void)state;
    pthread_t thread;
    weft_loop_call_soon(loop, start_other, &thread);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    thread_join(thread);
}

static void queue_child(void *what) {
    mark(what);
    soon("child");
}
static void test_R3_B4_stop_before_run(void **state) {
    (void)state;
    weft_loop_call_soon(loop, queue_child, "a");
    assert_int_equal(weft_loop_stop(loop), 0);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    mark("bar");
    run_queued();
    assert_string_equal(trace, "a bar child");
}
static void stop_and_queue(void *arg) {
    (void)arg;
    stop("stop");
    soon("child");
}
static void test_R4_B5_the_batch_ends(void **state) {
    (void)state;
    soon("1");
    weft_loop_call_soon(loop, stop_and_queue, NULL);
    soon("3");
    assert_int_equal(weft_loop_run_forever(loop), 0);
    mark("bar");
    run_queued();
    assert_string_equal(trace, "1 stop 3 bar child");
}

static int reports;
static void count_report(weft_loop *where, const weft_exception_record *record, void *arg) {
    must(where == loop || arg);
    must(record->message && record->name);
    reports++;
}
static intptr_t sleep_for_ever(void *arg) {
    intptr_t result = weft_sleep(WEFT_FOREVER);
    mark(arg);
    must_equal(weft_sleep(WEFT_MS(1)), 0); /* clean-up may await */
    return result;
}
static void test_T18_pending_at_close_is_reported_and_ended(void **state) {
    (void)state;
    weft_loop *other = weft_new_event_loop();
    reports = 0;
    weft_loop_set_exception_handler(other, count_report, &reports);
    weft_task *task = weft_loop_create_task(other, weft_coroutine(sleep_for_ever, "cleaned"));
    weft_release(weft_loop_create_task(other, weft_coroutine(sleep_for_ever, "too"))); /* nobody holds it */
    weft_loop_stop(other);
    assert_int_equal(weft_loop_run_forever(other), 0);
    assert_false(weft_done(task));
    assert_int_equal(weft_loop_close(other), 0);
    assert_int_equal(reports, 2);
    assert_int_equal(weft_join(task), -ECANCELED);
    assert_true(strcmp(trace, "cleaned too") == 0 || strcmp(trace, "too cleaned") == 0);
    weft_loop_release(other);
}

static void test_R9_R10_R11_which_loop(void **state) {
    (void)state;
    assert_null(weft_get_running_loop());
    assert_null(weft_get_event_loop());
    weft_set_event_loop(loop);
    assert_ptr_equal(weft_get_event_loop(), loop);
    assert_null(weft_get_running_loop());
    weft_set_event_loop(NULL);
    assert_null(weft_get_event_loop());
}

static void test_R11_options(void **state) {
    (void)state;
    assert_null(weft_new_event_loop_with((weft_options){.workers = 2}));
    assert_null(weft_new_event_loop_with((weft_options){.stack_bytes = SIZE_MAX}));
    weft_loop *other = weft_new_event_loop_with((weft_options){.driver = "epoll", .debug = 1});
    assert_true(weft_loop_get_debug(other));
    assert_int_equal(weft_loop_run_until_complete(other, weft_coroutine(give, (void *)1)), 1);
    assert_int_equal(weft_loop_close(other), 0);
    weft_loop_release(other);
    assert_int_equal(weft_loop_close(NULL), -EINVAL);
    weft_loop_release(NULL);
}

static void test_R13_given_up_unclosed(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    weft_loop_release(weft_new_event_loop());
    assert_int_equal(capture_end(capture, "without being closed"), 1);
}

/* ---- a loop that is run by several threads, with I/O under way ---- */

static intptr_t receive(void *arg) {
    char byte = 0;
    (void)arg;
    intptr_t n = weft_recv(sockets[0], &byte, 1, 0);
    return n == 1 ? byte : n;
}
static void *run_by_another(void *task) { return (void *)weft_loop_run_until_complete(loop, task); }
static void test_R1_operations_move_to_the_next_thread(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        weft_task *task = weft_loop_create_task(loop, weft_coroutine(receive, NULL));
        if (round % 4 == 3) assert_int_equal(write(sockets[1], "q", 1), 1);
        for (int i = 0; i <= round % 3; i++) {
            weft_loop_stop(loop);
            assert_int_equal(weft_loop_run_forever(loop), 0);
        }
        if (round % 4 != 3) assert_int_equal(write(sockets[1], "q", 1), 1);
        if (round % 2) assert_int_equal(weft_loop_run_until_complete(loop, task), 'q');
        else assert_int_equal((intptr_t)thread_join(thread_start(run_by_another, task)), 'q');
        weft_release(task);
        close(sockets[0]);
        close(sockets[1]);
    }
}

/* ---- done callbacks ---- */

static void mark_done(weft_future *future, void *what) {
    must(weft_done(future) && !weft_current_task() && weft_get_running_loop() == loop);
    mark(what);
}
static intptr_t complete_and_watch(void *arg) {
    weft_future *future = weft_future_new();
    (void)arg;
    must_equal(weft_add_done_callback(future, mark_done, "first"), 0);
    must_equal(weft_add_done_callback(future, mark_done, "gone"), 0);
    must_equal(weft_add_done_callback(future, mark_done, "second"), 0);
    must_equal(weft_add_done_callback(future, mark_done, "second"), 0);
    must_equal(weft_remove_done_callback(future, mark_done, "gone"), 1);
    must_equal(weft_remove_done_callback(future, mark_done, "gone"), 0);
    must_equal(weft_future_set_result(future, 1), 0);
    must_equal(weft_remove_done_callback(future, mark_done, "first"), 0);
    mark("set");
    soon("soon");
    must_equal(weft_add_done_callback(future, mark_done, "late"), 0);
    mark("added");
    weft_sleep(0);
    weft_release(future);
    return 0;
}
static void test_F5_F6_done_callbacks_are_queued(void **state) {
    (void)state;
    assert_int_equal(weft_loop_run_until_complete(loop, weft_coroutine(complete_and_watch, NULL)), 0);
    assert_string_equal(trace, "set added first second second soon late");
}

static void test_F11_the_loop_of_a_future(void **state) {
    (void)state;
    weft_future *mine = weft_loop_create_future(loop), *free = weft_future_new();
    assert_ptr_equal(weft_future_get_loop(mine), loop);
    assert_null(weft_future_get_loop(free));
    assert_int_equal(weft_add_done_callback(free, mark_done, "x"), -EPERM);
    assert_int_equal(weft_add_done_callback(mine, mark_done, "mine"), 0); /* from a plain thread: its own loop */
    assert_int_equal(weft_future_set_result(mine, 1), 0);
    assert_string_equal(trace, "");
    run_queued();
    assert_string_equal(trace, "mine");
    weft_release(mine);
    weft_release(free);
}

static void *complete_elsewhere(void *future) {
    must_equal(weft_future_set_result(future, 1), 0);
    return NULL;
}
static _Atomic long called_back;
static void count_done(weft_future *future, void *arg) {
    must(weft_get_running_loop() == loop);
    (void)arg;
    (void)future;
    atomic_fetch_add(&called_back, 1);
}
static intptr_t race_removal(void *rounds) {
    long removed = 0, expected = 0;
    for (long i = 0; i < (long)rounds; i++) {
        weft_future *future = weft_future_new();
        for (int k = 0; k < 3; k++, expected++) must_equal(weft_add_done_callback(future, count_done, NULL), 0);
        pthread_t thread = thread_start(complete_elsewhere, future);
        removed += weft_remove_done_callback(future, count_done, NULL);
        must_equal(weft_add_done_callback(future, count_done, NULL), 0);
        expected++;
        weft_await(future);
        thread_join(thread);
        weft_release(future);
    }
    while (atomic_load(&called_back) + removed < expected) weft_sleep(0);
    weft_sleep(0);
    must_equal(atomic_load(&called_back) + removed, expected);
    return 0;
}
static void test_MT6_MT7_callbacks_and_completion_race(void **state) {
    (void)state;
    atomic_store(&called_back, 0);
    weft_future *race = weft_coroutine(race_removal, (void *)(intptr_t)ROUNDS(5000));
    assert_int_equal(weft_loop_run_until_complete(loop, race), 0);
}

/* ---- thread checks ---- */

static weft_handle from_elsewhere;
static void *call_from_elsewhere(void *arg) {
    (void)arg;
    from_elsewhere = weft_loop_call_soon(loop, mark_callback, "foreign");
    weft_loop_call_soon_threadsafe(loop, stop, NULL);
    return NULL;
}
static void start_caller(void *thread) { *(pthread_t *)thread = thread_start(call_from_elsewhere, NULL); }
static void test_TH3_DB1_foreign_threads_are_detected(void **state) {
    (void)state;
    pthread_t thread;
    weft_loop_set_debug(loop, true);
    weft_loop_call_soon(loop, start_caller, &thread);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    thread_join(thread);
    assert_int_equal(from_elsewhere.error, -EPERM);
    weft_loop_set_debug(loop, false);
    weft_loop_call_soon(loop, start_caller, &thread);
    assert_int_equal(weft_loop_run_forever(loop), 0);
    thread_join(thread);
    assert_int_equal(from_elsewhere.error, 0);
    run_queued();
    assert_string_equal(trace, "foreign");
}

static intptr_t both_kinds(void *arg) {
    (void)arg;
    soon("1");
    weft_loop_call_soon_threadsafe(loop, mark_callback, "2");
    soon("3");
    weft_sleep(0);
    return 0;
}
static void test_TH2_one_order_from_its_own_thread(void **state) {
    (void)state;
    assert_int_equal(weft_loop_run_until_complete(loop, weft_coroutine(both_kinds, NULL)), 0);
    assert_string_equal(trace, "1 2 3");
}

#define rule(name) cmocka_unit_test_setup_teardown(name, make_loop, close_loop)
int main(void) {
    const struct CMUnitTest tests[] = {
        rule(test_L1_B3_in_order_in_the_next_turn),
        rule(test_B2_tasks_and_callbacks_share_one_queue),
        rule(test_L2_a_cancelled_handle_never_runs),
        rule(test_L3_L4_not_before_its_time),
        rule(test_L5_L6_B6_due_timers_by_their_times),
        rule(test_L6_B7_ready_then_io_then_timers),
        rule(test_L7_equal_times_keep_their_order),
        rule(test_L10_more_than_a_day),
        rule(test_L11_R5_after_close),
        rule(test_L14_a_chain_starves_no_timer),
        rule(test_L2_MT8_cancel_races_with_the_call),
        rule(test_R1_result_or_error),
        rule(test_R1_stopped_before_it_was_done),
        rule(test_R2_R6_truthful_and_exclusive),
        rule(test_R6_MT12_another_thread),
        rule(test_R3_B4_stop_before_run),
        rule(test_R4_B5_the_batch_ends),
        rule(test_T18_pending_at_close_is_reported_and_ended),
        rule(test_R9_R10_R11_which_loop),
        rule(test_R11_options),
        rule(test_R13_given_up_unclosed),
        rule(test_R1_operations_move_to_the_next_thread),
        rule(test_F5_F6_done_callbacks_are_queued),
        rule(test_F11_the_loop_of_a_future),
        rule(test_MT6_MT7_callbacks_and_completion_race),
        rule(test_TH3_DB1_foreign_threads_are_detected),
        rule(test_TH2_one_order_from_its_own_thread),
    };
    return run_group(tests);
}
