/* The timing wheel against a plain array: no timer fires early, none more than a tick late, whatever the
 * distances (from one tick to centuries), and sleeping until weft__wheel_next never oversleeps. Time is
 * virtual throughout. */
#include "structures.h"

#include "runtime/timer_wheel.h"

#define TICK ((int64_t)1 << WEFT__WHEEL_TICK_SHIFT)
#define NODES 300
#define LAST_TICK_NS (INT64_MAX / TICK * TICK)

struct timer {
    struct weft__wheel_node node;
    bool pending;
    int64_t effective_ns; /* the tick at which it is due, or that of its insertion if it was overdue then */
};

struct model {
    struct weft__timer_wheel wheel;
    struct timer timers[NODES];
    size_t pending;
    int64_t now_ns;
    uint64_t random;
    size_t fired;
};

static struct timer *timer_of(struct weft__list *link) {
    return weft__container_of(link, struct timer, node.link);
}

/* The tick, in nanoseconds, at which a deadline is due; INT64_MAX if there is no such tick. */
static int64_t due_tick(int64_t deadline_ns) {
    if (deadline_ns <= 0) return 0;
    return deadline_ns > LAST_TICK_NS ? INT64_MAX : (deadline_ns + TICK - 1) / TICK * TICK;
}

/* A distance of any order of magnitude, from 0 to 2^62 ns (146 years). */
static int64_t distance(struct model *model) {
    unsigned bits = (unsigned)(chance(&model->random) >> 20) % 63;
    return (int64_t)(chance(&model->random) >> 1 & ((UINT64_C(1) << bits) - 1));
}

static int64_t later(int64_t now_ns, int64_t by_ns) {
    return by_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + by_ns;
}

static void insert(struct model *model, struct timer *timer, int64_t deadline_ns) {
    must(!timer->pending);
    timer->node.deadline_ns = deadline_ns;
    timer->pending = true;
    int64_t tick_ns = model->now_ns / TICK * TICK;
    timer->effective_ns = due_tick(deadline_ns) > tick_ns ? due_tick(deadline_ns) : tick_ns;
    model->pending++;
    weft__wheel_insert(&model->wheel, &timer->node);
}

static void remove_timer(struct model *model, struct timer *timer) {
    timer->pending = false;
    model->pending--;
    weft__wheel_remove(&model->wheel, &timer->node);
}

static bool overdue(const struct model *model) {
    for (size_t i = 0; i < NODES; i++)
        if (model->timers[i].pending && model->timers[i].node.deadline_ns <= model->now_ns / TICK * TICK)
            return true;
    return false;
}

static int64_t earliest_tick(const struct model *model) {
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < NODES; i++) {
        const struct timer *timer = &model->timers[i];
        if (timer->pending && due_tick(timer->node.deadline_ns) < earliest)
            earliest = due_tick(timer->node.deadline_ns);
    }
    return earliest;
}

static void check_next(const struct model *model) {
    int64_t next = weft__wheel_next(&model->wheel);
    assert_int_equal(model->wheel.count, model->pending);
    if (model->pending == 0) assert_int_equal(next, INT64_MAX);
    else assert_true(next <= earliest_tick(model));
    if (overdue(model)) assert_true(next <= model->now_ns);
    else assert_true(next > model->now_ns || next == INT64_MAX); /* sleeping until then is sleeping */
}

/* What is due comes out at once, or bit by bit. */
static void expire(struct model *model, struct weft__list *due) {
    bool whole = chance(&model->random) >> 33 & 1;
    for (int64_t next = 0; next <= model->now_ns && next != INT64_MAX; next = weft__wheel_next(&model->wheel)) {
        struct weft__list some;
        size_t most = whole ? SIZE_MAX : 1 + (size_t)(chance(&model->random) >> 33 & 7), count = 0;
        weft__list_init(&some);
        weft__wheel_expire(&model->wheel, model->now_ns, most, &some);
        for (struct weft__list *link = some.next; link != &some; link = link->next) count++;
        assert_true(count <= most);
        weft__list_splice(due, &some);
    }
}

/* Everything due by `now_ns` comes out, and nothing else, in the order of ticks; sorted, strictly. */
static size_t advance(struct model *model, int64_t now_ns) {
    struct weft__list due;
    size_t count = 0;
    weft__list_init(&due);
    model->now_ns = now_ns;
    expire(model, &due);
    int64_t last_ns = INT64_MIN;
    for (struct weft__list *link = due.next; link != &due; link = link->next) {
        struct timer *timer = timer_of(link);
        assert_true(timer->pending);
        assert_true(timer->node.deadline_ns <= now_ns); /* never early */
        assert_true(timer->effective_ns >= last_ns);
        last_ns = timer->effective_ns;
        timer->pending = false;
        count++;
    }
    model->pending -= count;
    model->fired += count;
    for (size_t i = 0; i < NODES; i++) /* at most a tick late */
        if (model->timers[i].pending && model->timers[i].node.deadline_ns <= LAST_TICK_NS)
            assert_true(due_tick(model->timers[i].node.deadline_ns) > now_ns);
    weft__wheel_sort(&due);
    struct timer *last = NULL;
    for (struct weft__list *link; (link = weft__list_pop(&due)); last = timer_of(link), count--) {
        if (!last) continue;
        struct weft__wheel_node *a = &last->node, *b = &timer_of(link)->node;
        assert_true(a->deadline_ns < b->deadline_ns ||
                    (a->deadline_ns == b->deadline_ns && a->sequence < b->sequence));
    }
    assert_int_equal(count, 0); /* the sort kept them all */
    return model->fired;
}

/* Sleeps until `next` again and again: within as many turns as there are levels something must fire, and
 * at exactly its tick. */
static void run_until_something_fires(struct model *model) {
    int64_t earliest = earliest_tick(model);
    size_t before = model->fired;
    for (unsigned turn = 0; model->fired == before; turn++) {
        int64_t next = weft__wheel_next(&model->wheel);
        if (next == INT64_MAX) break; /* deadlines after the last tick: never */
        assert_true(turn < WEFT__WHEEL_LEVELS);
        assert_true(next <= earliest || next <= model->now_ns);
        advance(model, next > model->now_ns ? next : model->now_ns);
    }
    if (model->fired > before) assert_true(model->now_ns == earliest || earliest <= model->now_ns);
    if (earliest != INT64_MAX) assert_true(model->fired > before);
}

static void model_init(struct model *model, int64_t now_ns, uint64_t seed) {
    memset(model, 0, sizeof *model);
    model->now_ns = now_ns;
    model->random = seed;
    weft__wheel_init(&model->wheel, now_ns);
}

static int64_t random_deadline(struct model *model) {
    switch ((chance(&model->random) >> 20) % 32) {
    case 0: return INT64_MAX;
    case 1: return model->now_ns - distance(model) % (model->now_ns + 1); /* overdue */
    case 2: return 0;
    case 3: return -1;
    case 4: return later(model->now_ns / TICK * TICK, TICK); /* tick boundaries */
    case 5: return model->now_ns / TICK * TICK;
    case 6: return model->timers[0].node.deadline_ns; /* ties */
    default: return later(model->now_ns, distance(model));
    }
}

static void step(struct model *model) {
    struct timer *timer = &model->timers[(chance(&model->random) >> 20) % NODES];
    unsigned dice = (unsigned)(chance(&model->random) >> 20) % 100;
    if (dice < 80) {
        if (!timer->pending) insert(model, timer, random_deadline(model));
        else if (dice < 25) remove_timer(model, timer);
    } else if (dice < 92) {
        run_until_something_fires(model);
    } else {
        int64_t jump = distance(model);
        if (dice < 99) jump %= TICK * 4096; /* mostly small, or the end of time would come too soon */
        advance(model, later(model->now_ns, jump));
    }
    check_next(model);
}

static void test_model(void **state) {
    (void)state;
    static struct model model;
    for (uint64_t seed = 1; seed <= ROUNDS(200); seed++) {
        model_init(&model, seed % 3 ? (int64_t)(seed * 12345678901) : 0, seed);
        for (unsigned i = 0; i < 500; i++) step(&model);
        advance(&model, INT64_MAX); /* the end of time */
        for (size_t i = 0; i < NODES; i++) /* only what lies behind the last tick is left */
            if (model.timers[i].pending) remove_timer(&model, &model.timers[i]);
        check_next(&model);
    }
}

static void test_smoke(void **state) {
    (void)state;
    static struct model model;
    model_init(&model, 5 * TICK, 1);
    insert(&model, &model.timers[0], 10 * TICK);
    insert(&model, &model.timers[1], 7 * TICK + 1);
    check_next(&model);
    assert_int_equal(advance(&model, 7 * TICK + 1), 0); /* its tick is the next one */
    assert_int_equal(advance(&model, 8 * TICK - 1), 0);
    assert_int_equal(advance(&model, 8 * TICK), 1);
    assert_false(model.timers[1].pending);
    assert_int_equal(advance(&model, 10 * TICK), 2);
    check_next(&model);
}

static void test_empty(void **state) {
    (void)state;
    static struct model model;
    model_init(&model, 0, 1);
    check_next(&model);
    for (int64_t now = 1; now < INT64_MAX / 3; now *= 3) assert_int_equal(advance(&model, now), 0);
    insert(&model, &model.timers[0], INT64_MAX / 2);
    remove_timer(&model, &model.timers[0]);
    check_next(&model);
    assert_int_equal(advance(&model, INT64_MAX), 0);
}

/* Each level, each slot: one timer at every power of two and beside it, walked to by weft__wheel_next. */
static void test_every_distance(void **state) {
    (void)state;
    static struct model model;
    static const int64_t starts[] = {0, 1, TICK - 1, TICK,
                                     63 * TICK, 64 * TICK, 4095 * TICK, (INT64_C(1) << 50) - 1};
    for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
        model_init(&model, starts[s], 1);
        size_t count = 0;
        for (unsigned bit = 0; bit < 63; bit++)
            for (int64_t off = -1; off <= 1; off++)
                insert(&model, &model.timers[count++], later(starts[s], (INT64_C(1) << bit) + off));
        check_next(&model);
        while (earliest_tick(&model) != INT64_MAX) run_until_something_fires(&model);
        assert_int_equal(model.fired + model.pending, count);
        assert_int_equal(model.pending, 0);
    }
}

/* What is due when it is inserted waits for the next expire, not for the next tick. */
static void test_overdue(void **state) {
    (void)state;
    static struct model model;
    model_init(&model, 1000 * TICK, 1);
    insert(&model, &model.timers[0], 999 * TICK);
    insert(&model, &model.timers[1], 0);
    insert(&model, &model.timers[2], -5);
    insert(&model, &model.timers[3], 1000 * TICK);
    assert_true(weft__wheel_next(&model.wheel) <= model.now_ns);
    remove_timer(&model, &model.timers[1]);
    assert_int_equal(model.wheel.count, 3);
    assert_int_equal(advance(&model, model.now_ns), 3); /* without time passing */
    insert(&model, &model.timers[1], 3);
    remove_timer(&model, &model.timers[1]);
    check_next(&model);
}

static void test_end_of_time(void **state) {
    (void)state;
    static struct model model;
    model_init(&model, 0, 1);
    insert(&model, &model.timers[0], INT64_MAX);
    insert(&model, &model.timers[1], LAST_TICK_NS + 1);
    insert(&model, &model.timers[2], LAST_TICK_NS);
    insert(&model, &model.timers[3], LAST_TICK_NS - 1);
    run_until_something_fires(&model);
    assert_int_equal(model.fired, 2);
    assert_int_equal(model.now_ns, LAST_TICK_NS);
    assert_int_equal(weft__wheel_next(&model.wheel), INT64_MAX);
    assert_int_equal(advance(&model, INT64_MAX), 2); /* they never fire, */
    remove_timer(&model, &model.timers[0]);          /* but can be removed */
    remove_timer(&model, &model.timers[1]);
    check_next(&model);
}

/* A slot with more than one call moves down; meanwhile some of its timers are removed, others inserted. */
static void test_changes_while_a_slot_moves(void **state) {
    (void)state;
    static struct model model;
    const int64_t slot = WEFT__WHEEL_SLOTS * TICK; /* of level 1 */
    size_t removed = 0, fired = 0;
    int64_t last_ns = 0;
    model_init(&model, 0, 2);
    for (size_t i = 0; i < NODES / 2; i++) insert(&model, &model.timers[i], 3 * slot + (int64_t)i * 7919 % NODES * (slot / NODES));
    model.now_ns = 5 * slot;
    for (size_t i = 0; weft__wheel_next(&model.wheel) <= model.now_ns; i++) {
        struct weft__list due;
        weft__list_init(&due);
        weft__wheel_expire(&model.wheel, model.now_ns, 1, &due);
        for (struct weft__list *link; (link = weft__list_pop(&due)); fired++) {
            struct timer *timer = timer_of(link);
            timer->pending = false;
            if (timer >= &model.timers[NODES / 2]) continue; /* inserted late */
            assert_true(timer->effective_ns >= last_ns);
            last_ns = timer->effective_ns;
        }
        if (i < 30 && model.timers[3 * i].pending) remove_timer(&model, &model.timers[3 * i]), removed++;
        if (i < 30) insert(&model, &model.timers[NODES / 2 + i], 3 * slot + (int64_t)i * TICK);
    }
    assert_int_equal(fired + removed, NODES / 2 + 30);
    assert_true(removed > 10);
    assert_int_equal(model.wheel.count, 0);
    assert_true(weft__wheel_next(&model.wheel) == INT64_MAX);
}

/* Equal deadlines come out in insertion order, however they came to lie on different levels meanwhile. */
static void test_ties(void **state) {
    (void)state;
    static struct model model;
    int64_t deadline = 100000 * TICK + 5;
    model_init(&model, 0, 1);
    for (size_t i = 0; i < 200; i++) {
        if (i % 10 == 9) advance(&model, later(model.now_ns, 4900 * TICK)); /* level by level */
        insert(&model, &model.timers[i], deadline - (i % 2 ? 0 : 1));
    }
    assert_int_equal(model.fired, 0);
    struct weft__list due;
    weft__list_init(&due);
    weft__wheel_expire(&model.wheel, deadline + TICK, SIZE_MAX, &due);
    weft__wheel_sort(&due);
    for (size_t i = 0; i < 200; i += 2) assert_ptr_equal(timer_of(weft__list_pop(&due)), &model.timers[i]);
    for (size_t i = 1; i < 200; i += 2) assert_ptr_equal(timer_of(weft__list_pop(&due)), &model.timers[i]);
    assert_true(weft__list_empty(&due));
    assert_int_equal(model.wheel.count, 0);
}

/* 10^5 nodes in a bad order: each is there afterwards, by (deadline, sequence). */
static void sort_many(size_t count, int64_t (*deadline)(size_t i, uint64_t random)) {
    struct weft__wheel_node *nodes = calloc(count + 1, sizeof *nodes);
    struct weft__list due;
    uint64_t random = 99;
    weft__list_init(&due);
    for (size_t i = 0; i < count; i++) {
        nodes[i].deadline_ns = deadline(i, chance(&random) >> 20);
        nodes[i].sequence = i;
        nodes[i].slot = 1; /* seen below: once */
        weft__list_append(&due, &nodes[i].link);
    }
    weft__wheel_sort(&due);
    struct weft__wheel_node *last = NULL;
    for (struct weft__list *link; (link = weft__list_pop(&due)); count--) {
        struct weft__wheel_node *node = weft__container_of(link, struct weft__wheel_node, link);
        assert_int_equal(node->slot--, 1);
        if (last)
            assert_true(last->deadline_ns < node->deadline_ns ||
                        (last->deadline_ns == node->deadline_ns && last->sequence < node->sequence));
        last = node;
    }
    assert_int_equal(count, 0);
    free(nodes);
}

static int64_t same(size_t i, uint64_t random) { return (void)i, (void)random, 7; }
static int64_t rising(size_t i, uint64_t random) { return (void)random, (int64_t)i; }
static int64_t falling(size_t i, uint64_t random) { return (void)random, -(int64_t)i; }
static int64_t few_kinds(size_t i, uint64_t random) { return (void)i, (int64_t)(random % 10); }
static int64_t any(size_t i, uint64_t random) { return (void)i, (int64_t)random - (INT64_C(1) << 43); }

static void test_sort(void **state) {
    (void)state;
    int64_t (*const orders[])(size_t i, uint64_t random) = {same, rising, falling, few_kinds, any};
    for (size_t order = 0; order < sizeof orders / sizeof orders[0]; order++) {
        for (size_t count = 0; count < 20; count++) sort_many(count, orders[order]);
        sort_many(100000, orders[order]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),       cmocka_unit_test(test_empty), cmocka_unit_test(test_every_distance),
        cmocka_unit_test(test_overdue),     cmocka_unit_test(test_changes_while_a_slot_moves),
        cmocka_unit_test(test_ties),  cmocka_unit_test(test_end_of_time),
        cmocka_unit_test(test_model),       cmocka_unit_test(test_sort),
    };
    return run_group(tests);
}
