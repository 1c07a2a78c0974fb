/* Several threads: rules MT1, MT2, MT4, MT5, MT8, MT11, MT13, MT14, MT16, MT18 and MT19, and what other threads
 * may call, TH1, TH2, TH4 and TH5. */
#define _GNU_SOURCE
#include "race_support.h"

#include <semaphore.h>

#define PRODUCERS 8

static long rounds;

/* ---- MT1: steps of a task never overlap, and each sees all that the former wrote, wherever it ran ---- */

struct stepper {
    long plain;                 /* no atomic: TSan looks */
    _Atomic int inside;
    weft_future *futures[2];
};

static intptr_t steps(void *arg) {
    struct stepper *self = arg;
    weft_loop *loops[2] = {weft_get_running_loop(), weft_get_running_loop()};
    for (long i = 0; i < rounds; i++) {
        must_equal(atomic_fetch_add(&self->inside, 1), 0);
        must_equal(self->plain++, i);
        must_equal(atomic_fetch_sub(&self->inside, 1), 1);
        if (i % 3 == 0) must_equal(weft_yield(), 0);
        else if (i % 3 == 1) must_equal(weft_sleep(0), 0);
        else must_equal(weft_sleep(WEFT_US(1)), 0);
        loops[1] = weft_get_running_loop();
    }
    return loops[0] != loops[1];
}

static intptr_t many_steps(void *arg) {
    struct stepper steppers[16] = {0};
    weft_task *tasks[16];
    (void)arg;
    for (int i = 0; i < 16; i++) tasks[i] = weft_spawn(steps, &steppers[i]);
    for (int i = 0; i < 16; i++) {
        must(!weft_is_error(weft_join(tasks[i])));
        must_equal(steppers[i].plain, rounds);
    }
    return 0;
}

static void test_MT1_steps_do_not_overlap(void **state) {
    (void)state;
    rounds = ROUNDS(2000);
    for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
        assert_int_equal(run_on(workers, many_steps, NULL), 0);
}

/* ---- MT2: on a strict-order loop, and among what is pinned to one loop, nothing runs at the same time ---- */

static long unguarded; /* no atomic */
static void counts_in_callback(void *arg) {
    (void)arg;
    unguarded++;
}
static intptr_t counts_in_task(void *loop) {
    for (long i = 0; i < rounds; i++) {
        unguarded++;
        must_equal(weft_loop_call_soon_threadsafe(loop, counts_in_callback, NULL).error, 0);
        must_equal(i % 16 ? weft_yield() : weft_sleep(WEFT_US(1)), 0);
    }
    return 0;
}

static intptr_t one_at_a_time(void *arg) {
    weft_task *tasks[8];
    weft_loop *here = weft_get_running_loop();
    (void)arg;
    unguarded = 0;
    for (int i = 0; i < 8; i++)
        tasks[i] = weft_create_task_with((weft_task_options){.loop = here}, weft_coroutine(counts_in_task, here));
    for (int i = 0; i < 8; i++) must_equal(weft_join(tasks[i]), 0);
    return 0;
}

static intptr_t in_one_pinned(void *arg) {
    weft_task_options here = {.pinned = true};
    return weft_join(weft_create_task_with(here, weft_coroutine(one_at_a_time, arg)));
}

static void test_MT2_one_at_a_time(void **state) {
    (void)state;
    rounds = ROUNDS(5000);
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, in_one_pinned, NULL), 0);
        assert_int_equal(unguarded, 16 * rounds); /* callbacks that were queued have run by the end */
    }
}


/* ---- MT11, TH2: none lost, each producer's order kept, on the loop's own thread ---- */

static weft_loop *loop;
static _Atomic long received, producers_left;
static long per_producer, next_of[PRODUCERS];
static weft_future *all_received;
static pthread_t loop_thread;

static void receive(void *arg) {
    uintptr_t message = (uintptr_t)arg;
    must(pthread_equal(pthread_self(), loop_thread));
    must_equal(next_of[message % PRODUCERS]++, message / PRODUCERS);
    if (atomic_fetch_add(&received, 1) + 1 == PRODUCERS * per_producer) weft_future_set_result(all_received, 1);
}

static void *produce(void *arg) {
    for (long i = 0; i < per_producer; i++)
        must_equal(weft_loop_call_soon_threadsafe(loop, receive, (char *)arg + i * PRODUCERS).error, 0);
    return NULL;
}

static intptr_t consume(void *arg) {
    pthread_t threads[PRODUCERS];
    (void)arg;
    loop = weft_get_running_loop();
    loop_thread = pthread_self();
    per_producer = ROUNDS(100000);
    atomic_store(&received, 0);
    memset(next_of, 0, sizeof next_of);
    all_received = weft_future_new();
    for (uintptr_t i = 0; i < PRODUCERS; i++) threads[i] = thread_start(produce, (void *)i);
    must_equal(weft_join(all_received), 1);
    for (int i = 0; i < PRODUCERS; i++) thread_join(threads[i]);
    return 0;
}

static void test_MT11_TH2_producers(void **state) {
    (void)state;
    assert_int_equal(run_on(0, consume, NULL), 0);
    assert_int_equal(run_on(2, consume, NULL), 0);
}

/* ---- TH1: a loop that sleeps in the kernel is woken within 20 ms (the best of five) ---- */

static _Atomic int64_t sent_ns, best_ns;
static void note_arrival(void *done) {
    int64_t late = weft_time() - atomic_load(&sent_ns);
    if (late < atomic_load(&best_ns)) atomic_store(&best_ns, late);
    weft_future_set_result(done, 1);
}

static pid_t sleeper_tid;

static void *send_later(void *done) {
    while (!thread_sleeps(sleeper_tid)) sched_yield();
    atomic_store(&sent_ns, weft_time());
    must_equal(weft_loop_call_soon_threadsafe(loop, note_arrival, done).error, 0);
    return NULL;
}

static intptr_t is_woken(void *arg) {
    (void)arg;
    loop = weft_get_running_loop();
    sleeper_tid = gettid();
    atomic_store(&best_ns, INT64_MAX);
    for (int i = 0; i < 5; i++) {
        weft_future *done = weft_future_new();
        pthread_t thread = thread_start(send_later, done);
        must_equal(weft_join(done), 1);
        thread_join(thread);
    }
    must(atomic_load(&best_ns) < WEFT_MS(20));
    return 0;
}

static void test_TH1_woken(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, is_woken, NULL), 0);
}

/* ---- TH4, TH5, MT18: coroutines from threads that block on the result ---- */

weft_async(answers, (intptr_t, value), (int64_t, after_ns)) {
    int r = weft_sleep(after_ns);
    return r < 0 ? r : value;
}

weft_async(answers_at, (intptr_t, value), (weft_future *, gate)) {
    intptr_t r = weft_await(gate);
    return r < 0 ? r : value;
}

static void *submits(void *arg) {
    intptr_t n = (intptr_t)arg;
    for (intptr_t i = 0; i < ROUNDS(200); i++) {
        intptr_t value = i % 3 ? n * 1000 + i : -EIO;
        must_equal(weft_join(weft_run_coroutine_threadsafe(answers(value, i % 2 * 1000), loop)), value);
    }
    weft_future *gate = weft_future_new();
    weft_future *slow = weft_run_coroutine_threadsafe(answers_at(n, gate), loop);
    must_equal(weft_wait_blocking(slow, WEFT_MS(1)), -ETIMEDOUT); /* TH5: does not stop it */
    must_equal(weft_future_set_result(gate, 0), 0);
    must_equal(weft_join(slow), n);
    weft_release(gate);
    slow = weft_run_coroutine_threadsafe(answers(n, WEFT_SEC(1000)), loop);
    must(weft_cancel(slow));
    must_equal(weft_await(slow), -ECANCELED);
    must(weft_cancelled(slow));
    weft_release(slow);
    atomic_fetch_sub(&producers_left, 1);
    return NULL;
}

static intptr_t serves(void *arg) {
    pthread_t threads[10];
    (void)arg;
    loop = weft_get_running_loop();
    atomic_store(&producers_left, 10);
    for (intptr_t i = 0; i < 10; i++) threads[i] = thread_start(submits, (void *)(i + 1));
    while (atomic_load(&producers_left) > 0) must_equal(weft_sleep(WEFT_US(200)), 0);
    for (int i = 0; i < 10; i++) thread_join(threads[i]);
    return 0;
}

static void test_MT18_TH4_TH5_submissions(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, serves, NULL), 0);
}

/* ---- MT13, MT14: submissions against the end of the runtime ---- */

static _Atomic(weft_loop *) ending;
static _Atomic long callbacks_accepted, callbacks_run;
static sem_t published;

static void count_callback(void *arg) {
    (void)arg;
    atomic_fetch_add(&callbacks_run, 1);
}

static void *submits_until_closed(void *arg) {
    (void)arg;
    sem_wait(&published);
    weft_loop *closing = atomic_load(&ending);
    for (intptr_t i = 0;; i++) {
        weft_future *task = weft_run_coroutine_threadsafe(answers(i, i % 3 ? 0 : WEFT_SEC(1000)), closing);
        if (i % 8) { /* most are waited for, and nobody may stay blocked */
            intptr_t r = i % 3 == 0 ? weft_wait_blocking(task, WEFT_US(10)) : weft_await(task);
            must(r == i || r == -ECANCELED || r == -ESHUTDOWN || (i % 3 == 0 && r == -ETIMEDOUT));
        }
        bool closed = weft_done(task) && weft_result(task) == -ESHUTDOWN;
        weft_release(task);
        int error = weft_loop_call_soon_threadsafe(closing, count_callback, NULL).error;
        if (error == 0) {
            must(!closed); /* one gate for both, and it stays closed */
            atomic_fetch_add(&callbacks_accepted, 1);
        } else {
            must_equal(error, -ESHUTDOWN);
            return NULL;
        }
    }
}

static intptr_t ends_soon(void *arg) {
    atomic_store(&ending, weft_loop_ref(weft_get_running_loop()));
    for (int i = 0; i < 2; i++) sem_post(&published);
    must_equal(weft_sleep((intptr_t)arg), 0);
    return 1;
}

static void test_MT13_MT14_end(void **state) {
    (void)state;
    sem_init(&published, 0, 0);
    for (intptr_t i = 0; i < ROUNDS(500); i++) {
        pthread_t threads[2];
        for (int j = 0; j < 2; j++) threads[j] = thread_start(submits_until_closed, NULL);
        assert_int_equal(run_on((unsigned)i % 3, ends_soon, (void *)(i % 20 * 3000)), 1);
        for (int j = 0; j < 2; j++) thread_join(threads[j]);
        assert_int_equal(weft_loop_call_soon_threadsafe(atomic_load(&ending), count_callback, NULL).error,
                         -ESHUTDOWN);
        weft_loop_release(atomic_load(&ending));
    }
    sem_destroy(&published);
    assert_int_equal(atomic_load(&callbacks_run), atomic_load(&callbacks_accepted));
}

/* ---- MT4 ---- */

static weft_future *prize;
static bool error_wins, cancel_wins; /* the rivals' */

static void sets_error(long round) {
    (void)round;
    error_wins = weft_future_set_exception(prize, -EIO) == 0;
}

static void cancels_prize(long round) {
    (void)round;
    cancel_wins = weft_cancel(prize);
}

static void play_for_prize(struct race *race, long round) {
    prize = weft_future_new();
    race_open(race, round);
    bool result_wins = weft_future_set_result(prize, round) == 0;
    race_close(race, round);
    intptr_t result = weft_result(prize);
    must(weft_done(prize));
    must_equal(result_wins, result == round);
    must_equal(error_wins, result == -EIO);
    must_equal(cancel_wins, result == -ECANCELED);
    must_equal(weft_cancelled(prize), result == -ECANCELED);
    weft_release(prize);
}

static void test_MT4_one_winner(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(100000), .play = play_for_prize, .rivals = {sets_error, cancels_prize}};
    run_race(&race);
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

static void test_MT5_no_lost_wakeup(void **state) {
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

/* ---- MT8 ---- */

/* Cancelled from a thread while it completes: accepted and observed, or refused and finished. */
static weft_task *victim;
static _Atomic bool accepted;
static void cancels_victim(long round) {
    for (unsigned delay = (unsigned)round * 13 % 256; delay > 0; delay--) __asm__ volatile("");
    atomic_store(&accepted, weft_cancel(victim));
}

static intptr_t short_work(void *arg) {
    intptr_t i = (intptr_t)arg, seen = 0;
    seen |= weft_sleep(0);
    if (i % 3 == 0) seen |= weft_sleep(i % 50 * 100);
    if (i % 3 == 1) seen |= weft_yield();
    seen = weft_is_error(seen) ? -ECANCELED : 0;
    return seen ? seen : i;
}

static void play_with_victim(struct race *race, long round) {
    victim = weft_spawn(short_work, (void *)round);
    race_open(race, round);
    intptr_t r = weft_await(victim);
    race_close(race, round);
    must_equal(r, atomic_load(&accepted) ? -ECANCELED : round);
    must_equal(weft_cancelled(victim), atomic_load(&accepted));
    must_equal(weft_cancelling(victim), atomic_load(&accepted));
    must_equal(weft_result(victim), r);
    weft_release(victim);
}

static void test_MT8_cancel_races(void **state) {
    (void)state;
    struct race race = {.rounds = ROUNDS(10000), .play = play_with_victim, .rivals = {cancels_victim}};
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, run_race, &race), 0);
}

/* ---- MT16 (IN1) ---- */

/* The current task through nested awaits, calls in place, suspension and migration. */
static intptr_t is_current(void *arg) {
    weft_task *self = weft_current_task();
    int depth = (int)(intptr_t)arg;
    must(self != NULL);
    if (depth > 0) {
        weft_task *child = weft_spawn(is_current, (void *)(intptr_t)(depth - 1));
        if (depth % 2) must_equal(weft_sleep(0), 0);
        must(weft_current_task() == self);
        intptr_t address = weft_await(child);
        must(weft_current_task() == self);
        must(address == (intptr_t)child); /* it saw itself, and is not we */
        weft_release(child);
    } else {
        must_equal(weft_sleep(WEFT_US(50)), 0);
    }
    must_equal(weft_yield(), 0);
    must(weft_current_task() == self);
    return (intptr_t)self;
}

static intptr_t current(void *arg) {
    (void)arg;
    weft_task *several[8];
    for (int i = 0; i < 8; i++) several[i] = weft_spawn(is_current, (void *)(intptr_t)10);
    for (int i = 0; i < 8; i++) {
        must(weft_await(several[i]) == (intptr_t)several[i]);
        weft_release(several[i]);
    }
    return 0;
}

static void test_MT16_current_task(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS(50); i++)
        for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, current, NULL), 0);
    assert_null(weft_current_task());
}

/* ---- MT19: loops in several threads, truly at the same time ---- */

static _Atomic int arrived;
static intptr_t meets(void *arg) {
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < 4) must_equal(weft_sleep(WEFT_US(100)), 0); /* each waits for the other loops */
    must_equal(weft_sleep(WEFT_MS(200)), 0);
    return (intptr_t)arg;
}

static void *meets_once(void *arg) { return (void *)run_on((intptr_t)arg % 2, meets, arg); }

static int64_t time_of_meeting(void) {
    pthread_t threads[4];
    int64_t begin = weft_time();
    atomic_store(&arrived, 0);
    for (intptr_t i = 0; i < 4; i++) threads[i] = thread_start(meets_once, (void *)(i + 1));
    for (intptr_t i = 0; i < 4; i++) assert_int_equal((intptr_t)thread_join(threads[i]), i + 1);
    return weft_time() - begin;
}

static void test_MT19_independent_loops(void **state) {
    (void)state;
    int64_t took = time_of_meeting();
    for (int i = 0; i < 4 && took >= WEFT_MS(500); i++) took = time_of_meeting(); /* the machine may be busy */
    assert_true(took >= WEFT_MS(200) && took < WEFT_MS(790)); /* one after the other: 800 ms */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_MT1_steps_do_not_overlap), cmocka_unit_test(test_MT2_one_at_a_time),
        cmocka_unit_test(test_MT4_one_winner),           cmocka_unit_test(test_MT5_no_lost_wakeup),
        cmocka_unit_test(test_MT8_cancel_races),         cmocka_unit_test(test_MT11_TH2_producers),
        cmocka_unit_test(test_TH1_woken),                cmocka_unit_test(test_MT18_TH4_TH5_submissions),
        cmocka_unit_test(test_MT13_MT14_end),            cmocka_unit_test(test_MT16_current_task),
        cmocka_unit_test(test_MT19_independent_loops),
    };
    return run_group(tests);
}
