/* Asynchronous generators, several askers: one after the other on many workers, and at the same time; and rules
 * AG1 and AG3, how generators end that nobody finishes. */
#include "race_support.h"

static void on_each_loop(weft_fn *fn, void *arg) {
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, fn, arg), 0);
}

static _Atomic long cleaned, runs;

static intptr_t same(void *arg) { return (intptr_t)arg; }

weft_async_generator(count_to, (intptr_t, last)) {
    for (intptr_t i = 1; i <= last; i++) {
        intptr_t r = weft_yield_value(i);
        if (r < 0) return r;
    }
    return last; /* thrown away */
}

weft_async_generator(nested, (int, depth)) {
    intptr_t value, r = 0;
    weft_generator *below = depth ? nested(depth - 1) : count_to(5);
    while (r == 0 && (r = weft_anext(below, &value)) == 1) {
        if (depth % 10 == 0) must_equal(weft_sleep(0), 0);
        r = weft_yield_value(value + 1);
    }
    if (r == WEFT_GENERATOR_EXIT) must_equal(weft_aclose(below), 0);
    weft_generator_release(below);
    atomic_fetch_add(&cleaned, 1);
    return r;
}

weft_async_generator(cleans_up, (intptr_t, result)) {
    atomic_fetch_add(&runs, 1);
    intptr_t r = weft_yield_value(1);
    must_equal(r, WEFT_GENERATOR_EXIT);
    must_equal(weft_sleep(WEFT_US(50)), 0); /* clean-up may wait */
    must_equal(weft_sleep(0), 0);
    atomic_fetch_add(&cleaned, 1);
    return result ? result : r;
}

static intptr_t asks_for_one(void *generator) {
    intptr_t value = 0;
    int r = weft_anext(generator, &value);
    return r == 1 ? value : r;
}

static _Atomic bool entered;
static void until_entered(void) {
    while (!atomic_load(&entered)) must_equal(weft_sleep(0), 0);
}

/* ---- many askers ---- */

weft_async_generator(tickets, (intptr_t, last)) {
    for (intptr_t i = 1; i <= last; i++) {
        if (i % 7 == 0) must_equal(weft_yield(), 0);
        if (i % 1000 == 0) must_equal(weft_sleep(WEFT_US(1)), 0);
        if (i % 5 == 0) must_equal(weft_join(weft_spawn(same, (void *)i)), i);
        must_equal(weft_yield_value(i), 0);
    }
    return 0;
}

static intptr_t takes_tickets(void *generator) {
    intptr_t value;
    for (int r; (r = weft_anext(generator, &value)) != 0;) {
        must(r == 1 || r == -EBUSY);
        if (r == -EBUSY) must_equal(weft_yield(), 0);
        else atomic_fetch_add(&runs, value);
    }
    return 0;
}

static intptr_t many_askers(void *arg) {
    intptr_t last = (intptr_t)arg;
    weft_task *tasks[4];
    weft_generator *self = tickets(last);
    atomic_store(&runs, 0);
    for (int i = 0; i < 4; i++) tasks[i] = weft_spawn(takes_tickets, self);
    for (int i = 0; i < 4; i++) must_equal(weft_join(tasks[i]), 0);
    must_equal(atomic_load(&runs), last * (last + 1) / 2); /* none lost, none doubled */
    weft_generator_release(self);
    return 0;
}

static void test_AG_many_askers(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
        assert_int_equal(run_on(workers, many_askers, (void *)(intptr_t)ROUNDS(100000)), 0);
}

/* From hand to hand: every value is asked for by another task, on another worker as often as not. */
weft_async_generator(endless) {
    intptr_t r = 0;
    for (intptr_t i = 1; r == 0; i++) {
        if (i % 3 == 0) must_equal(weft_yield(), 0);
        r = weft_yield_value(i);
    }
    return r;
}

struct relay {
    weft_generator *generator;
    intptr_t expected;
};

static intptr_t hands_on(void *arg) {
    struct relay *relay = arg;
    intptr_t value;
    must_equal(weft_anext(relay->generator, &value), 1);
    must_equal(value, relay->expected++);
    return 0;
}

static intptr_t relays(void *rounds) {
    struct relay relay = {endless(), 1};
    for (intptr_t i = 0; i < (intptr_t)rounds; i++) {
        weft_task *task = weft_spawn(hands_on, &relay);
        if (i % 2) must_equal(weft_yield(), 0); /* let it be stolen */
        must_equal(weft_join(task), 0);
    }
    must_equal(weft_aclose(relay.generator), 0);
    weft_generator_release(relay.generator);
    return 0;
}

static intptr_t stress_one(void *arg) {
    intptr_t n = (intptr_t)arg, value = 0;
    weft_generator *self = n % 4 == 3 ? nested(2) : count_to(n % 4);
    for (intptr_t i = 0; i < n % 3; i++) weft_anext(self, &value);
    if (n % 5 == 0) must_equal(weft_yield(), 0);
    if (n % 2 || n % 4 == 3) must_equal(weft_aclose(self), 0);
    weft_generator_release(self);
    return 0;
}

static intptr_t stress(void *rounds) {
    for (intptr_t i = 0; i < (intptr_t)rounds; i++) {
        weft_task *a = weft_spawn(stress_one, (void *)i), *b = weft_spawn(stress_one, (void *)(i + 1));
        must_equal(weft_join(a), 0);
        must_equal(weft_join(b), 0);
    }
    return 0;
}

static void test_AG_stress(void **state) {
    (void)state;
    on_each_loop(relays, (void *)(intptr_t)ROUNDS(100000));
    on_each_loop(stress, (void *)(intptr_t)ROUNDS(50000));
}

/* An await in the body whose future is completed at that very moment, so that the task does not suspend after
 * all: it goes on in the body, though its step began on the asker's own stack. */
static weft_future *contested[2];
static _Atomic long announced;
static long rounds;

weft_async_generator(awaits_contested) {
    for (long i = 0; i < rounds; i++) {
        atomic_store(&announced, i + 1);
        must_equal(weft_await(contested[i % 2]), i);
        weft_release(contested[i % 2]);
        contested[i % 2] = weft_future_new();
        must_equal(weft_yield_value(i), 0);
    }
    return 0;
}

static void *completes_contested(void *arg) {
    for (long i = 0; i < rounds; i++) {
        spin_until(&announced, i + 1);
        for (unsigned delay = (unsigned)i * 7 % 512; delay > 0; delay--) __asm__ volatile("");
        must_equal(weft_future_set_result(contested[i % 2], i), 0);
    }
    return arg;
}

static intptr_t await_races(void *arg) {
    intptr_t value;
    for (int i = 0; i < 2; i++) contested[i] = weft_future_new();
    atomic_store(&announced, 0);
    weft_generator *self = awaits_contested();
    pthread_t thread = thread_start(completes_contested, arg);
    for (long i = 0; i < rounds; i++) {
        must_equal(weft_anext(self, &value), 1);
        must_equal(value, i);
        must_equal(weft_yield(), 0);
    }
    must_equal(weft_anext(self, &value), 0);
    weft_generator_release(self);
    thread_join(thread);
    for (int i = 0; i < 2; i++) weft_release(contested[i]);
    return 0;
}

static void test_AG_await_races(void **state) {
    (void)state;
    rounds = ROUNDS(100000);
    on_each_loop(await_races, NULL);
}

/* ---- AG1 ---- */

weft_async_generator(ignores_once) {
    while (weft_yield_value(1) != WEFT_GENERATOR_EXIT) {}
    return weft_yield_value(2);
}

/* Started and unfinished ones are closed, clean-up included; errors are reported and the next follows. */
static intptr_t shutdown_closes_all(void *arg) {
    weft_generator *all[10];
    (void)arg;
    atomic_store(&cleaned, 0);
    atomic_store(&runs, 0);
    for (int i = 0; i < 10; i++) {
        all[i] = i == 4 ? ignores_once() : cleans_up(i % 2 ? -EIO : 0);
        if (i < 8) must_equal(weft_anext(all[i], NULL), 1);
    }
    must_equal(weft_shutdown_asyncgens(), 0);
    must_equal(atomic_load(&cleaned), 7);
    must_equal(atomic_load(&runs), 7); /* the others never began */
    must_equal(weft_anext(all[4], NULL), 0);
    for (int i = 0; i < 10; i++) {
        must_equal(weft_aclose(all[i]), 0);
        weft_generator_release(all[i]);
    }
    must_equal(weft_shutdown_asyncgens(), 0);
    return 0;
}

static void test_AG1_shutdown_asyncgens(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        struct capture capture = capture_begin();
        intptr_t result = run_on(workers, shutdown_closes_all, NULL);
        int errors = capture_end(capture, "closing of asynchronous generator 'cleans_up': EIO");
        assert_int_equal(result, 0);
        assert_int_equal(errors, 4);
    }
}

/* ---- AG3: no collector; what is dropped unfinished is closed by a task, or at the end ---- */

weft_async_generator(counts_cleanup) {
    while (weft_yield_value(1) != WEFT_GENERATOR_EXIT) {}
    int r = weft_sleep(WEFT_US(30));
    atomic_fetch_add(&cleaned, 1);
    return r;
}

weft_async_generator(cleans_slowly) {
    must_equal(weft_yield_value(1), WEFT_GENERATOR_EXIT);
    atomic_store(&entered, true);
    must_equal(weft_sleep(WEFT_MS(20)), 0);
    atomic_fetch_add(&cleaned, 1);
    return 0;
}

static void *releases(void *generator) {
    weft_generator_release(generator);
    return NULL;
}

static intptr_t releases_in_task(void *generator) {
    weft_generator_release(generator);
    return 0;
}

weft_async_generator(slow) {
    atomic_store(&entered, true);
    must_equal(weft_sleep(WEFT_MS(2)), 0);
    must_equal(weft_yield_value(1), WEFT_GENERATOR_EXIT);
    atomic_fetch_add(&cleaned, 1);
    return 0;
}

static intptr_t drops(void *arg) {
    (void)arg;
    atomic_store(&cleaned, 0);
    for (int i = 0; i < 100; i++) {
        weft_generator *self = counts_cleanup();
        must_equal(weft_anext(self, NULL), 1);
        weft_generator_release(self);
    }
    while (atomic_load(&cleaned) < 100) must_equal(weft_sleep(WEFT_US(100)), 0);

    atomic_store(&entered, false);
    weft_generator *self = slow(); /* dropped while another task is asking */
    weft_task *task = weft_spawn(asks_for_one, self);
    until_entered();
    must_equal(weft_join(weft_spawn(releases_in_task, self)), 0);
    must_equal(weft_join(task), 1);
    while (atomic_load(&cleaned) < 101) must_equal(weft_sleep(WEFT_US(100)), 0);

    atomic_store(&entered, false); /* its closing is under way when another one comes: not reported */
    self = cleans_slowly();
    must_equal(weft_anext(self, NULL), 1);
    weft_generator_release(self);
    until_entered();
    must_equal(weft_shutdown_asyncgens(), 0);
    while (atomic_load(&cleaned) < 102) must_equal(weft_sleep(WEFT_US(100)), 0);

    self = counts_cleanup(); /* dropped by a thread: for the end */
    must_equal(weft_anext(self, NULL), 1);
    thread_join(thread_start(releases, self));
    for (int i = 0; i < 10; i++) must_equal(weft_sleep(0), 0);
    must_equal(atomic_load(&cleaned), 102);
    must_equal(weft_shutdown_asyncgens(), 0);
    must_equal(atomic_load(&cleaned), 103);
    return 0;
}

static void test_AG3_dropped(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    intptr_t results = 0;
    for (unsigned workers = 0; workers <= 2; workers++) results |= run_on(workers, drops, NULL);
    assert_int_equal(capture_end(capture, "weft:"), 0); /* nothing to report */
    assert_int_equal(results, 0);
}

/* Dropped at the very moment at which a task asks, and another closes. */
static weft_generator *raced;

static void releases_raced(long round) {
    for (unsigned delay = (unsigned)round * 13 % 128; delay > 0; delay--) __asm__ volatile("");
    weft_generator_release(raced);
}

static void play_drop(struct race *race, long round) {
    raced = counts_cleanup();
    must_equal(weft_anext(raced, NULL), 1); /* from here on it is in the runtime's list */
    race_open(race, round);
    if (round % 3 == 0) weft_shutdown_asyncgens();
    else weft_yield();
    race_close(race, round);
    if (round % 100 == 0) weft_shutdown_asyncgens();
}

static intptr_t drop_races(void *arg) {
    (void)arg;
    struct race race = {.rounds = ROUNDS(30000), .play = play_drop, .rivals = {releases_raced}};
    atomic_store(&cleaned, 0);
    run_race(&race);
    weft_shutdown_asyncgens();
    must_equal(atomic_load(&cleaned), race.rounds);
    return 0;
}

static void test_AG3_drop_races(void **state) {
    (void)state;
    on_each_loop(drop_races, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_AG_many_askers), cmocka_unit_test(test_AG_stress),
        cmocka_unit_test(test_AG_await_races), cmocka_unit_test(test_AG1_shutdown_asyncgens),
        cmocka_unit_test(test_AG3_dropped),    cmocka_unit_test(test_AG3_drop_races),
    };
    return run_group(tests);
}
