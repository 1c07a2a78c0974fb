/* The ring of resumed tasks: FIFO for everybody, a thief takes the older half, one thief at a time, nothing
 * is lost or taken twice, also where its 32-bit indices wrap around. Built with the real capacity and with
 * 4, where it is full or empty all the time. */
#include "structures.h"

#include "runtime/ring_queue.h"

#define CAPACITY WEFT__RING_QUEUE_CAPACITY
#define THIEVES 2

static void *item_of(size_t number) { return (void *)(number + 1); }
static size_t number_of(void *item) { return (size_t)item - 1; }

/* An empty queue whose indices stand at `start`. */
static void init_at(struct weft__ring_queue *queue, uint32_t start) {
    weft__ring_queue_init(queue);
    atomic_store(&queue->head, (uint64_t)start << 32 | start);
    atomic_store(&queue->tail, start);
}

/* Where to start: at zero, and so that the indices wrap at every place of the ring. */
static uint32_t start_of(unsigned i) { return i == 0 ? 0 : UINT32_MAX - (i - 1); }
#define STARTS (CAPACITY + 2)

static void fill(struct weft__ring_queue *queue, size_t first, size_t count) {
    for (size_t i = 0; i < count; i++) must(weft__ring_queue_push(queue, item_of(first + i)));
}

static void assert_empty(struct weft__ring_queue *queue) {
    void *items[CAPACITY / 2];
    assert_int_equal(weft__ring_queue_count(queue), 0);
    assert_null(weft__ring_queue_pop(queue));
    assert_int_equal(weft__ring_queue_take_half(queue, items), 0);
}

static void test_smoke(void **state) {
    (void)state;
    struct weft__ring_queue queue;
    weft__ring_queue_init(&queue);
    fill(&queue, 0, 3);
    assert_int_equal(weft__ring_queue_count(&queue), 3);
    for (size_t i = 0; i < 3; i++) assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(i));
    assert_empty(&queue);
}

static void test_empty(void **state) {
    (void)state;
    for (unsigned i = 0; i < STARTS; i++) {
        struct weft__ring_queue queue;
        init_at(&queue, start_of(i));
        assert_empty(&queue);
        fill(&queue, 0, 1);
        assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(0));
        assert_empty(&queue);
    }
}

static void test_full(void **state) {
    (void)state;
    for (unsigned i = 0; i < STARTS; i++) {
        struct weft__ring_queue queue;
        init_at(&queue, start_of(i));
        fill(&queue, 0, CAPACITY);
        assert_int_equal(weft__ring_queue_count(&queue), CAPACITY);
        assert_false(weft__ring_queue_push(&queue, item_of(CAPACITY)));
        assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(0));
        assert_true(weft__ring_queue_push(&queue, item_of(CAPACITY)));
        assert_false(weft__ring_queue_push(&queue, item_of(CAPACITY + 1)));
        for (size_t k = 1; k <= CAPACITY; k++) assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(k));
        assert_empty(&queue);
    }
}

/* The older half, rounded up, oldest first; what is newer stays. */
static void test_take_half(void **state) {
    (void)state;
    for (unsigned i = 0; i < STARTS; i++) {
        for (size_t held = 0; held <= CAPACITY; held++) {
            struct weft__ring_queue queue;
            void *items[CAPACITY / 2];
            init_at(&queue, start_of(i));
            fill(&queue, 0, held);
            size_t taken = weft__ring_queue_take_half(&queue, items);
            assert_int_equal(taken, (held + 1) / 2);
            for (size_t k = 0; k < taken; k++) assert_ptr_equal(items[k], item_of(k));
            assert_int_equal(weft__ring_queue_count(&queue), held - taken);
            fill(&queue, held, CAPACITY - (held - taken)); /* all other slots are free again */
            assert_false(weft__ring_queue_push(&queue, item_of(0)));
            for (size_t k = taken; k < taken + CAPACITY; k++)
                assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(k));
            assert_empty(&queue);
        }
    }
}

/* A thief that has claimed two items and is not done copying them: seen from outside as stolen < taken.
 * Other thieves must keep away, the owner may go on but must not reuse the slots. */
static void test_one_thief_at_a_time(void **state) {
    (void)state;
    for (unsigned i = 0; i < STARTS; i++) {
        uint32_t start = start_of(i);
        struct weft__ring_queue queue;
        void *items[CAPACITY / 2];
        init_at(&queue, start);
        fill(&queue, 0, CAPACITY);
        atomic_store(&queue.head, (uint64_t)start << 32 | (uint32_t)(start + 2));

        assert_int_equal(weft__ring_queue_take_half(&queue, items), 0);
        assert_int_equal(weft__ring_queue_count(&queue), CAPACITY - 2);
        assert_false(weft__ring_queue_push(&queue, item_of(CAPACITY)));
        assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(2));
        assert_false(weft__ring_queue_push(&queue, item_of(CAPACITY)));
        assert_int_equal(weft__ring_queue_take_half(&queue, items), 0);
        assert_int_equal(atomic_load(&queue.head), (uint64_t)start << 32 | (uint32_t)(start + 3));

        atomic_store(&queue.head, (uint64_t)(uint32_t)(start + 3) << 32 | (uint32_t)(start + 3)); /* done */
        fill(&queue, CAPACITY, 3);
        assert_false(weft__ring_queue_push(&queue, item_of(0)));
        for (size_t k = 3; k < CAPACITY + 3; k++) assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(k));
        assert_empty(&queue);
    }
}

/* Random operations against two counters: a FIFO of rising numbers is no more. */
static void test_model(void **state) {
    (void)state;
    uint64_t random = 7;
    struct weft__ring_queue queue;
    size_t oldest = 0, newest = 0;
    init_at(&queue, UINT32_MAX - (uint32_t)ROUNDS(100000) / 4);
    for (size_t step = 0; step < ROUNDS(200000); step++) {
        bool rising = step / 600 % 2 == 0;
        unsigned dice = (unsigned)(chance(&random) >> 20) % 100;
        if (dice < (rising ? 60 : 40)) {
            bool room = newest - oldest < CAPACITY;
            assert_int_equal(weft__ring_queue_push(&queue, item_of(newest)), room);
            newest += room;
        } else if (dice < 98) {
            assert_ptr_equal(weft__ring_queue_pop(&queue), newest > oldest ? item_of(oldest) : NULL);
            oldest += newest > oldest;
        } else {
            void *items[CAPACITY / 2];
            size_t half = (newest - oldest + 1) / 2;
            assert_int_equal(weft__ring_queue_take_half(&queue, items), half);
            for (size_t i = 0; i < half; i++) assert_ptr_equal(items[i], item_of(oldest++));
        }
        assert_int_equal(weft__ring_queue_count(&queue), newest - oldest);
    }
}

struct contest {
    struct weft__ring_queue queue;
    struct tally tally;
    _Atomic size_t stolen[CREW_MOST];
};

static void contest_init(struct contest *contest, uint32_t start, size_t items) {
    memset(contest, 0, sizeof *contest);
    init_at(&contest->queue, start);
    tally_init(&contest->tally, items);
}

static void contest_fini(struct contest *contest) {
    must_equal(weft__ring_queue_count(&contest->queue), 0);
    tally_fini(&contest->tally);
}

/* Takes one; everybody takes from the same end, so everybody sees the numbers rise. */
static bool owner_pop(struct contest *contest, void **last) {
    void *item = weft__ring_queue_pop(&contest->queue);
    if (!item) return false;
    must(item > *last);
    *last = item;
    tally_take(&contest->tally, number_of(item));
    return true;
}

static void thief(unsigned index, void *arg) {
    struct contest *contest = arg;
    void *last = NULL;
    for (unsigned round = 0; !tally_complete(&contest->tally);) {
        void *items[CAPACITY / 2];
        size_t count = weft__ring_queue_take_half(&contest->queue, items);
        if (count == 0) wait_a_little(round++);
        for (size_t i = 0; i < count; i++) {
            must(items[i] > last);
            last = items[i];
            tally_take(&contest->tally, number_of(items[i]));
        }
        fetch_add_relaxed(&contest->stolen[index], count);
    }
}

static void one_producer(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) {
        thief(index, arg);
        return;
    }
    for (size_t i = 0; i < contest->tally.count; i++)
        for (unsigned round = 0; !weft__ring_queue_push(&contest->queue, item_of(i)); round++)
            wait_a_little(round);
}

static void test_one_producer_one_consumer(void **state) {
    (void)state;
    struct contest contest;
    contest_init(&contest, UINT32_MAX - 1000, ROUNDS(500000));
    run_together(2, one_producer, &contest);
    assert_int_equal(load_relaxed(&contest.stolen[1]), contest.tally.count);
    contest_fini(&contest);
}

static void stampede(unsigned index, void *arg) {
    struct contest *contest = arg;
    void *last = NULL;
    if (index > 0) thief(index, arg);
    else while (owner_pop(contest, &last)) {}
}

static void test_stampede(void **state) {
    (void)state;
    for (unsigned round = 0; round < ROUNDS(2000); round++) {
        struct contest contest;
        contest_init(&contest, UINT32_MAX - round % 8, CAPACITY);
        fill(&contest.queue, 0, CAPACITY);
        run_together(1 + THIEVES, stampede, &contest);
        contest_fini(&contest);
    }
}

/* What the scheduler does: push, pop now and then, and when full take half of one's own. */
static void stress(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) {
        thief(index, arg);
        return;
    }
    uint64_t random = 11;
    void *last = NULL;
    for (size_t pushed = 0; pushed < contest->tally.count;) {
        size_t burst = 1 + (chance(&random) >> 20) % CAPACITY;
        for (; burst > 0 && pushed < contest->tally.count; burst--) {
            if (weft__ring_queue_push(&contest->queue, item_of(pushed))) {
                pushed++;
                continue;
            }
            void *items[CAPACITY / 2];
            size_t count = weft__ring_queue_take_half(&contest->queue, items);
            for (size_t i = 0; i < count; i++) {
                must(items[i] > last);
                last = items[i];
                tally_take(&contest->tally, number_of(items[i]));
            }
        }
        size_t pops = (chance(&random) >> 20) % CAPACITY;
        while (pops-- > 0 && owner_pop(contest, &last)) {}
    }
    while (owner_pop(contest, &last)) {}
}

static void test_stress(void **state) {
    (void)state;
    for (unsigned thieves = 1; thieves <= 4; thieves *= 2) {
        struct contest contest;
        contest_init(&contest, UINT32_MAX - (uint32_t)ROUNDS(1000000) / 2, ROUNDS(1000000));
        run_together(1 + thieves, stress, &contest);
        contest_fini(&contest);
    }
}

/* However busy the owner is, each thief gets its share in the end; and however busy thieves are, the owner
 * finds room (test_one_producer_one_consumer would not end). */
#define SHARE 100

static void busy_owner(unsigned index, void *arg) {
    struct contest *contest = arg;
    if (index > 0) {
        for (unsigned round = 0; load_relaxed(&contest->stolen[index]) < SHARE; round++) {
            void *items[CAPACITY / 2];
            size_t count = weft__ring_queue_take_half(&contest->queue, items);
            fetch_add_relaxed(&contest->stolen[index], count);
            if (count == 0) wait_a_little(round);
        }
        return;
    }
    for (bool served = false; !served;) {
        for (size_t i = 0; i < 4; i++) weft__ring_queue_push(&contest->queue, item_of(i));
        while (weft__ring_queue_pop(&contest->queue)) {}
        served = true;
        for (unsigned i = 1; i <= THIEVES; i++) served = served && load_relaxed(&contest->stolen[i]) >= SHARE;
    }
}

static void test_no_starvation(void **state) {
    (void)state;
    struct contest contest;
    contest_init(&contest, 0, 0);
    run_together(1 + THIEVES, busy_owner, &contest);
    contest_fini(&contest);
}

/* A queue owns nothing: its end is being made anew. */
static void test_destruction(void **state) {
    (void)state;
    struct weft__ring_queue queue;
    weft__ring_queue_init(&queue);
    fill(&queue, 0, CAPACITY);
    weft__ring_queue_init(&queue);
    assert_empty(&queue);
    fill(&queue, 0, CAPACITY);
    assert_ptr_equal(weft__ring_queue_pop(&queue), item_of(0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),         cmocka_unit_test(test_empty),
        cmocka_unit_test(test_full),          cmocka_unit_test(test_take_half),
        cmocka_unit_test(test_one_thief_at_a_time),
        cmocka_unit_test(test_model),         cmocka_unit_test(test_one_producer_one_consumer),
        cmocka_unit_test(test_stampede),      cmocka_unit_test(test_stress),
        cmocka_unit_test(test_no_starvation), cmocka_unit_test(test_destruction),
    };
    return run_group(tests);
}
