/* Select: one parker with a place at each of several queues and futures; the token names the case.
 *
 * First every case is tried without waiting. Then a place is entered at each, one after the other: no two guards
 * are ever held together. A case that has become ready meanwhile claims our own parker, under the queue's guard:
 * if that wins, it is the one that happens, and nobody can grant another; if it loses, another was granted
 * already. At last all places but the granted one are taken back.
 *
 * A future has no guard that we could take to be rid of it: once a completion has taken our waiter to serve it,
 * we wait (some hundred ns) until that is over. */
#include <weft/queue.h>

#include "assert.h"
#include "queue.h"

struct future_place {
    struct weft__waiter waiter;
    /* const after init */
    struct weft__parker *parker;
    uint32_t token;
    /* the completer, then the waiter */
    _Atomic bool served;
};

static struct weft__queue_place *queue_place(weft_select_case *one) { return (void *)one->opaque; }
static struct future_place *future_place(weft_select_case *one) { return (void *)one->opaque; }
_Static_assert(sizeof(struct weft__queue_place) <= sizeof(((weft_select_case *)0)->opaque), "there is room for either");
_Static_assert(sizeof(struct future_place) <= sizeof(((weft_select_case *)0)->opaque), "there is room for either");

/* ---- futures ---- */

/* If we have won, the party waits for us; else it may leave as soon as we say `served`. */
static void serve(struct weft__waiter *waiter) {
    struct future_place *self = weft__container_of(waiter, struct future_place, waiter);
    struct weft__parker *parker = self->parker;
    bool to_wake = weft__parker_claim(parker, self->token) == WEFT__WON_PARKED;
    store_release(&self->served, true); /* pairs with leave_future */
    if (to_wake) weft__parker_wake(parker);
}

static enum weft__entry enter_future(weft_select_case *one, struct weft__parker *parker, uint32_t token) {
    struct future_place *place = future_place(one);
    *place = (struct future_place){.waiter.serve = serve, .parker = parker, .token = token};
    one->result = 0;
    if (weft__future_add_waiter(one->future, &place->waiter)) return WEFT__ENTRY_WAITS;
    return weft__parker_claim(parker, token) == WEFT__LOST ? WEFT__ENTRY_LOST : WEFT__ENTRY_DONE;
}

static void leave_future(weft_select_case *one) {
    struct future_place *place = future_place(one);
    if (weft__future_remove_waiter(one->future, &place->waiter)) return;
    /* pairs with serve */
    for (unsigned round = 0; !load_acquire(&place->served); round++) weft__world_relax(round);
}

/* ---- cases ---- */

static bool is_legal(const weft_select_case *one) {
    switch (one->kind) {
    case WEFT_SELECT_GET:
    case WEFT_SELECT_PUT: return one->queue;
    case WEFT_SELECT_FUTURE: return one->future && !weft_iscoroutine(one->future);
    }
    return false;
}

/* Does it if it can happen now. */
static bool try_case(weft_select_case *one) {
    one->result = 0;
    if (one->kind == WEFT_SELECT_FUTURE) return weft__is_done(one->future);
    if (one->kind == WEFT_SELECT_GET) one->result = weft_queue_get_nowait(one->queue, &one->item);
    else one->result = weft_queue_put_nowait(one->queue, one->item);
    return one->result != -EAGAIN;
}

static enum weft__entry enter(weft_select_case *one, struct weft__parker *parker, uint32_t token) {
    if (one->kind == WEFT_SELECT_FUTURE) return enter_future(one, parker, token);
    weft__queue_place_init(queue_place(one), one->queue, one->kind == WEFT_SELECT_PUT, one->item, parker, token);
    return weft__queue_enter(queue_place(one));
}

static void leave(weft_select_case *one) {
    if (one->kind == WEFT_SELECT_FUTURE) leave_future(one);
    else weft__queue_leave(queue_place(one));
}

/* The case that has happened. `done`: by our own hand, while entering. */
static void finish(weft_select_case *one, bool done, bool early) {
    if (one->kind == WEFT_SELECT_FUTURE) {
        if (!done) leave_future(one);
        return;
    }
    if (!done && early) weft__queue_leave(queue_place(one)); /* takes the guard, as who was not woken must */
    weft__queue_finish(queue_place(one));
    one->result = queue_place(one)->result;
    if (one->result == 0) one->item = queue_place(one)->item;
}

/* ---- all of them ---- */

static int wait_for_one(weft_select_case *cases, size_t count, size_t start, struct weft__parker *parker) {
    size_t entered = 0;
    enum weft__entry entry = WEFT__ENTRY_WAITS;
    while (entered < count) {
        size_t i = (start + entered) % count;
        entry = enter(&cases[i], parker, WEFT__GRANTED + (uint32_t)i);
        if (entry != WEFT__ENTRY_WAITS) break;
        entered++;
    }
    uint32_t token = weft__parker_wait(parker, NULL);
    size_t happened = token >= WEFT__GRANTED ? token - WEFT__GRANTED : SIZE_MAX;
    for (size_t n = 0; n < entered; n++) {
        size_t i = (start + n) % count;
        if (i != happened) leave(&cases[i]);
    }
    if (happened != SIZE_MAX) finish(&cases[happened], entry == WEFT__ENTRY_DONE, parker->early);
    if (happened != SIZE_MAX) return (int)happened;
    return token == WEFT__TIMED_OUT ? -ETIMEDOUT : -ECANCELED;
}

static size_t start_of(size_t count) {
    struct weft__worker *worker = weft__world_worker();
    return worker && worker->strict ? 0 : weft__world_random() % count;
}

int weft_select(weft_select_case *cases, size_t count, int64_t timeout_ns) {
    if (!cases || count == 0 || count > INT32_MAX / 2) return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (!is_legal(&cases[i])) return -EINVAL;
    weft__charge();
    size_t start = start_of(count);
    for (size_t n = 0; n < count; n++) {
        size_t i = (start + n) % count;
        if (try_case(&cases[i])) return (int)i;
    }
    if (timeout_ns <= 0) return -ETIMEDOUT;
    struct weft__parker parker;
    int error = weft__parker_init(&parker, "one of several things", NULL);
    if (error) return error;
    int64_t now = timeout_ns == WEFT_FOREVER ? 0 : weft__world_now();
    if (timeout_ns <= INT64_MAX - now) parker.deadline_ns = now + timeout_ns;
    return wait_for_one(cases, count, start, &parker);
}
