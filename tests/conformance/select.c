/* weft_select: exactly one of several queues and futures (no rule of asyncio's; Q1, MT20). */
#include "sync_support.h"

#define GET(q) {.kind = WEFT_SELECT_GET, .queue = (q)}
#define PUT(q, i) {.kind = WEFT_SELECT_PUT, .queue = (q), .item = (i)}
#define FUTURE(f) {.kind = WEFT_SELECT_FUTURE, .future = (f)}

static weft_queue a, b;

static int select_in_callback(void *arg) {
    weft_select_case cases[] = {GET(arg)};
    return weft_select(cases, 1, WEFT_FOREVER);
}

static intptr_t at_once(void *arg) {
    weft_future *future = weft_future_new();
    weft_select_case cases[] = {GET(&a), PUT(&b, 7), FUTURE(future)};
    intptr_t item;
    (void)arg;
    must_equal(weft_queue_init(&a, 1), 0);
    must_equal(weft_queue_init(&b, 1), 0);
    must_equal(weft_select(cases, 3, WEFT_FOREVER), 1);
    must_equal(cases[1].result, 0);
    must_equal(weft_select(cases, 3, 0), -ETIMEDOUT);
    must_equal(weft_select(cases, 3, -5), -ETIMEDOUT);
    must(weft_queue_get(&b, &item) == 0 && item == 7);
    must_equal(weft_queue_put(&b, 8), 0);
    must_equal(weft_future_set_result(future, 5), 0);
    must_equal(weft_select(cases, 3, 0), 2);
    must_equal(weft_queue_shutdown(&a, false), 0);
    must_equal(weft_select(cases, 2, WEFT_FOREVER), 0);
    must_equal(cases[0].result, -EPIPE);
    weft_release(future);
    weft_queue_fini(&a);
    weft_queue_fini(&b);
    must_equal(weft_queue_init(&a, 1), 0);
    must_equal(in_callback(select_in_callback, &a), -EDEADLK);
    weft_select_case none[] = {GET(NULL)}, no_future[] = {FUTURE(NULL)},
                     coroutine[] = {FUTURE(weft_coroutine(at_once, 0))};
    must_equal(weft_select(NULL, 1, 0), -EINVAL);
    must_equal(weft_select(cases, 0, 0), -EINVAL);
    must_equal(weft_select(none, 1, 0), -EINVAL);
    must_equal(weft_select(no_future, 1, 0), -EINVAL);
    must_equal(weft_select(coroutine, 1, 0), -EINVAL);
    weft_coroutine_close(coroutine[0].future);
    weft_queue_fini(&a);
    return 0;
}

static void test_at_once(void **state) {
    (void)state;
    on_each_loop(at_once);
}

/* The first in order on a strict-order loop, each now and then elsewhere. */
static intptr_t chooses(void *strict) {
    weft_future *done[3];
    weft_select_case cases[3];
    int chosen[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        done[i] = weft_future_new();
        weft_future_set_result(done[i], 0);
        cases[i] = (weft_select_case)FUTURE(done[i]);
    }
    for (int i = 0; i < 300; i++) chosen[weft_select(cases, 3, WEFT_FOREVER)]++;
    for (int i = 0; i < 3; i++) {
        if (strict) must_equal(chosen[i], i == 0 ? 300 : 0);
        else must(chosen[i] > 30);
        weft_release(done[i]);
    }
    return 0;
}

static void test_fair(void **state) {
    (void)state;
    assert_int_equal(run_on(0, chooses, &a), 0);
    assert_int_equal(run_on(1, chooses, NULL), 0);
}

/* ---- waiting ---- */

struct selecting {
    weft_future *future;
    int64_t timeout_ns;
    int chosen, result;
    intptr_t item;
};

static intptr_t selects(void *arg) {
    struct selecting *self = arg;
    weft_select_case cases[] = {GET(&a), PUT(&b, 99), FUTURE(self->future)};
    self->chosen = weft_select(cases, self->future ? 3 : 2, self->timeout_ns);
    if (self->chosen < 0) return self->chosen;
    self->result = cases[self->chosen].result;
    self->item = cases[self->chosen].item;
    return 0;
}

static void until_selecting(struct party *party, bool is_thread, struct selecting *self) {
    party_start(party, is_thread, selects, self);
    until_arrived(&b.opaque[PUTTERS_LAST], 0);
    for (int i = 0; i < 10; i++) weft_yield();
}

static void lines_are_empty(void) {
    must_equal(peek(&a.opaque[GETTERS_LAST]), 0);
    must_equal(peek(&b.opaque[PUTTERS_LAST]), 0);
}

static intptr_t waits_for_each(void *arg) {
    (void)arg;
    for (int round = 0; round < 40; round++) {
        bool is_thread = round & 1;
        int which = round / 2 % 4;
        weft_future *future = weft_future_new();
        struct selecting self = {future, WEFT_FOREVER, -1, -1, 0};
        struct party party;
        intptr_t item;
        must_equal(weft_queue_init(&a, 1), 0);
        must_equal(weft_queue_init(&b, 1), 0);
        must_equal(weft_queue_put(&b, 1), 0);
        until_selecting(&party, is_thread, &self);
        if (which == 0) must_equal(weft_queue_put(&a, 55), 0);
        if (which == 1) must(weft_queue_get(&b, &item) == 0 && item == 1);
        if (which == 2) must_equal(weft_future_set_result(future, 5), 0);
        if (which == 3) must_equal(weft_queue_shutdown(&a, false), 0);
        must_equal(party_join(&party), 0);
        must_equal(self.chosen, which % 3);
        must_equal(self.result, which == 3 ? -EPIPE : 0);
        if (which == 0) must_equal(self.item, 55);
        if (which == 1) must(weft_queue_get(&b, &item) == 0 && item == 99);
        lines_are_empty();
        must_equal(weft_queue_qsize(&a), 0);
        /* nobody waits there any more */
        must_equal(weft_future_set_result(future, 1), which == 2 ? -EALREADY : 0);
        weft_release(future);
        weft_queue_fini(&a);
        weft_queue_fini(&b);
    }
    return 0;
}

static void test_waits_for_each(void **state) {
    (void)state;
    on_each_loop(waits_for_each);
}

static intptr_t gives_up(void *arg) {
    weft_future *future = weft_future_new();
    struct selecting self = {future, WEFT_MS(20), 0, 0, 0};
    struct party party;
    (void)arg;
    must_equal(weft_queue_init(&a, 1), 0);
    must_equal(weft_queue_init(&b, 1), 0);
    must_equal(weft_queue_put(&b, 1), 0);
    for (int is_thread = 0; is_thread <= 1; is_thread++) {
        int64_t start = weft_time();
        party_start(&party, is_thread, selects, &self);
        must_equal(party_join(&party), -ETIMEDOUT);
        must(weft_time() - start >= WEFT_MS(20) && weft_time() - start < WEFT_MS(500));
        lines_are_empty();
    }
    self.timeout_ns = WEFT_SEC(100);
    until_selecting(&party, false, &self);
    must(weft_cancel(party.task));
    must_equal(party_join(&party), -ECANCELED);
    lines_are_empty();
    must(!weft_done(future));
    weft_release(future);
    weft_queue_fini(&a);
    weft_queue_fini(&b);
    return 0;
}

static void test_timeout_and_cancel(void **state) {
    (void)state;
    on_each_loop(gives_up);
}

/* ---- stress: everything happens at once; one case does, and nothing is lost ---- */

static intptr_t puts_one(void *arg) {
    (void)arg;
    return weft_queue_put(&a, 55);
}

static intptr_t gets_one(void *item) { return weft_queue_get(&b, item); }
static intptr_t completes(void *future) { return weft_future_set_result(future, 5); }
static intptr_t cancels(void *task) {
    weft_cancel(task);
    return 0;
}

static intptr_t all_at_once(void *arg) {
    (void)arg;
    must_equal(weft_queue_init(&a, 1), 0);
    must_equal(weft_queue_init(&b, 1), 0);
    for (int i = 0; i < ROUNDS(100000); i++) {
        weft_future *future = weft_future_new();
        int64_t timeout = i % 5 == 0 ? WEFT_US(3) : WEFT_FOREVER;
        struct selecting self = {future, timeout, -ECANCELED, 0, 0};
        intptr_t got = 0, item;
        must_equal(weft_queue_put_nowait(&b, 1), 0);
        weft_task *selecting = weft_spawn(selects, &self);
        if (i % 2) weft_yield();
        weft_task *others[4] = {weft_spawn(puts_one, NULL), weft_spawn(gets_one, &got),
                                weft_spawn(completes, future), i % 3 == 0 ? weft_spawn(cancels, selecting) : NULL};
        for (int j = 0; j < 4; j++) weft_join(others[j]);
        weft_join(selecting);
        must_equal(got, 1);
        int chosen = self.chosen;
        must((chosen >= 0 && chosen < 3) || (chosen == -ECANCELED && i % 3 == 0) ||
             (chosen == -ETIMEDOUT && i % 5 == 0));
        if (chosen >= 0) must_equal(self.result, 0);
        if (chosen == 0) must_equal(self.item, 55);
        must_equal(weft_queue_get_nowait(&a, &item), chosen == 0 ? -EAGAIN : 0);
        must_equal(weft_queue_get_nowait(&b, &item), chosen == 1 ? 0 : -EAGAIN);
        if (chosen == 1) must_equal(item, 99);
        lines_are_empty();
        weft_release(future);
    }
    weft_queue_fini(&a);
    weft_queue_fini(&b);
    return 0;
}

static void test_all_at_once(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, all_at_once, NULL), 0);
}

/* MT20: items flow through selects on both sides, tasks and threads, and none is lost or doubled. */
#define SIDES 5
#define ITEMS ROUNDS(10000)
static _Atomic long sum;

static intptr_t selects_puts(void *arg) {
    for (int i = 1; i <= ITEMS; i++) {
        weft_select_case cases[] = {PUT(&a, i), PUT(&b, i)};
        int chosen = weft_select(cases, 2, WEFT_FOREVER);
        must(chosen >= 0 && cases[chosen].result == 0);
    }
    return (intptr_t)arg;
}

static intptr_t selects_gets(void *arg) {
    for (bool open = true; open;) {
        weft_select_case cases[] = {GET(&a), GET(&b)};
        int chosen = weft_select(cases, 2, WEFT_FOREVER);
        if (chosen == -ECANCELED) continue;
        must(chosen >= 0);
        if (cases[chosen].result == -EPIPE) open = false;
        else atomic_fetch_add(&sum, cases[chosen].item);
    }
    return (intptr_t)arg;
}

static intptr_t flows(void *arg) {
    struct party putters[SIDES], getters[SIDES];
    (void)arg;
    must_equal(weft_queue_init(&a, 1), 0);
    must_equal(weft_queue_init(&b, 3), 0);
    atomic_store(&sum, 0);
    for (int i = 0; i < SIDES; i++) party_start(&getters[i], i == 4, selects_gets, NULL);
    for (int i = 0; i < SIDES; i++) party_start(&putters[i], i == 4, selects_puts, NULL);
    for (int i = 0; i < 300; i++) {
        weft_cancel(getters[i % 3].task);
        weft_yield();
    }
    for (int i = 0; i < SIDES; i++) must_equal(party_join(&putters[i]), 0);
    while (!weft_queue_empty(&a) || !weft_queue_empty(&b)) weft_yield();
    must_equal(weft_queue_shutdown(&a, false), 0);
    must_equal(weft_queue_shutdown(&b, false), 0);
    for (int i = 0; i < SIDES; i++) party_join(&getters[i]);
    must_equal(atomic_load(&sum), (long)SIDES * ITEMS * (ITEMS + 1) / 2);
    weft_queue_fini(&a);
    weft_queue_fini(&b);
    return 0;
}

static void test_MT20_items_are_conserved(void **state) {
    (void)state;
    on_each_loop(flows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),            cmocka_unit_test(test_fair),
        cmocka_unit_test(test_waits_for_each),     cmocka_unit_test(test_timeout_and_cancel),
        cmocka_unit_test(test_all_at_once),        cmocka_unit_test(test_MT20_items_are_conserved),
    };
    return run_group(tests);
}
