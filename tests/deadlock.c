/* Debug mode's report of a deadlock: who waits for whom, once; and silence as long as anything could go on. */
#define _GNU_SOURCE
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "stderr_support.h"

#define PATIENCE_NS WEFT_SEC(30)
#define LOOKS_NS WEFT_MS(60) /* enough for several looks of the watchman */

static const weft_options each_kind[] = {
    {.workers = 2}, {.workers = 1}, {.fifo = true}, {.workers = 2, .no_rescue = true},
    {.workers = 2, .driver = "epoll"}};
#define KINDS (sizeof each_kind / sizeof each_kind[0])

static weft_task *spawn(const char *name, weft_fn *fn, void *arg) {
    return weft_create_task_with((weft_task_options){.name = name}, weft_coroutine(fn, arg));
}

static void rest_for(int64_t ns) {
    for (int64_t end = weft_time() + ns; weft_time() < end;) poll(NULL, 0, 5);
}

/* ---- a thread that ends the deadlock once it was reported ---- */

struct saviour {
    pthread_t thread;
    weft_task *victim;
};

static void *save(void *arg) {
    struct saviour *self = arg;
    int64_t end = weft_time() + PATIENCE_NS;
    while (times_said("weft: deadlock?") == 0 && weft_time() < end) poll(NULL, 0, 1);
    rest_for(LOOKS_NS); /* so that a second report would be seen */
    weft_cancel(self->victim);
    return NULL;
}

/* Awaits `victim` as the main task, for as long as it takes to report that. */
static intptr_t until_reported(weft_task *victim) {
    struct saviour self = {.victim = victim};
    must_equal(pthread_create(&self.thread, NULL, save, &self), 0);
    intptr_t result = weft_await(victim);
    must_equal(pthread_join(self.thread, NULL), 0);
    return result;
}

struct line {
    const char *text;
    unsigned times;
};

static void expect_report(weft_fn *fn, const struct line *lines, unsigned count) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        weft_options options = each_kind[kind];
        options.debug = 1;
        int before = stderr_begin();
        intptr_t result = weft_run_fn_with(options, fn, NULL);
        unsigned reports = times_said("weft: deadlock?"), times[8] = {0};
        for (unsigned i = 0; i < count; i++) times[i] = times_said(lines[i].text);
        stderr_end(before);
        assert_int_equal(result, 0);
        assert_int_equal(reports, 1);
        for (unsigned i = 0; i < count; i++) assert_int_equal(times[i], lines[i].times);
    }
}
#define EXPECT_REPORT(fn, ...)                                                                                \
    do {                                                                                                      \
        const struct line lines_[] = {__VA_ARGS__};                                                           \
        expect_report(fn, lines_, sizeof lines_ / sizeof lines_[0]);                                          \
    } while (0)

/* ---- tasks that await each other ---- */

static _Atomic(weft_task *) left, right;

static intptr_t await_other(void *arg) {
    _Atomic(weft_task *) *other = arg;
    while (!atomic_load(other)) weft_yield();
    return weft_await(atomic_load(other));
}

/* Begins both, that await each other from then on. */
static void close_circle(void) {
    atomic_store(&left, NULL);
    atomic_store(&right, NULL);
    weft_task *one = spawn("left", await_other, &right), *other = spawn("right", await_other, &left);
    atomic_store(&left, one);
    atomic_store(&right, other);
}

static intptr_t circle(void *arg) {
    (void)arg;
    close_circle();
    weft_task *one = left, *other = right;
    must_equal(until_reported(one), -ECANCELED);
    must_equal(weft_join(other), -ECANCELED);
    weft_release(one);
    return 0;
}

static void test_circle_of_awaits(void **state) {
    (void)state;
    EXPECT_REPORT(circle, {"weft: deadlock? Tasks: 3.", 1}, {" waits for task 'right' [circle 1]\n", 1},
                  {" waits for task 'left' [circle 1]\n", 1}, {"[circle", 2});
}

/* Somebody else goes on meanwhile. */
static intptr_t small_circle(void *arg) {
    (void)arg;
    close_circle();
    weft_task *one = left, *other = right;
    for (int64_t end = weft_time() + PATIENCE_NS; times_said("weft: 2 tasks await each other;") == 0;) {
        must_equal(weft_sleep(WEFT_MS(1)), 0);
        must(weft_time() < end);
    }
    weft_cancel(one);
    must_equal(weft_await(one), -ECANCELED);
    must_equal(weft_join(other), -ECANCELED); /* which may await the one until then */
    weft_release(one);
    return 0;
}

static void test_circle_of_some(void **state) {
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        weft_options options = each_kind[kind];
        options.debug = 1;
        int before = stderr_begin();
        intptr_t result = weft_run_fn_with(options, small_circle, NULL);
        unsigned ones = times_said(" waits for task 'left'\n"), others = times_said(" waits for task 'right'\n");
        stderr_end(before);
        assert_int_equal(result, 0);
        assert_true(ones >= 1 && ones == others);
    }
}

/* ---- locks in two orders ---- */

static weft_lock first_lock, second_lock;
static weft_event both_hold;
static _Atomic bool forward_runs;

static intptr_t lock_both(weft_lock *one, weft_lock *other, bool last) {
    must_equal(weft_lock_acquire(one), 0);
    if (last) weft_event_set(&both_hold);
    else must_equal(weft_event_wait(&both_hold), 0);
    int error = weft_lock_acquire(other);
    if (error == 0) weft_lock_release(other);
    weft_lock_release(one);
    return error;
}

static intptr_t lock_forward(void *arg) {
    (void)arg;
    atomic_store(&forward_runs, true);
    return lock_both(&first_lock, &second_lock, false);
}

static intptr_t lock_backward(void *arg) { return (void)arg, lock_both(&second_lock, &first_lock, true); }

static intptr_t two_orders(void *arg) {
    (void)arg;
    weft_event_init(&both_hold);
    must_equal(weft_lock_acquire(&first_lock), 0);
    atomic_store(&forward_runs, false);
    weft_task *forward = spawn("forward", lock_forward, NULL);
    while (!atomic_load(&forward_runs)) weft_yield();
    for (int i = 0; i < 100; i++) weft_yield(); /* by now it stands in the line, and the lock is handed over to it */
    weft_lock_release(&first_lock);
    while (!weft_lock_locked(&first_lock)) weft_yield();
    weft_task *backward = spawn("backward", lock_backward, NULL);
    must_equal(until_reported(forward), -ECANCELED);
    must_equal(weft_join(backward), 0);
    weft_release(forward);
    return 0;
}

static void test_locks_in_two_orders(void **state) {
    (void)state;
    EXPECT_REPORT(two_orders, {"waits for a lock (0x", 2}, {", which task 'forward' holds [circle 1]", 1},
                  {", which task 'backward' holds [circle 1]", 1});
}

/* ---- waits that have no end ---- */

static intptr_t await_future(void *arg) { return weft_await(arg); }

static intptr_t nobody_completes(void *arg) {
    (void)arg;
    weft_future *future = weft_future_new();
    weft_task *task = spawn("hopeful", await_future, future);
    must_equal(until_reported(task), -ECANCELED);
    weft_release(task);
    weft_release(future);
    return 0;
}

static intptr_t get(void *arg) {
    intptr_t item;
    return weft_queue_get(arg, &item);
}

static intptr_t nobody_puts(void *arg) {
    weft_queue queue;
    (void)arg;
    must_equal(weft_queue_init(&queue, 1), 0);
    weft_task *task = spawn("consumer", get, &queue);
    must_equal(until_reported(task), -ECANCELED);
    weft_release(task);
    weft_queue_fini(&queue);
    return 0;
}

static void test_waits_without_end(void **state) {
    (void)state;
    EXPECT_REPORT(nobody_completes, {"weft:   task 'hopeful' (made at ", 1}, {" waits for a future\n", 1},
                  {"[circle", 0});
    EXPECT_REPORT(nobody_puts, {"weft:   task 'consumer' (made at ", 1}, {" waits for an item of a queue (0x", 1},
                  {"[circle", 0});
}

/* ---- as long as anything is under way ---- */

static intptr_t rest_on_thread(void *arg) {
    (void)arg;
    rest_for(LOOKS_NS);
    return 0;
}

/* Reported, but only once the job is over. */
static intptr_t after_a_job(void *arg) {
    weft_future *job = weft_to_thread(rest_on_thread, arg);
    intptr_t result = nobody_completes(NULL);
    must(weft_done(job));
    must_equal(weft_await(job), 0);
    return result;
}

static intptr_t sleep_long(void *arg) { return (void)arg, weft_sleep(WEFT_SEC(60)); }

/* A timer that is cancelled while the worker which it belongs to may sleep. */
static intptr_t after_a_timer(void *arg) {
    (void)arg;
    weft_task *sleeper = spawn("sleeper", sleep_long, NULL);
    weft_sleep(WEFT_MS(1));
    weft_cancel(sleeper);
    must_equal(weft_join(sleeper), -ECANCELED);
    return nobody_completes(NULL);
}

static void test_once_nothing_is_under_way_any_more(void **state) {
    (void)state;
    EXPECT_REPORT(after_a_job, {"weft:   task 'hopeful' (made at ", 1});
    EXPECT_REPORT(after_a_timer, {"weft:   task 'hopeful' (made at ", 1});
}

static intptr_t wait_for_time(void *arg) { return (void)arg, weft_sleep(LOOKS_NS); }

static intptr_t wait_for_thread(void *arg) { return weft_await(weft_to_thread(rest_on_thread, arg)); }

static intptr_t wait_in_region(void *arg) {
    (void)arg;
    must_equal(weft_enter_blocking(), 0);
    rest_for(LOOKS_NS);
    return weft_leave_blocking();
}

WEFT_JOB(rest_in_process) {
    for (int64_t end = weft_time() + LOOKS_NS; weft_time() < end;) poll(NULL, 0, 5);
    return 0;
}

static intptr_t wait_for_process(void *arg) {
    (void)arg;
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 1});
    intptr_t result = weft_process_pool_call(pool, rest_in_process, NULL, 0, NULL, 0);
    must_equal(weft_process_pool_release(pool), 0);
    return result;
}

static void *write_later(void *arg) {
    rest_for(LOOKS_NS);
    must_equal(write(*(int *)arg, "x", 1), 1);
    return NULL;
}

static intptr_t wait_for_pipe(void *arg) {
    int ends[2];
    char byte;
    pthread_t thread;
    (void)arg;
    must_equal(pipe(ends), 0);
    must_equal(pthread_create(&thread, NULL, write_later, &ends[1]), 0);
    must_equal(weft_read(ends[0], &byte, 1), 1);
    must_equal(pthread_join(thread, NULL), 0);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void set(void *event) { weft_event_set(event); }

static void *raise_later(void *arg) {
    rest_for(LOOKS_NS);
    kill(getpid(), SIGUSR1);
    return arg;
}

static intptr_t wait_for_signal(void *arg) {
    weft_event event = WEFT_EVENT_INIT;
    pthread_t thread;
    (void)arg;
    must_equal(weft_loop_add_signal_handler(weft_get_running_loop(), SIGUSR1, set, &event), 0);
    must_equal(pthread_create(&thread, NULL, raise_later, NULL), 0);
    must_equal(weft_event_wait(&event), 0);
    must_equal(pthread_join(thread, NULL), 0);
    return 0;
}

static void expect_silence(weft_fn *fn, int debug) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        weft_options options = each_kind[kind];
        options.debug = debug;
        int before = stderr_begin();
        intptr_t result = weft_run_fn_with(options, fn, NULL);
        unsigned reports = times_said("weft: deadlock");
        stderr_end(before);
        assert_int_equal(result, 0);
        assert_int_equal(reports, 0);
    }
}

static void test_silence_while_anything_is_under_way(void **state) {
    (void)state;
    static weft_fn *const waits[] = {wait_for_time, wait_for_thread, wait_in_region, wait_for_process, wait_for_pipe};
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) expect_silence(waits[i], 1);
}

static void *complete_later(void *future) {
    rest_for(LOOKS_NS);
    weft_future_set_result(future, 0);
    return NULL;
}

static intptr_t wait_for_another_thread(void *arg) {
    pthread_t thread;
    (void)arg;
    weft_future *future = weft_future_new();
    must_equal(pthread_create(&thread, NULL, complete_later, future), 0);
    must_equal(weft_await(future), 0);
    must_equal(pthread_join(thread, NULL), 0);
    weft_release(future);
    return 0;
}

static void test_silence_without_debug_mode(void **state) {
    (void)state;
    expect_silence(wait_for_another_thread, -1);
}

/* (Only the main thread of the program may add a handler: so worker 0 must run the main task.) */
static void test_silence_while_a_signal_is_handled(void **state) {
    (void)state;
    int before = stderr_begin();
    intptr_t result = weft_run_fn_with((weft_options){.fifo = true, .debug = 1}, wait_for_signal, NULL);
    unsigned reports = times_said("weft: deadlock");
    stderr_end(before);
    assert_int_equal(result, 0);
    assert_int_equal(reports, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_circle_of_awaits),
        cmocka_unit_test(test_circle_of_some),
        cmocka_unit_test(test_locks_in_two_orders),
        cmocka_unit_test(test_waits_without_end),
        cmocka_unit_test(test_once_nothing_is_under_way_any_more),
        cmocka_unit_test(test_silence_while_anything_is_under_way),
        cmocka_unit_test(test_silence_while_a_signal_is_handled),
        cmocka_unit_test(test_silence_without_debug_mode),
    };
    if (weft_process_pool_prepare() != 0) return 1; /* later there are threads */
    return run_group(tests);
}
