/* A pool of threads that may block. One lock over everything; what wakes or starts a thread, or a task, is done
 * after it was given up. The queue is that of submission.
 *
 *     started --> searching --finds an item--> busy --has run it--> searching, for 10 us, if nobody else is
 *                     ^                                                 |
 *                     +--woken-- idle (the last to come is woken first) <--finds nothing--+
 *                                  |
 *                                  +--nobody woke it for idle_ns, or the pool is closed--> ended
 *
 * Searching threads are awake, hold no item, and will look at the queue under the lock. As long as there is one, a
 * submission wakes nobody: that is what makes a burst cheap. In return:
 *
 *  1. if the queue is not empty and nobody is searching, no thread is idle, and there are as many as there may be;
 *  2. who finds an item stops searching, and if 1 would be broken by that, wakes or starts the next one, who is
 *     counted as searching from that moment on;
 *  3. who becomes idle has seen, under the same lock, that the queue is empty;
 *  4. if the queue is not empty there is a thread: if the only one could not be started, what is queued is
 *     dropped.
 *
 * Waking one thread for each submission was rejected (an idle thread takes 25 us to arrive, and the futex call
 * 5 us of the loop's time), and so was a lock-free queue: the lock is held for some 20 ns, a bounded queue and
 * withdrawal need more than a queue, and all of the above would become races. A second searching thread was tried:
 * empty jobs took twice as long on two CPUs.
 *
 * Back-pressure: `places` counts items in the queue and submitters that were let in; who takes an item out lets
 * the first of those in the line in. Threads end by themselves and are joined by nobody: the last thing that they
 * do with a pool is to count themselves out, so close waits for that, and gives up waiting for one that is stuck.
 * References: the handle's, a runtime's for its pools, one of each thread. A thread that is not idle is busy
 * elsewhere, as the watch for deadlocks sees it (deadlock.h).
 *
 * tests/models/pool.c runs this file, blocking.c and parker.c in many interleavings. */
#include "thread_pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "deadlock.h"
#include "parker.h"

#define THREADS_MOST 32768
#define QUEUE_DEFAULT 16384
#define IDLE_DEFAULT_NS INT64_C(10000000000)
#define SEARCH_NS 10000 /* picked out of thin air: less than it takes to be woken */

struct weft_thread_pool {
    /* const after init */
    char name[16];
    unsigned threads_most;
    size_t queue_most;
    int64_t idle_ns;
    uint32_t generation;              /* of the process that made it, see world.h */
    /* any thread */
    _Atomic uint32_t references;
    _Atomic size_t queued;            /* items in `queue`; written under lock */
    /* lock */
    weft__lock lock;
    struct weft__list queue;          /* oldest first */
    struct weft__list idle;           /* newest first */
    size_t places;
    unsigned threads;                 /* that have not decided to end */
    unsigned alive;                   /* that touch the pool; and who drops what was queued */
    unsigned idle_count, searching;
    bool closed;
    size_t submitting;                /* in the line: */
    struct weft__line submitters, closers;
};

/* ---- life ---- */

static void check(const weft_thread_pool *pool) { /* under the lock */
    weft__debug_assert(pool->threads <= pool->alive && pool->idle_count + pool->searching <= pool->threads);
    weft__debug_assert(load_relaxed(&((weft_thread_pool *)(uintptr_t)pool)->queued) <= pool->places);
    weft__debug_assert(weft__list_empty(&pool->queue) || pool->threads > 0);
    (void)pool;
}

weft_thread_pool *weft_thread_pool_new(weft_thread_pool_options options) {
    if (options.threads > THREADS_MOST || options.idle_ns < 0) return NULL;
    weft_thread_pool *pool = malloc(sizeof *pool);
    if (!pool) return NULL;
    unsigned cpus = weft__world_cpus();
    *pool = (weft_thread_pool){
        .threads_most = options.threads ? options.threads : cpus + 4 < 32 ? cpus + 4 : 32,
        .queue_most = options.queue ? options.queue : QUEUE_DEFAULT,
        .idle_ns = options.idle_ns ? options.idle_ns : IDLE_DEFAULT_NS,
        .generation = weft__world_generation()};
    snprintf(pool->name, sizeof pool->name, "%s", options.name ? options.name : "weft pool");
    atomic_init(&pool->references, 1);
    weft__list_init(&pool->queue);
    weft__list_init(&pool->idle);
    return pool;
}

weft_thread_pool *weft__pool_ref(weft_thread_pool *pool) {
    fetch_add_relaxed(&pool->references, 1); /* the caller's own reference keeps it alive */
    return pool;
}

void weft__pool_unref(weft_thread_pool *pool) {
    if (pool && fetch_sub_acq_rel(&pool->references, 1) == 1) free(pool); /* pairs with itself */
}

void weft_thread_pool_release(weft_thread_pool *pool) {
    if (!pool) return;
    if (pool->generation == weft__world_generation()) weft__pool_shut(pool);
    weft__pool_unref(pool);
}

/* ---- the queue: under the lock ---- */

static void append(weft_thread_pool *pool, struct weft__pool_item *item) {
    weft__list_append(&pool->queue, &item->link);
    store_relaxed(&pool->queued, load_relaxed(&pool->queued) + 1); /* a hint for search */
}

/* Takes the item out, and lets the next submitter in; he is to be woken. */
static void take_out(weft_thread_pool *pool, struct weft__pool_item *item, struct weft__line *woken) {
    weft__list_remove(&item->link);
    weft__list_init(&item->link);
    store_relaxed(&pool->queued, load_relaxed(&pool->queued) - 1);
    pool->places--;
    if (pool->places < pool->queue_most && weft__line_grant(&pool->submitters, woken)) pool->places++;
}

static bool claim(struct weft__pool_item *item) { return !item->ops->claim || item->ops->claim(item); }

static struct weft__pool_item *take(weft_thread_pool *pool, struct weft__line *woken) {
    while (!weft__list_empty(&pool->queue)) {
        struct weft__pool_item *item = weft__container_of(pool->queue.next, struct weft__pool_item, link);
        take_out(pool, item, woken);
        if (claim(item)) return item;
    }
    return NULL;
}

/* The whole queue, as a list in `items`. */
static void take_all(weft_thread_pool *pool, struct weft__list *items, struct weft__line *woken) {
    weft__list_init(items);
    for (struct weft__pool_item *item; (item = take(pool, woken));) weft__list_append(items, &item->link);
}

static void drop_all(struct weft__list *items, int error) {
    while (!weft__list_empty(items)) {
        struct weft__pool_item *item = weft__container_of(items->next, struct weft__pool_item, link);
        weft__list_remove(&item->link);
        item->ops->drop(item, error);
    }
}

/* ---- threads ---- */

static void thread_main(void *arg);

/* Who is to come and look at the queue: one who slept, or a new one. */
struct help {
    struct weft__pool_thread *sleeper;
    bool start;
};

/* Keeps invariant 1. Under the lock; the help is to be given after it. */
static struct help call_for_help(weft_thread_pool *pool) {
    struct help help = {0};
    if (weft__list_empty(&pool->queue) || pool->searching > 0) return help;
    if (weft__list_empty(&pool->idle) && pool->threads == pool->threads_most) return help;
    weft__elsewhere_begin();
    if (!weft__list_empty(&pool->idle)) {
        help.sleeper = weft__container_of(pool->idle.next, struct weft__pool_thread, link);
        weft__list_remove(&help.sleeper->link);
        weft__list_init(&help.sleeper->link);
        help.sleeper->searching = true;
        pool->idle_count--;
        pool->searching++;
    } else {
        help.start = true;
        pool->threads++;
        pool->alive++;
        pool->searching++;
    }
    return help;
}

static void wake(struct weft__pool_thread *thread) {
    store_release(&thread->woken, 1);      /* pairs with the loads in be_idle; then *thread may be gone: */
    weft__world_wake_all(&thread->woken);  /* a wake-up on an address that nobody waits at does nothing */
}

/* Counts somebody out, who touches the pool no more but by his reference. */
static void depart(weft_thread_pool *pool) {
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    if (--pool->alive == 0 && pool->closed) weft__line_grant_all(&pool->closers, &woken);
    weft__lock_release(&pool->lock);
    weft__line_wake(&woken);
}

/* A thread that was counted did not come to be. Others who are there see to the queue; else it is dropped, before the
 * thread is counted out: who waits for the end of the pool waits for the end of its jobs. */
static void start_failed(weft_thread_pool *pool, int error) {
    struct weft__line woken = {0};
    struct weft__list items;
    weft__list_init(&items);
    weft__lock_acquire(&pool->lock);
    pool->threads--;
    pool->searching--;
    if (pool->threads == 0) take_all(pool, &items, &woken);
    struct help help = {0};
    if (!weft__list_empty(&pool->queue) && !weft__list_empty(&pool->idle)) help = call_for_help(pool);
    check(pool);
    weft__lock_release(&pool->lock);
    if (help.sleeper) wake(help.sleeper);
    weft__line_wake(&woken);
    drop_all(&items, error);
    depart(pool);
    weft__elsewhere_end();
}

static void give_help(weft_thread_pool *pool, struct help help) {
    if (help.sleeper) wake(help.sleeper);
    if (!help.start) return;
    weft__pool_ref(pool);
    int error = weft__world_thread_start_detached(pool->name, thread_main, pool);
    if (!error) return;
    start_failed(pool, error);
    weft__pool_unref(pool);
}

static void search_begin(struct weft__pool_thread *self) {
    self->searching = true;
    self->pool->searching++;
}

static void search_end(struct weft__pool_thread *self) {
    if (self->searching) self->pool->searching--;
    self->searching = false;
}

/* Shortly after work there is often more. */
static void search(weft_thread_pool *pool) {
    int64_t end = weft__world_now() + SEARCH_NS;
    for (unsigned round = 0; load_relaxed(&pool->queued) == 0; round++) {
        if (round % 16 == 15 && weft__world_now() >= end) return;
        weft__world_relax(round);
    }
}

/* Idle until somebody wakes us: then we are searching. False: we are to end. */
static bool be_idle(struct weft__pool_thread *self) {
    weft_thread_pool *pool = self->pool;
    int64_t deadline_ns = weft__world_now() + pool->idle_ns;
    while (!load_acquire(&self->woken)) { /* pairs with wake */
        weft__world_wait(&self->woken, 0, deadline_ns);
        if (deadline_ns == INT64_MAX || weft__world_now() < deadline_ns) continue;
        weft__lock_acquire(&pool->lock);
        bool alone = !weft__list_empty(&self->link);
        if (alone) {
            weft__list_remove(&self->link);
            pool->idle_count--;
            pool->threads--;
            weft__elsewhere_begin(); /* until it has counted itself out */
        }
        weft__lock_release(&pool->lock);
        if (alone) return false;
        deadline_ns = INT64_MAX; /* we are being woken this very moment */
    }
    store_relaxed(&self->woken, 0); /* nobody wakes us until we are idle again */
    return true;
}

enum found { FOUND, SEARCH, SLEEP, END };

/* What the thread is to do next. Under the lock. */
static enum found look(struct weft__pool_thread *self, bool searched, struct weft__pool_item **item,
                       struct weft__line *woken) {
    weft_thread_pool *pool = self->pool;
    if ((*item = take(pool, woken))) {
        search_end(self);
        return FOUND;
    }
    if (pool->closed) {
        search_end(self);
        pool->threads--;
        return END; /* busy until it has counted itself out */
    }
    if (!searched && !self->searching && pool->searching == 0) {
        search_begin(self);
        return SEARCH;
    }
    search_end(self);
    weft__list_append(pool->idle.next, &self->link); /* before the first: it is the newest */
    pool->idle_count++;
    weft__elsewhere_end();
    return SLEEP;
}

/* The next item to run; NULL: the thread is to end. */
static struct weft__pool_item *next_item(struct weft__pool_thread *self) {
    weft_thread_pool *pool = self->pool;
    for (bool searched = false;; searched = true) {
        struct weft__pool_item *item;
        struct weft__line woken = {0};
        weft__lock_acquire(&pool->lock);
        enum found found = look(self, searched, &item, &woken);
        struct help help = call_for_help(pool);
        check(pool);
        weft__lock_release(&pool->lock);
        give_help(pool, help);
        weft__line_wake(&woken);
        if (found == FOUND || found == END) return item;
        if (found == SEARCH) search(pool);
        else if (!be_idle(self)) return NULL;
    }
}

static void thread_main(void *arg) {
    weft_thread_pool *pool = arg;
    struct weft__pool_thread self = {.pool = pool, .searching = true}; /* as counted by who started us */
    weft__list_init(&self.link);
    weft__fiber_adopt_thread(&self.scheduler);
    weft__world_set_pool_thread(&self);
    weft__overflow_watch();
    for (struct weft__pool_item *item; (item = next_item(&self));) item->ops->run(&self, item);
    weft__overflow_unwatch();
    weft__world_set_pool_thread(NULL);
    depart(pool);
    weft__elsewhere_end();
    weft__pool_unref(pool);
}

/* Whether the caller is a thread of this pool, outside a loop of its own. */
static bool is_ours(weft_thread_pool *pool) {
    struct weft__pool_thread *thread = weft__world_pool_thread();
    return !weft__world_worker() && thread && thread->pool == pool;
}

/* ---- submitting ---- */

/* Waits for a place in the queue. Under the lock, but for the wait itself. */
static int wait_for_place(weft_thread_pool *pool) {
    struct weft__parker parker;
    struct weft__place place;
    int error = is_ours(pool) ? -EAGAIN : weft__parker_init(&parker, "a thread pool", pool);
    if (error) return error == -EDEADLK ? -EAGAIN : error;
    weft__place_init(&place, &parker, WEFT__GRANTED);
    weft__line_append(&pool->submitters, &place);
    pool->submitting++;
    weft__lock_release(&pool->lock);
    uint32_t token = weft__parker_wait(&parker, &pool->lock);
    weft__lock_acquire(&pool->lock);
    pool->submitting--;
    if (token == WEFT__GRANTED) return 0;
    weft__line_remove(&pool->submitters, &place);
    return -ECANCELED;
}

/* Under the lock. */
static int take_place(weft_thread_pool *pool) {
    if (pool->closed) return -ESHUTDOWN;
    if (pool->places < pool->queue_most) {
        pool->places++;
        return 0;
    }
    int error = wait_for_place(pool);
    if (error || !pool->closed) return error;
    pool->places--;
    return -ESHUTDOWN;
}

int weft__pool_submit(weft_thread_pool *pool, struct weft__pool_item *item) {
    struct help help = {0};
    if (pool->generation != weft__world_generation()) return -EPERM;
    weft__lock_acquire(&pool->lock);
    int error = take_place(pool);
    if (!error) {
        append(pool, item);
        help = call_for_help(pool);
        check(pool);
    }
    weft__lock_release(&pool->lock);
    give_help(pool, help);
    return error;
}

int weft__pool_push(weft_thread_pool *pool, struct weft__pool_item *item) {
    struct help help = {0};
    weft__lock_acquire(&pool->lock);
    int error = pool->closed ? -ESHUTDOWN : item->ops->admit && !item->ops->admit(item) ? -ECANCELED : 0;
    if (!error) {
        pool->places++;
        append(pool, item);
        help = call_for_help(pool);
    }
    weft__lock_release(&pool->lock);
    give_help(pool, help);
    return error;
}

void weft__pool_withdraw(weft_thread_pool *pool, struct weft__pool_item *item) {
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    if (!weft__list_empty(&item->link)) take_out(pool, item, &woken);
    weft__lock_release(&pool->lock);
    weft__line_wake(&woken);
}

/* ---- closing ---- */

/* Lets everybody in who waits, so that he sees that it was in vain. Under the lock. */
static void turn_away(weft_thread_pool *pool, struct weft__line *woken) {
    while (weft__line_grant(&pool->submitters, woken)) pool->places++;
}

void weft__pool_shut(weft_thread_pool *pool) {
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    pool->closed = true;
    turn_away(pool, &woken);
    while (!weft__list_empty(&pool->idle)) { /* once woken, each may be gone as soon as we give up the lock */
        struct weft__pool_thread *thread = weft__container_of(pool->idle.next, struct weft__pool_thread, link);
        weft__list_remove(&thread->link);
        weft__list_init(&thread->link);
        thread->searching = true;
        pool->idle_count--;
        pool->searching++;
        weft__elsewhere_begin();
        wake(thread);
    }
    weft__lock_release(&pool->lock);
    weft__line_wake(&woken);
}

static void cancel_queued(weft_thread_pool *pool) {
    struct weft__list items;
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    take_all(pool, &items, &woken);
    pool->alive++; /* another one who waits for the end waits for us, too */
    weft__lock_release(&pool->lock);
    weft__line_wake(&woken);
    drop_all(&items, -ECANCELED);
    depart(pool);
}

/* Until the last thread has counted itself out. 0, -ETIMEDOUT, -ECANCELED. */
static int wait_for_end(weft_thread_pool *pool, struct weft__parker *parker) {
    struct weft__place place;
    weft__place_init(&place, parker, WEFT__GRANTED);
    weft__lock_acquire(&pool->lock);
    bool ended = pool->alive == 0;
    if (!ended) weft__line_append(&pool->closers, &place);
    weft__lock_release(&pool->lock);
    if (ended) return 0;
    uint32_t token = weft__parker_wait(parker, &pool->lock);
    if (token == WEFT__GRANTED) return 0;
    weft__lock_acquire(&pool->lock);
    weft__line_remove(&pool->closers, &place);
    weft__lock_release(&pool->lock);
    return token == WEFT__TIMED_OUT ? -ETIMEDOUT : -ECANCELED;
}

int weft__pool_may_close(weft_thread_pool *pool) {
    struct weft__parker parker;
    return is_ours(pool) ? -EDEADLK : weft__parker_init(&parker, "a thread pool", pool);
}

int weft_thread_pool_close(weft_thread_pool *pool, int64_t timeout_ns) {
    struct weft__parker parker;
    if (!pool) return -EINVAL;
    if (pool->generation != weft__world_generation()) return -EPERM;
    int error = weft__pool_may_close(pool);
    if (error) return error;
    weft__parker_init(&parker, "a thread pool", pool);
    parker.deadline_ns = weft__deadline(timeout_ns);
    weft__pool_shut(pool);
    error = wait_for_end(pool, &parker);
    if (error == -ETIMEDOUT) cancel_queued(pool);
    return error;
}

int weft_thread_pool_get_stats(weft_thread_pool *pool, weft_thread_pool_stats *stats) {
    if (!pool || !stats) return -EINVAL;
    if (pool->generation != weft__world_generation()) return -EPERM;
    weft__lock_acquire(&pool->lock);
    *stats = (weft_thread_pool_stats){
        .threads = pool->threads, .idle = pool->idle_count, .queued = load_relaxed(&pool->queued),
        .waiting = pool->submitting};
    weft__lock_release(&pool->lock);
    return 0;
}
