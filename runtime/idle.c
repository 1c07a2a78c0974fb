#include "idle.h"

#include "assert.h"
#include "worker.h"

/* W4: wakes the worker if it sleeps. */
static bool ring(struct weft__worker *worker, enum weft__sleep_state notified) {
    uint32_t sleeping = WEFT__SLEEPING;
    if (!cas_seq_cst(&worker->sleep_state, &sleeping, notified)) return false; /* pairs with S1 and S5 */
    worker->driver->ops->wake(worker->driver);
    struct weft__worker *self = weft__world_worker();
    if (self) counter_add(&self->counters.wakes, 1);
    return true;
}

/* W3 and W4: one of those who sleep, if any, becomes a searcher. It is counted before it is woken; if it was
 * awake by then, somebody may have seen that count and relied on a searcher that is none: false, look again. */
static bool ring_anybody(struct weft__runtime *runtime) {
    struct weft__idle *idle = &runtime->idle;
    for (unsigned word = 0; word * 64 < runtime->worker_count; word++) {
        uint64_t bits = load_seq_cst(&idle->bits[word]);
        for (; bits; bits &= bits - 1) {
            struct weft__worker *worker = &runtime->workers[word * 64 + (unsigned)__builtin_ctzll(bits)];
            if (load_seq_cst(&worker->sleep_state) != WEFT__SLEEPING) continue; /* woken, and not yet there */
            atomic_fetch_add_explicit(&idle->searching, 1, memory_order_seq_cst);
            if (ring(worker, WEFT__NOTIFIED_TO_SEARCH)) return true;
            atomic_fetch_sub_explicit(&idle->searching, 1, memory_order_seq_cst);
            return false;
        }
    }
    return true;
}

void weft__idle_notify(struct weft__runtime *runtime) {
    do {
        fence_seq_cst(); /* W2 */
        if (load_seq_cst(&runtime->idle.searching) > 0) return; /* W3 */
    } while (!ring_anybody(runtime));
}

void weft__idle_notify_worker(struct weft__worker *worker) {
    fence_seq_cst(); /* W2 */
    if (load_seq_cst(&worker->sleep_state) != WEFT__SLEEPING) return; /* W3 */
    ring(worker, WEFT__NOTIFIED);
}

bool weft__idle_search_begin(struct weft__worker *worker) {
    struct weft__idle *idle = &worker->runtime->idle;
    if (worker->searching) return true;
    if (2 * load_relaxed(&idle->searching) >= worker->runtime->worker_count) return false;
    atomic_fetch_add_explicit(&idle->searching, 1, memory_order_seq_cst); /* pairs with W3 */
    return worker->searching = true;
}

void weft__idle_search_end(struct weft__worker *worker, bool found) {
    if (!worker->searching) return;
    worker->searching = false;
    /* pairs with W3: whoever published work while we searched relied on us */
    uint32_t before = atomic_fetch_sub_explicit(&worker->runtime->idle.searching, 1, memory_order_seq_cst);
    weft__assert(before > 0);
    if (found && before == 1) weft__idle_notify(worker->runtime);
}

static void set_bit(struct weft__worker *worker, bool sleeping) {
    struct weft__idle *idle = &worker->runtime->idle;
    uint64_t bit = UINT64_C(1) << worker->index % 64;
    if (sleeping) {
        atomic_fetch_or_explicit(&idle->bits[worker->index / 64], bit, memory_order_seq_cst);
        atomic_fetch_add_explicit(&idle->sleeping, 1, memory_order_seq_cst);
    } else {
        atomic_fetch_and_explicit(&idle->bits[worker->index / 64], ~bit, memory_order_seq_cst);
        atomic_fetch_sub_explicit(&idle->sleeping, 1, memory_order_seq_cst);
    }
}

/* S3: every source that somebody may have filled while we were falling asleep. */
static bool recheck(struct weft__worker *worker) {
    return weft__ready_any(worker) || load_seq_cst(&worker->runtime->ended) || load_seq_cst(&worker->runtime->paused) ||
           (!worker->strict && weft__steal_worthwhile(worker)); /* completions: driver.wait looks itself */
}

void weft__idle_park(struct weft__worker *worker) {
    weft__assert(!worker->current);
    bool searched = worker->searching;
    weft__idle_search_end(worker, false);
    exchange_seq_cst(&worker->sleep_state, WEFT__SLEEPING); /* S1; pairs with W3 and W4 */
    set_bit(worker, true);
    fence_seq_cst(); /* S2; pairs with W2 */
    bool found = recheck(worker);
    if (!found) {
        counter_add(&worker->counters.parks, 1);
        bool counted = worker->debug && weft__deadlock_sleep(worker);
        worker->driver->ops->wait(worker->driver, weft__timers_next(&worker->timers)); /* S4 */
        if (counted) weft__deadlock_wake(worker);
    }
    set_bit(worker, false);
    uint32_t state = exchange_seq_cst(&worker->sleep_state, WEFT__AWAKE); /* S5; pairs with W4 */
    worker->searching = state == WEFT__NOTIFIED_TO_SEARCH;
    weft__watchman_see(&worker->runtime->watchman);
    if (found && searched && !worker->searching) { /* S6 */
        atomic_fetch_add_explicit(&worker->runtime->idle.searching, 1, memory_order_seq_cst); /* pairs with W3 */
        worker->searching = true;
    }
}
