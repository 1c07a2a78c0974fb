/* A timer is fired once, or cancelled once, never both and never neither, however firing, arming and
 * cancelling on other threads fall together. */
#include "structures.h"

#include "runtime/timer.h"

#define TICK ((int64_t)1 << WEFT__WHEEL_TICK_SHIFT)

struct probe {
    struct weft__timer timer;
    _Atomic unsigned fired;
    _Atomic unsigned cancelled; /* cancels that returned DONE or EARLY */
    _Atomic bool refused;       /* arming failed */
    unsigned order;             /* of firing */
    enum weft__timer_cancel was_firing; /* what a cancel from inside fire returned */
};

static unsigned fired_so_far;

/* Now and then the others get the CPU, so that they come in between also where CPUs are few or busy. */
static void pause_a_little(uint64_t *random) {
    uint64_t dice = chance(random) >> 20;
    if (dice % 16 == 0) sched_yield();
    for (dice = dice / 16 % 32; dice > 0; dice--) weft__world_relax(0);
}

static void count_fire(struct weft__timer *timer) {
    struct probe *probe = weft__container_of(timer, struct probe, timer);
    fetch_add_relaxed(&probe->fired, 1);
    probe->order = ++fired_so_far;
    weft__timer_fired(timer);
}

static void count_fire_slowly(struct weft__timer *timer) {
    static uint64_t random = 31; /* the worker's alone */
    if (chance(&random) >> 20 & 1) pause_a_little(&random);
    count_fire(timer);
}

static void count_fire_and_cancel(struct weft__timer *timer) {
    struct probe *probe = weft__container_of(timer, struct probe, timer);
    probe->was_firing = weft__timer_cancel(timer);
    count_fire(timer);
}

static void free_probe(struct weft__timer *timer) {
    fired_so_far++;
    free(weft__container_of(timer, struct probe, timer));
}

static void test_smoke(void **state) {
    (void)state;
    struct weft__timers timers;
    struct probe probe = {0};
    weft__timers_init(&timers, 0);
    assert_int_equal(weft__timers_next(&timers), INT64_MAX);
    weft__timer_init(&probe.timer, &timers, count_fire);
    assert_true(weft__timer_arm(&probe.timer, 3 * TICK));
    assert_true(weft__timers_next(&timers) <= 3 * TICK);
    weft__timers_fire(&timers, 3 * TICK - 1, false);
    assert_int_equal(probe.fired, 0);
    weft__timers_fire(&timers, 3 * TICK, false);
    assert_int_equal(probe.fired, 1);
    assert_int_equal(weft__timers_next(&timers), INT64_MAX);
    assert_int_equal(load_relaxed(&timers.fired), 1);
    weft__timers_fire(&timers, 30 * TICK, false);
    assert_int_equal(probe.fired, 1);
}

/* Each thing that a cancel can find. */
static void test_cancel(void **state) {
    (void)state;
    struct weft__timers timers;
    struct probe early = {0}, armed = {0}, firing = {0};
    weft__timers_init(&timers, 0);

    weft__timer_init(&early.timer, &timers, count_fire);
    assert_int_equal(weft__timer_cancel(&early.timer), WEFT__CANCEL_EARLY);
    assert_false(weft__timer_arm(&early.timer, TICK));
    assert_int_equal(timers.wheel.count, 0);

    weft__timer_init(&armed.timer, &timers, count_fire);
    assert_true(weft__timer_arm(&armed.timer, TICK));
    assert_int_equal(weft__timer_cancel(&armed.timer), WEFT__CANCEL_DONE);
    assert_int_equal(weft__timer_cancel(&armed.timer), WEFT__CANCEL_LATE);
    assert_int_equal(timers.wheel.count, 0);

    weft__timer_init(&firing.timer, &timers, count_fire_and_cancel);
    assert_true(weft__timer_arm(&firing.timer, TICK));
    weft__timers_fire(&timers, 2 * TICK, false);
    assert_int_equal(firing.was_firing, WEFT__CANCEL_FIRING);
    assert_int_equal(weft__timer_cancel(&firing.timer), WEFT__CANCEL_LATE);
    assert_int_equal(early.fired + armed.fired, 0);
    assert_int_equal(firing.fired, 1);
}

/* Strict order: by deadline, then by arming, also within a tick and for what was overdue when armed. */
static void test_strict_order(void **state) {
    (void)state;
    static const int64_t deadlines[] = {5 * TICK, 5 * TICK - 1, 0, 4 * TICK + 7,
                                        -3, 5 * TICK - 1, TICK, 4 * TICK + 7};
    static const unsigned order[] = {8, 6, 2, 4, 1, 7, 3, 5};
    struct weft__timers timers;
    struct probe probes[8] = {0};
    fired_so_far = 0;
    weft__timers_init(&timers, 2 * TICK);
    for (unsigned i = 0; i < 8; i++) {
        weft__timer_init(&probes[i].timer, &timers, count_fire);
        assert_true(weft__timer_arm(&probes[i].timer, deadlines[i]));
    }
    weft__timers_fire(&timers, 5 * TICK, true);
    for (unsigned i = 0; i < 8; i++) assert_int_equal(probes[i].order, order[i]);
}

/* `next` is a lower bound at every moment: whoever sleeps until then sleeps through nothing. */
static void test_next(void **state) {
    (void)state;
    struct weft__timers timers;
    struct probe probes[100] = {0};
    uint64_t random = 13;
    fired_so_far = 0;
    weft__timers_init(&timers, 0);
    for (unsigned i = 0; i < 100; i++) {
        weft__timer_init(&probes[i].timer, &timers, count_fire);
        int64_t deadline = (int64_t)(chance(&random) >> 24);
        assert_true(weft__timer_arm(&probes[i].timer, deadline));
        assert_true(weft__timers_next(&timers) <= deadline);
    }
    for (unsigned turn = 0; fired_so_far < 100; turn++) {
        assert_true(turn < 100 * WEFT__WHEEL_LEVELS);
        int64_t now = weft__timers_next(&timers);
        assert_true(now != INT64_MAX);
        weft__timers_fire(&timers, now, false);
        for (unsigned i = 0; i < 100; i++)
            assert_true(probes[i].fired || probes[i].timer.node.deadline_ns > now - TICK);
    }
    assert_int_equal(weft__timers_next(&timers), INT64_MAX);
}

/* A fire function may free its timer, with others in the same batch. */
static void test_freed_by_fire(void **state) {
    (void)state;
    struct weft__timers timers;
    fired_so_far = 0;
    weft__timers_init(&timers, 0);
    for (unsigned i = 0; i < 100; i++) {
        struct probe *probe = calloc(1, sizeof *probe);
        weft__timer_init(&probe->timer, &timers, free_probe);
        assert_true(weft__timer_arm(&probe->timer, TICK));
    }
    weft__timers_fire(&timers, TICK, true);
    assert_int_equal(fired_so_far, 100);
}

#define BATCH 4      /* timers that fall due together */
#define CANCELLERS_MOST 2

/* The worker's side and the cancellers go through the same timers, batch by batch. */
struct race {
    struct weft__timers timers;
    struct probe *probes;
    size_t count;
    bool strict;
    unsigned cancellers;
    _Atomic size_t started;                /* timers that are being armed, or were */
    _Atomic size_t passed[1 + CANCELLERS_MOST]; /* timers that this canceller has dealt with */
    _Atomic size_t found[4];               /* how often a cancel returned what */
};

static void arm_and_fire(struct race *race) {
    uint64_t random = 17;
    int64_t now = TICK;
    for (size_t first = 0; first < race->count; first += BATCH, now += TICK) {
        store_release(&race->started, first + BATCH);
        for (size_t i = first; i < first + BATCH; i++) {
            if (!weft__timer_arm(&race->probes[i].timer, now)) store_relaxed(&race->probes[i].refused, true);
            pause_a_little(&random);
        }
        weft__timers_fire(&race->timers, now, race->strict);
        for (unsigned i = 1; i <= race->cancellers; i++)
            for (unsigned round = 0; load_acquire(&race->passed[i]) < first + BATCH - 1; round++)
                wait_a_little(round);
    }
}

static void cancel_each(struct race *race, unsigned index) {
    uint64_t random = 19 + index;
    for (size_t i = 0; i < race->count; i++) {
        for (unsigned round = 0; load_acquire(&race->started) < i; round++) wait_a_little(round);
        pause_a_little(&random);
        enum weft__timer_cancel was = weft__timer_cancel(&race->probes[i].timer);
        fetch_add_relaxed(&race->found[was], 1);
        if (was == WEFT__CANCEL_DONE || was == WEFT__CANCEL_EARLY)
            fetch_add_relaxed(&race->probes[i].cancelled, 1);
        store_release(&race->passed[index], i + 1);
    }
}

static void fire_or_cancel(unsigned index, void *arg) {
    struct race *race = arg;
    if (index == 0) arm_and_fire(race);
    else cancel_each(race, index);
}

static void fire_against_cancel(bool strict, unsigned cancellers) {
    struct race race = {.count = ROUNDS(200000) / BATCH * BATCH, .strict = strict, .cancellers = cancellers};
    race.probes = calloc(race.count, sizeof *race.probes);
    weft__timers_init(&race.timers, 0);
    for (size_t i = 0; i < race.count; i++)
        weft__timer_init(&race.probes[i].timer, &race.timers, count_fire_slowly);
    run_together(1 + cancellers, fire_or_cancel, &race);
    size_t fired = 0;
    for (size_t i = 0; i < race.count; i++) {
        struct probe *probe = &race.probes[i];
        assert_int_equal(probe->fired + probe->cancelled, 1);
        if (probe->refused) assert_int_equal(probe->cancelled, 1);
        fired += probe->fired;
    }
    assert_int_equal(race.timers.wheel.count, 0);
    assert_int_equal(load_relaxed(&race.timers.fired), fired);
    for (unsigned i = 0; i < 4; i++) assert_true(race.found[i] > 0); /* or there was no race */
    print_message("%zu timers: %zu fired; cancels: %zu done, %zu early, %zu while firing, %zu late\n", race.count,
                  fired, race.found[0], race.found[1], race.found[2], race.found[3]);
    free(race.probes);
}

static void test_fire_against_cancel(void **state) {
    (void)state;
    fire_against_cancel(false, 1);
    fire_against_cancel(true, 1);
    fire_against_cancel(true, 2);
}

/* A canceller that finds FIRING waits for IDLE; then, or after DONE, nobody touches the node any more. */
static void take_back_each(unsigned index, void *arg) {
    struct race *race = arg;
    if (index == 0) {
        arm_and_fire(race);
        return;
    }
    uint64_t random = 37;
    for (size_t i = 0; i < race->count; i++) {
        struct weft__timer *timer = &race->probes[i].timer;
        for (unsigned round = 0; load_acquire(&race->started) <= i; round++) wait_a_little(round);
        pause_a_little(&random);
        if (weft__timer_cancel(timer) == WEFT__CANCEL_FIRING)
            for (unsigned round = 0; load_acquire(&timer->state) != WEFT__TIMER_IDLE; round++)
                wait_a_little(round);
        memset(&timer->node, 0xa5, sizeof timer->node);
        store_release(&race->passed[index], i + 1);
    }
}

static void test_settled_is_ours(void **state) {
    (void)state;
    struct race race = {.count = ROUNDS(200000) / BATCH * BATCH, .strict = true, .cancellers = 1};
    race.probes = calloc(race.count, sizeof *race.probes);
    weft__timers_init(&race.timers, 0);
    for (size_t i = 0; i < race.count; i++)
        weft__timer_init(&race.probes[i].timer, &race.timers, count_fire_slowly);
    run_together(2, take_back_each, &race);
    assert_int_equal(race.timers.wheel.count, 0);
    free(race.probes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_strict_order), cmocka_unit_test(test_next),
        cmocka_unit_test(test_freed_by_fire), cmocka_unit_test(test_fire_against_cancel),
        cmocka_unit_test(test_settled_is_ours),
    };
    return run_group(tests);
}
