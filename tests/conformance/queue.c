/* weft_queue: rules Q1, Q3, Q4 and MT20. */
#include "sync_support.h"

static weft_queue queue;

/* ---- golden ---- */

struct script {
    int64_t maxsize;
    bool producer_first;
};

static void mark_number(const char *what, long number) {
    char text[24];
    snprintf(text, sizeof text, "%s%ld", what, number);
    mark(text);
}

static intptr_t produces4(void *arg) {
    (void)arg;
    for (int i = 0; i < 4; i++) {
        must_equal(weft_queue_put(&queue, i), 0);
        mark_number("p", i);
    }
    return 0;
}

static intptr_t consumes4(void *what) {
    for (int i = 0; i < 4; i++) {
        intptr_t item;
        must_equal(weft_queue_get(&queue, &item), 0);
        mark_number(what, item);
    }
    return 0;
}

static char got[] = "g", nothing[] = "";

static intptr_t golden_pair(void *arg) {
    struct script *script = arg;
    must_equal(weft_queue_init(&queue, script->maxsize), 0);
    weft_task *p = script->producer_first ? weft_spawn(produces4, NULL) : NULL;
    weft_task *c = weft_spawn(consumes4, got);
    if (!p) p = weft_spawn(produces4, NULL);
    must_equal(weft_join(c), 0);
    must_equal(weft_join(p), 0);
    weft_queue_fini(&queue);
    return 0;
}

static void golden_queue(struct script script, const char *expected) {
    trace[0] = 0;
    assert_int_equal(run_on(0, golden_pair, &script), 0);
    assert_string_equal(trace, expected);
}

static int ascending(intptr_t a, intptr_t b) { return (a > b) - (a < b); }

static intptr_t golden_ordered(void *priority) {
    intptr_t items[] = {3, 1, 2, 0};
    if (priority) must_equal(weft_priority_queue_init(&queue, 0, ascending), 0);
    else must_equal(weft_lifo_queue_init(&queue, 0), 0);
    weft_task *task = weft_spawn(consumes4, nothing);
    weft_sleep(0);
    for (int i = 0; i < 4; i++) must_equal(weft_queue_put_nowait(&queue, items[i]), 0);
    mark_number("size", weft_queue_qsize(&queue));
    must_equal(weft_join(task), 0);
    weft_queue_fini(&queue);
    return 0;
}

static intptr_t joins(void *arg) {
    (void)arg;
    must_equal(weft_queue_join(&queue), 0);
    mark("joined");
    return 0;
}

static intptr_t works_off_two(void *arg) {
    (void)arg;
    for (int i = 0; i < 2; i++) {
        intptr_t item;
        weft_queue_get(&queue, &item);
        mark_number("g", item);
        weft_sleep(0);
        weft_queue_task_done(&queue);
        mark("d");
    }
    return 0;
}

static intptr_t golden_join(void *arg) {
    (void)arg;
    must_equal(weft_queue_init(&queue, 0), 0);
    for (int i = 0; i < 2; i++) weft_queue_put_nowait(&queue, i);
    weft_task *a = weft_spawn(joins, NULL), *b = weft_spawn(works_off_two, NULL);
    weft_join(a);
    weft_join(b);
    weft_queue_fini(&queue);
    return 0;
}

static void test_Q1_order_as_in_asyncio(void **state) {
    (void)state;
    golden_queue((struct script){1, false}, "p0 g0 p1 g1 p2 g2 p3 g3");
    golden_queue((struct script){1, true}, "p0 g0 p1 g1 p2 g2 p3 g3");
    golden_queue((struct script){2, false}, "p0 p1 g0 g1 p2 p3 g2 g3");
    golden_queue((struct script){2, true}, "p0 p1 g0 g1 p2 p3 g2 g3");
    golden_queue((struct script){0, false}, "p0 p1 p2 p3 g0 g1 g2 g3");
    trace[0] = 0;
    assert_int_equal(run_on(0, golden_ordered, &queue), 0);
    assert_string_equal(trace, "size4 0 1 2 3");
    golden(golden_ordered, "size4 0 2 1 3");
    golden(golden_join, "g0 d g1 d joined");
}

/* ---- Q1: full, empty, the three orders ---- */

static int put_in_callback(void *arg) { return weft_queue_put(arg, 9); }
static int get_in_callback(void *arg) {
    intptr_t item;
    return weft_queue_get(arg, &item);
}

static intptr_t basics(void *arg) {
    intptr_t item = 77;
    weft_queue bounded = WEFT_QUEUE_INIT(2);
    (void)arg;
    must_equal(weft_queue_get_nowait(&bounded, &item), -EAGAIN);
    must_equal(in_callback(get_in_callback, &bounded), -EDEADLK);
    must_equal(item, 77);
    must(weft_queue_empty(&bounded) && !weft_queue_full(&bounded));
    must_equal(weft_queue_put(&bounded, -1), 0); /* any value is an item */
    must_equal(weft_queue_put_nowait(&bounded, INTPTR_MIN), 0);
    must_equal(weft_queue_put_nowait(&bounded, 3), -EAGAIN);
    must_equal(in_callback(put_in_callback, &bounded), -EDEADLK);
    must(weft_queue_full(&bounded) && weft_queue_qsize(&bounded) == 2);
    must_equal(weft_queue_get(&bounded, &item), 0);
    must_equal(item, -1);
    must_equal(weft_queue_get_nowait(&bounded, &item), 0);
    must_equal(item, INTPTR_MIN);
    must_equal(in_callback(put_in_callback, &bounded), 0);
    must_equal(in_callback(get_in_callback, &bounded), 0);
    weft_queue_fini(&bounded);
    weft_queue_fini(NULL);
    must_equal(weft_queue_init(NULL, 1), -EINVAL);
    must_equal(weft_lifo_queue_init(NULL, 1), -EINVAL);
    must_equal(weft_priority_queue_init(NULL, 1, ascending), -EINVAL);
    must_equal(weft_priority_queue_init(&bounded, 1, NULL), -EINVAL);
    must_equal(weft_queue_put(NULL, 1), -EINVAL);
    must_equal(weft_queue_put_nowait(NULL, 1), -EINVAL);
    must_equal(weft_queue_get(NULL, &item), -EINVAL);
    must_equal(weft_queue_get(&bounded, NULL), -EINVAL);
    must_equal(weft_queue_get_nowait(NULL, &item), -EINVAL);
    must_equal(weft_queue_get_nowait(&bounded, NULL), -EINVAL);
    must_equal(weft_queue_qsize(NULL), -EINVAL);
    must_equal(weft_queue_join(NULL), -EINVAL);
    must_equal(weft_queue_task_done(NULL), -EINVAL);
    must_equal(weft_queue_shutdown(NULL, false), -EINVAL);
    return 0;
}

#define MANY 5000
static int by_tens(intptr_t a, intptr_t b) { return (a / 10 > b / 10) - (a / 10 < b / 10); }

/* Equal ones come in the order in which they were put: of 10 n + k by n, with k in the order of putting. */
static intptr_t orders(void *arg) {
    intptr_t item, last = -1;
    (void)arg;
    must_equal(weft_queue_init(&queue, -5), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) must_equal(weft_queue_put(&queue, i), 0);
        must(!weft_queue_full(&queue));
        for (int i = 0; i < MANY; i++) must(weft_queue_get(&queue, &item) == 0 && item == i);
    }
    weft_queue_fini(&queue);
    must_equal(weft_lifo_queue_init(&queue, 0), 0);
    for (int i = 0; i < MANY; i++) must_equal(weft_queue_put(&queue, i), 0);
    for (int i = MANY - 1; i >= 0; i--) must(weft_queue_get(&queue, &item) == 0 && item == i);
    weft_queue_fini(&queue);
    must_equal(weft_priority_queue_init(&queue, 0, by_tens), 0);
    for (int k = 0; k < 10; k++)
        for (int n = 0; n < 1009; n++) must_equal(weft_queue_put(&queue, n * 577 % 1009 * 10 + k), 0);
    for (int i = 0; i < 10090; i++, last = item) must(weft_queue_get(&queue, &item) == 0 && item == last + 1);
    must(weft_queue_empty(&queue));
    must_equal(weft_queue_put(&queue, 5), 0); /* one is left behind */
    weft_queue_fini(&queue);
    return 0;
}

static intptr_t adds_one(void *arg) {
    (*(int *)arg)++;
    return 0;
}

static intptr_t ready(void *arg) {
    int ran = 0;
    intptr_t item;
    (void)arg;
    must_equal(weft_queue_init(&queue, 1), 0);
    weft_task *other = weft_spawn(adds_one, &ran);
    for (int i = 0; i < 1000; i++) {
        must_equal(weft_queue_put(&queue, i), 0);
        must_equal(weft_queue_get(&queue, &item), 0);
    }
    must_equal(ran, 0);
    weft_queue_fini(&queue);
    return weft_join(other);
}

static void test_Q1_full_empty_order(void **state) {
    (void)state;
    on_each_loop(basics);
    on_each_loop(orders);
    assert_int_equal(run_on(0, ready, NULL), 0);
}

/* ---- requests are served in order ---- */

#define WAITERS 8
static intptr_t taken[WAITERS];

static intptr_t gets(void *slot) { return weft_queue_get(&queue, slot); }
static intptr_t puts_item(void *item) { return weft_queue_put(&queue, (intptr_t)item); }

static intptr_t in_line(void *arg) {
    struct party parties[WAITERS];
    intptr_t item;
    (void)arg;
    must_equal(weft_queue_init(&queue, 1), 0);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < WAITERS; i++) {
            uint64_t former = peek(&queue.opaque[GETTERS_LAST]);
            party_start(&parties[i], i % 4 == 3, gets, &taken[i]);
            until_arrived(&queue.opaque[GETTERS_LAST], former);
        }
        for (int i = 0; i < WAITERS; i++) must_equal(weft_queue_put(&queue, i), 0);
        for (int i = 0; i < WAITERS; i++) must_equal(party_join(&parties[i]), 0);
        for (int i = 0; i < WAITERS; i++) must_equal(taken[i], i);
        must_equal(weft_queue_put(&queue, -1), 0);
        for (int i = 0; i < WAITERS; i++) {
            uint64_t former = peek(&queue.opaque[PUTTERS_LAST]);
            party_start(&parties[i], i % 4 == 3, puts_item, (void *)(intptr_t)i);
            until_arrived(&queue.opaque[PUTTERS_LAST], former);
        }
        must_equal(weft_queue_put_nowait(&queue, 99), -EAGAIN);
        for (int i = -1; i < WAITERS; i++) must(weft_queue_get(&queue, &item) == 0 && item == i);
        for (int i = 0; i < WAITERS; i++) must_equal(party_join(&parties[i]), 0);
        must(weft_queue_empty(&queue));
    }
    weft_queue_fini(&queue);
    return 0;
}

static void test_MT20_request_order(void **state) {
    (void)state;
    on_each_loop(in_line);
}

/* ---- Q3 ---- */

static intptr_t joins_or_not(void *arg) {
    (void)arg;
    return weft_queue_join(&queue);
}

static intptr_t joining(void *arg) {
    intptr_t item;
    (void)arg;
    must_equal(weft_queue_init(&queue, 0), 0);
    must_equal(weft_queue_join(&queue), 0);
    must_equal(weft_queue_task_done(&queue), -EINVAL);
    for (int i = 0; i < 3; i++) must_equal(weft_queue_put(&queue, i), 0);
    trace[0] = 0;
    weft_task *task = weft_spawn(joins, NULL), *other = weft_spawn(joins_or_not, NULL);
    while (peek(&queue.opaque[JOINERS_LAST]) == 0) weft_yield();
    for (int i = 0; i < 3; i++) {
        must_equal(weft_queue_get(&queue, &item), 0);
        weft_yield();
        must(!weft_done(task));
        if (i == 1) weft_cancel(other);
        must_equal(weft_queue_task_done(&queue), 0);
    }
    must_equal(weft_join(task), 0);
    must_equal(weft_join(other), -ECANCELED);
    must_equal(weft_queue_task_done(&queue), -EINVAL);
    weft_queue_fini(&queue);
    return 0;
}

static void test_Q3_join(void **state) {
    (void)state;
    on_each_loop(joining);
}

/* ---- Q4 ---- */

static void waiting_in(struct party *party, bool is_thread, weft_fn *fn, void *arg, int last) {
    uint64_t former = peek(&queue.opaque[last]);
    party_start(party, is_thread, fn, arg);
    until_arrived(&queue.opaque[last], former);
}

static intptr_t shutting_down(void *arg) {
    struct party getters[2], putters[2];
    intptr_t item;
    (void)arg;
    must_equal(weft_queue_init(&queue, 2), 0);
    for (int i = 0; i < 2; i++) waiting_in(&getters[i], i, gets, &taken[i], GETTERS_LAST);
    must_equal(weft_queue_shutdown(&queue, false), 0);
    must_equal(weft_queue_shutdown(&queue, false), 0);
    for (int i = 0; i < 2; i++) must_equal(party_join(&getters[i]), -EPIPE);
    must_equal(weft_queue_put(&queue, 1), -EPIPE);
    must_equal(weft_queue_put_nowait(&queue, 1), -EPIPE);
    must_equal(weft_queue_get(&queue, &item), -EPIPE);
    weft_queue_fini(&queue);
    for (int immediate = 0; immediate <= 1; immediate++) {
        must_equal(weft_queue_init(&queue, 2), 0);
        for (int i = 0; i < 2; i++) must_equal(weft_queue_put(&queue, i), 0);
        for (int i = 0; i < 2; i++) waiting_in(&putters[i], i, puts_item, (void *)(intptr_t)(2 + i), PUTTERS_LAST);
        weft_task *joiner = weft_spawn(joins, NULL);
        trace[0] = 0;
        until_arrived(&queue.opaque[JOINERS_LAST], 0);
        must_equal(weft_queue_shutdown(&queue, immediate), 0);
        for (int i = 0; i < 2; i++) must_equal(party_join(&putters[i]), -EPIPE);
        if (immediate) must_equal(weft_join(joiner), 0); /* they count as done */
        for (int i = 0; !immediate && i < 2; i++) must(weft_queue_get(&queue, &item) == 0 && item == i);
        must_equal(weft_queue_get(&queue, &item), -EPIPE);
        must_equal(weft_queue_get_nowait(&queue, &item), -EPIPE);
        for (int i = 0; !immediate && i < 2; i++) must_equal(weft_queue_task_done(&queue), 0);
        if (!immediate) must_equal(weft_join(joiner), 0);
        must_equal(weft_queue_task_done(&queue), -EINVAL);
        weft_queue_fini(&queue);
    }
    return 0;
}

/* Strict order: promised, but shut down before it runs. */
static intptr_t promised(void *arg) {
    (void)arg;
    must_equal(weft_queue_init(&queue, 1), 0);
    weft_task *getter = weft_spawn(gets, &taken[0]);
    weft_sleep(0);
    must_equal(weft_queue_put_nowait(&queue, 5), 0);
    must_equal(weft_queue_get_nowait(&queue, &taken[1]), -EAGAIN); /* kept for the getter */
    must_equal(weft_queue_put_nowait(&queue, 6), -EAGAIN);
    must_equal(weft_queue_shutdown(&queue, true), 0);
    must_equal(weft_join(getter), -EPIPE);
    weft_queue_fini(&queue);
    must_equal(weft_queue_init(&queue, 1), 0);
    must_equal(weft_queue_put_nowait(&queue, 5), 0);
    weft_task *putter = weft_spawn(puts_item, NULL);
    weft_sleep(0);
    must_equal(weft_queue_get_nowait(&queue, &taken[1]), 0);
    must_equal(weft_queue_put_nowait(&queue, 6), -EAGAIN); /* the room is the putter's */
    must_equal(weft_queue_shutdown(&queue, false), 0);
    must_equal(weft_join(putter), -EPIPE);
    must_equal(weft_queue_get_nowait(&queue, &taken[1]), -EPIPE);
    weft_queue_fini(&queue);
    return 0;
}

static void test_Q4_shutdown(void **state) {
    (void)state;
    on_each_loop(shutting_down);
    assert_int_equal(run_on(0, promised, NULL), 0);
}

/* ---- stress ---- */

struct outcome {
    int error;
    intptr_t item;
};

static intptr_t gets_or_not(void *arg) {
    struct outcome *self = arg;
    return self->error = weft_queue_get(&queue, &self->item);
}

static intptr_t puts_or_not(void *arg) {
    struct outcome *self = arg;
    return self->error = weft_queue_put(&queue, self->item);
}

static intptr_t canceller(void *task) {
    weft_cancel(task);
    return 0;
}

/* An item is put while its getter is cancelled: it is the getter's, or still there. */
static intptr_t get_x_cancel(void *arg) {
    intptr_t item;
    (void)arg;
    must_equal(weft_queue_init(&queue, 1), 0);
    for (int i = 0; i < ROUNDS(100000); i++) {
        struct outcome got_it = {-ECANCELED, -1};
        weft_task *getter = weft_spawn(gets_or_not, &got_it);
        if (i % 2) weft_yield();
        weft_task *killer = weft_spawn(canceller, getter);
        if (i % 3) weft_yield();
        must_equal(weft_queue_put_nowait(&queue, i), 0);
        weft_join(killer);
        weft_join(getter);
        if (got_it.error == 0) must_equal(got_it.item, i);
        else must(got_it.error == -ECANCELED && weft_queue_get_nowait(&queue, &item) == 0 && item == i);
        must(weft_queue_empty(&queue));
    }
    weft_queue_fini(&queue);
    return 0;
}

/* Room is made while a putter is cancelled: its item is in the queue if and only if it said so. */
static intptr_t put_x_cancel(void *arg) {
    intptr_t item;
    (void)arg;
    must_equal(weft_queue_init(&queue, 1), 0);
    for (int i = 0; i < ROUNDS(100000); i++) {
        struct outcome put_it = {-ECANCELED, i};
        must_equal(weft_queue_put_nowait(&queue, -7), 0);
        weft_task *putter = weft_spawn(puts_or_not, &put_it);
        if (i % 2) weft_yield();
        weft_task *killer = weft_spawn(canceller, putter);
        if (i % 3) weft_yield();
        must(weft_queue_get_nowait(&queue, &item) == 0 && item == -7);
        weft_join(killer);
        weft_join(putter);
        must(put_it.error == 0 || put_it.error == -ECANCELED);
        must_equal(weft_queue_get_nowait(&queue, &item), put_it.error ? -EAGAIN : 0);
        if (!put_it.error) must_equal(item, i);
    }
    weft_queue_fini(&queue);
    return 0;
}

static void test_transfer_x_cancel(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, get_x_cancel, NULL), 0);
        assert_int_equal(run_on(workers, put_x_cancel, NULL), 0);
    }
}

static intptr_t shuts(void *immediate) { return weft_queue_shutdown(&queue, immediate); }

/* Shutdown x put x get: what was put is got, or left, or dropped. */
static intptr_t shutdown_x_transfer(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS(100000); i++) {
        must_equal(weft_queue_init(&queue, 1), 0);
        struct outcome in[2] = {{0, 1}, {0, 2}}, out[2] = {{0, 0}, {0, 0}};
        bool immediate = i & 1;
        weft_task *tasks[5] = {weft_spawn(gets_or_not, &out[0]), weft_spawn(puts_or_not, &in[0]),
                               weft_spawn(shuts, immediate ? &queue : NULL), weft_spawn(puts_or_not, &in[1]),
                               weft_spawn(gets_or_not, &out[1])};
        for (int j = 0; j < i % 4; j++) weft_yield();
        for (int j = 0; j < 5; j++) weft_join(tasks[j]);
        intptr_t put = 0, taken_out = 0, item;
        for (int j = 0; j < 2; j++) {
            must(in[j].error == 0 || in[j].error == -EPIPE);
            must(out[j].error == 0 || out[j].error == -EPIPE);
            if (!in[j].error) put += in[j].item;
            if (!out[j].error) taken_out += out[j].item;
        }
        while (weft_queue_get_nowait(&queue, &item) == 0) taken_out += item;
        must(immediate ? taken_out <= put : taken_out == put);
        weft_queue_fini(&queue);
    }
    return 0;
}

static void test_shutdown_x_transfer(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, shutdown_x_transfer, NULL), 0);
}

/* MT20: every item arrives once, each producer's in order; tasks and threads; some getters are cancelled. */
#define PRODUCERS 6
#define CONSUMERS 6
#define ITEMS ROUNDS(20000)
static _Atomic long sum;

static intptr_t produces(void *arg) {
    for (int i = 1; i <= ITEMS; i++) must_equal(weft_queue_put(&queue, (intptr_t)arg * 1000000 + i), 0);
    return 0;
}

static intptr_t consumes(void *arg) {
    intptr_t item, last[PRODUCERS] = {0};
    int error;
    (void)arg;
    while ((error = weft_queue_get(&queue, &item)) != -EPIPE) {
        if (error == -ECANCELED) continue;
        must_equal(error, 0);
        must(item % 1000000 > last[item / 1000000]);
        last[item / 1000000] = item % 1000000;
        atomic_fetch_add(&sum, item % 1000000);
        must_equal(weft_queue_task_done(&queue), 0);
    }
    return 0;
}

static intptr_t flows(void *arg) {
    struct party producers[PRODUCERS], consumers[CONSUMERS];
    int64_t maxsizes[] = {1, 7, 0};
    (void)arg;
    for (int k = 0; k < 3; k++) {
        must_equal(weft_queue_init(&queue, maxsizes[k]), 0);
        atomic_store(&sum, 0);
        for (int i = 0; i < CONSUMERS; i++) party_start(&consumers[i], i == 5, consumes, NULL);
        for (int i = 0; i < PRODUCERS; i++) party_start(&producers[i], i == 5, produces, (void *)(intptr_t)i);
        for (int i = 0; i < 300; i++) {
            weft_cancel(consumers[i % 3].task);
            weft_yield();
        }
        for (int i = 0; i < PRODUCERS; i++) must_equal(party_join(&producers[i]), 0);
        must_equal(weft_queue_join(&queue), 0);
        must_equal(weft_queue_shutdown(&queue, false), 0);
        for (int i = 0; i < CONSUMERS; i++) party_join(&consumers[i]);
        must_equal(atomic_load(&sum), (long)PRODUCERS * ITEMS * (ITEMS + 1) / 2);
        weft_queue_fini(&queue);
    }
    return 0;
}

static void test_MT20_items_are_conserved(void **state) {
    (void)state;
    on_each_loop(flows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_Q1_order_as_in_asyncio), cmocka_unit_test(test_Q1_full_empty_order),
        cmocka_unit_test(test_MT20_request_order),     cmocka_unit_test(test_Q3_join),
        cmocka_unit_test(test_Q4_shutdown),            cmocka_unit_test(test_transfer_x_cancel),
        cmocka_unit_test(test_shutdown_x_transfer),    cmocka_unit_test(test_MT20_items_are_conserved),
    };
    return run_group(tests);
}
