/* The work-stealing deque: whatever its owner and the thieves do, every item is taken exactly once, the
 * owner gets the newest, thieves the oldest. */
#include "structures.h"

#include "runtime/deque.h"

#define THIEVES 2

/* Items are words above WEFT__DEQUE_RETRY. */
static uintptr_t item_of(size_t number) { return number + 2; }
static size_t number_of(uintptr_t item) { return item - 2; }

static void push(struct weft__deque *deque, size_t number) {
    must_equal(weft__deque_push(deque, item_of(number)), 0);
}

/* Without competition there is no reason to ask for another try. */
static void test_smoke(void **state) {
    (void)state;
    struct weft__deque deque;
    assert_int_equal(weft__deque_init(&deque, 8), 0);
    for (size_t i = 0; i < 4; i++) push(&deque, i);
    assert_int_equal(weft__deque_count(&deque), 4);
    assert_int_equal(weft__deque_pop(&deque), item_of(3));
    assert_int_equal(weft__deque_steal(&deque), item_of(0));
    assert_int_equal(weft__deque_steal(&deque), item_of(1));
    assert_int_equal(weft__deque_count(&deque), 1);
    assert_int_equal(weft__deque_pop(&deque), item_of(2));
    assert_int_equal(weft__deque_count(&deque), 0);
    weft__deque_fini(&deque);
}

static void assert_empty(struct weft__deque *deque) {
    assert_int_equal(weft__deque_count(deque), 0);
    assert_int_equal(weft__deque_pop(deque), 0);
    assert_int_equal(weft__deque_steal(deque), 0);
    assert_false(weft__deque_pop_if(deque, item_of(0)));
    assert_int_equal(weft__deque_count(deque), 0);
}

static void test_empty(void **state) {
    (void)state;
    struct weft__deque deque;
    assert_int_equal(weft__deque_init(&deque, 1), 0);
    for (unsigned round = 0; round < 10; round++) {
        assert_empty(&deque);
        push(&deque, 0);
        assert_int_equal(weft__deque_pop(&deque), item_of(0));
        assert_empty(&deque);
        push(&deque, 0);
        assert_int_equal(weft__deque_steal(&deque), item_of(0));
    }
    assert_empty(&deque);
    weft__deque_fini(&deque);
}

static void test_pop_if(void **state) {
    (void)state;
    struct weft__deque deque;
    assert_int_equal(weft__deque_init(&deque, 2), 0);
    push(&deque, 1);
    push(&deque, 2);
    assert_false(weft__deque_pop_if(&deque, item_of(1))); /* there, but not the newest */
    assert_false(weft__deque_pop_if(&deque, item_of(3)));
    assert_int_equal(weft__deque_count(&deque), 2);
    assert_true(weft__deque_pop_if(&deque, item_of(2)));
    assert_false(weft__deque_pop_if(&deque, item_of(2))); /* its slot still holds it */
    assert_true(weft__deque_pop_if(&deque, item_of(1)));
    assert_empty(&deque);
    push(&deque, 4);
    assert_int_equal(weft__deque_steal(&deque), item_of(4));
    assert_false(weft__deque_pop_if(&deque, item_of(4)));
    weft__deque_fini(&deque);
}

/* Random operations against an array; from capacity 1, so that it grows with its indices anywhere. */
static void test_model(void **state) {
    (void)state;
    uint64_t random = 1;
    size_t steps = ROUNDS(200000), oldest = 0, newest = 0;
    size_t *model = calloc(steps, sizeof *model); /* [oldest, newest) */
    struct weft__deque deque;
    assert_int_equal(weft__deque_init(&deque, 1), 0);
    for (size_t step = 0; step < steps; step++) {
        bool rising = step / 1000 % 2 == 0;
        unsigned dice = (unsigned)(chance(&random) >> 20) % 10;
        if (dice < (rising ? 6 : 4)) {
            push(&deque, model[newest++] = step);
        } else if (dice < 7) {
            uintptr_t wanted = newest > oldest ? item_of(model[--newest]) : 0;
            assert_int_equal(weft__deque_pop(&deque), wanted);
        } else if (dice < 8) {
            bool any = newest > oldest;
            assert_int_equal(weft__deque_pop_if(&deque, item_of(any ? model[newest - 1] : 0)), any);
            newest -= any;
        } else {
            uintptr_t wanted = newest > oldest ? item_of(model[oldest++]) : 0;
            assert_int_equal(weft__deque_steal(&deque), wanted);
        }
        assert_int_equal(weft__deque_count(&deque), newest - oldest);
    }
    weft__deque_fini(&deque);
    free(model);
}

struct contest {
    struct weft__deque deque;
    struct tally tally;
    _Atomic bool over;
    _Atomic size_t stolen[CREW_MOST]; /* by each thief */
    size_t rounds;
};

static void contest_init(struct contest *contest, size_t capacity, size_t rounds, size_t items) {
    memset(contest, 0, sizeof *contest);
    contest->rounds = rounds;
    must_equal(weft__deque_init(&contest->deque, capacity), 0);
    tally_init(&contest->tally, items);
}

static void contest_fini(struct contest *contest) {
    must_equal(weft__deque_count(&contest->deque), 0);
    weft__deque_fini(&contest->deque);
    tally_fini(&contest->tally);
}

static bool owner_pop(struct contest *contest) {
    uintptr_t item = weft__deque_pop(&contest->deque);
    if (item == 0) return false;
    must(item != WEFT__DEQUE_RETRY);
    tally_take(&contest->tally, number_of(item));
    return true;
}

/* Steals until everything is taken. The owner pushes rising numbers: so each thief must see them rise. */
static void thief(unsigned index, void *arg) {
    struct contest *contest = arg;
    uintptr_t last = 0;
    for (unsigned round = 0; !tally_complete(&contest->tally) && !load_acquire(&contest->over);) {
        uintptr_t item = weft__deque_steal(&contest->deque);
        if (item == WEFT__DEQUE_RETRY) continue;
        if (item == 0) {
            wait_a_little(round++);
            continue;
        }
        must(item > last);
        last = item;
        tally_take(&contest->tally, number_of(item));
        fetch_add_relaxed(&contest->stolen[index], 1);
    }
}

/* One producer, one consumer: the thief gets everything, in order. */
static void one_producer(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) {
        thief(index, arg);
        return;
    }
    for (size_t i = 0; i < contest->tally.count; i++) push(&contest->deque, i);
}

static void test_one_producer_one_consumer(void **state) {
    (void)state;
    struct contest contest;
    contest_init(&contest, 1, 0, ROUNDS(500000));
    run_together(2, one_producer, &contest);
    assert_int_equal(load_relaxed(&contest.stolen[1]), contest.tally.count);
    contest_fini(&contest);
}

/* A full deque, and everybody at once. */
static void stampede(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) thief(index, arg);
    else while (owner_pop(contest)) {}
}

static void test_stampede(void **state) {
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct contest contest;
        contest_init(&contest, 1, 0, ROUNDS(10000));
        for (size_t i = 0; i < contest.tally.count; i++) push(&contest.deque, i);
        run_together(1 + THIEVES, stampede, &contest);
        contest_fini(&contest);
    }
}

/* Bursts of pushes and pops, and growth while thieves read the arrays that are outgrown. */
static void stress(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) {
        thief(index, arg);
        return;
    }
    uint64_t random = 3;
    for (size_t pushed = 0; pushed < contest->tally.count;) {
        size_t burst = 1 + (chance(&random) >> 20) % (pushed % 10007 == 0 ? 5000 : 8);
        for (; burst > 0 && pushed < contest->tally.count; burst--) push(&contest->deque, pushed++);
        size_t pops = (chance(&random) >> 20) % 8;
        while (pops-- > 0 && owner_pop(contest)) {}
    }
    while (owner_pop(contest)) {}
}

static void test_stress(void **state) {
    (void)state;
    for (size_t capacity = 1; capacity <= 256; capacity *= 16) {
        struct contest contest;
        contest_init(&contest, capacity, 0, ROUNDS(1000000));
        run_together(1 + THIEVES, stress, &contest);
        contest_fini(&contest);
    }
}

/* One to three items, and everybody wants the last: owner pops against thieves, exactly one winner each. */
static void last_items(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) {
        thief(index, arg);
        return;
    }
    uint64_t random = 5;
    size_t pushed = 0;
    for (size_t round = 0; round < contest->rounds; round++) {
        size_t few = round % 4 == 3 ? 3 : round % 4 == 2 ? 2 : 1;
        for (size_t i = 0; i < few; i++) push(&contest->deque, pushed++);
        for (uint64_t pause = (chance(&random) >> 20) % 16; pause > 0; pause--) weft__world_relax(0);
        if (few == 1 && round % 8 == 0) {
            uintptr_t newest = item_of(pushed - 1);
            if (weft__deque_pop_if(&contest->deque, newest)) tally_take(&contest->tally, number_of(newest));
        }
        while (owner_pop(contest)) {}
        /* who does not get the last one may trust that another has it */
        for (unsigned i = 0; load_acquire(&contest->tally.taken) < pushed; i++) wait_a_little(i);
    }
    must_equal(pushed, contest->tally.count);
}

static void test_race_for_the_last(void **state) {
    (void)state;
    size_t rounds = ROUNDS(1000000) / 4 * 4;
    struct contest contest;
    contest_init(&contest, 4, rounds, rounds / 4 * 7);
    run_together(1 + THIEVES, last_items, &contest);
    contest_fini(&contest);
}

/* However busy the owner is at its end, each thief gets its share in the end. */
#define SHARE 100

static void busy_owner(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) {
        for (unsigned round = 0; load_relaxed(&contest->stolen[index]) < SHARE; round++) {
            uintptr_t item = weft__deque_steal(&contest->deque);
            if (item > WEFT__DEQUE_RETRY) fetch_add_relaxed(&contest->stolen[index], 1);
            else wait_a_little(round);
        }
        return;
    }
    for (bool served = false; !served;) {
        for (size_t i = 0; i < 4; i++) push(&contest->deque, i);
        while (weft__deque_pop(&contest->deque)) {}
        served = true;
        for (unsigned i = 1; i <= THIEVES; i++) served = served && load_relaxed(&contest->stolen[i]) >= SHARE;
    }
}

static void test_no_starvation(void **state) {
    (void)state;
    struct contest contest;
    contest_init(&contest, 4, 0, 0);
    run_together(1 + THIEVES, busy_owner, &contest);
    contest_fini(&contest);
}

/* The arrays that were outgrown go with the last one, whatever still lies in it: LeakSanitizer looks. */
static void test_destruction(void **state) {
    (void)state;
    for (size_t items = 0; items < 300; items++) {
        struct weft__deque deque;
        assert_int_equal(weft__deque_init(&deque, 1), 0);
        for (size_t i = 0; i < items; i++) push(&deque, i);
        if (items % 2) weft__deque_steal(&deque);
        weft__deque_fini(&deque);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),         cmocka_unit_test(test_empty),
        cmocka_unit_test(test_pop_if),        cmocka_unit_test(test_model),
        cmocka_unit_test(test_one_producer_one_consumer),
        cmocka_unit_test(test_stampede),      cmocka_unit_test(test_stress),
        cmocka_unit_test(test_race_for_the_last),
        cmocka_unit_test(test_no_starvation), cmocka_unit_test(test_destruction),
    };
    return run_group(tests);
}
