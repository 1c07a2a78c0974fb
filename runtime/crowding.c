#include "crowding.h"

#include "worker.h"

#define LOOK_NS 20000000
#define CROWDED_PART 4 /* of the time between two looks: from here on, */
#define CROWDED_LOOKS 3
#define CALM_PART 8    /* and calm below there */
#define CALM_LOOKS 5

struct weft__worker *weft__crowding_home(struct weft__worker *worker) {
#ifdef WEFT_FORCE_MIGRATION /* a debug build: every operation goes through the protocol */
    return &worker->runtime->workers[(worker->index + 1) % worker->runtime->worker_count];
#else
    return worker;
#endif
}

void weft__crowding_begin(struct weft__runtime *runtime) {
    runtime->crowd.since_ns = weft__world_now();
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__worker *worker = &runtime->workers[i];
        int delays = weft__world_thread_open_delays(worker->thread_id);
        worker->crowding = (struct weft__crowding){delays, .waited_ns = weft__world_thread_delay(delays)};
    }
}

/* ---- what is posted ---- */

void weft__crowding_post(struct weft__worker *host, struct weft__runnable *runnable) {
    struct weft__item *first = load_relaxed(&host->posted);
    do runnable->link.next = first;
    while (!cas_weak_acq_rel(&host->posted, &first, &runnable->link)); /* pairs with take_all */
    weft__idle_notify_worker(host);
}

static struct weft__runnable *take(struct weft__item **list) {
    struct weft__item *link = *list;
    if (link) *list = link->next;
    return link ? weft__container_of(link, struct weft__runnable, link) : NULL;
}

/* All that was posted to the worker, the first first. */
static struct weft__item *take_all(struct weft__worker *worker) {
    if (!load_relaxed(&worker->posted)) return NULL;
    struct weft__item *last_first = exchange_acq_rel(&worker->posted, NULL), *list = NULL; /* pairs with post */
    while (last_first) {
        struct weft__item *next = last_first->next;
        last_first->next = list;
        list = last_first;
        last_first = next;
    }
    return list;
}

void weft__crowding_serve(struct weft__worker *worker) {
    struct weft__item *list = take_all(worker);
    for (struct weft__runnable *each; (each = take(&list));) each->run(worker, each);
}

static void hand_over(struct weft__worker *stuck, struct weft__worker *to) {
    struct weft__item *list = take_all(stuck);
    for (struct weft__runnable *each; (each = take(&list));) weft__crowding_post(to, each);
}

/* ---- who hosts whom ---- */

/* The next one that can: neither stuck nor, if possible, crowded. NULL: all are stuck. */
static struct weft__worker *next_host(struct weft__runtime *runtime, unsigned *next) {
    struct weft__worker *crowded = NULL;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__worker *worker = &runtime->workers[(*next)++ % runtime->worker_count];
        if (worker->watch.stuck) continue;
        if (!worker->crowding.crowded) return worker;
        crowded = worker;
    }
    return crowded;
}

static void settle(struct weft__runtime *runtime) {
    unsigned crowded = 0, next = 0;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__worker *worker = &runtime->workers[i], *host = NULL;
        if (worker->crowding.crowded || worker->watch.stuck) host = next_host(runtime, &next);
        if (worker->watch.stuck && host) hand_over(worker, host);
        store_relaxed(&worker->host, worker->crowding.crowded && host ? host : weft__crowding_home(worker));
        crowded += worker->crowding.crowded;
    }
    store_relaxed(&runtime->crowd.crowded, crowded);
}

void weft__crowding_end(struct weft__runtime *runtime) {
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        weft__world_thread_close(runtime->workers[i].crowding.delays);
        runtime->workers[i].crowding.crowded = false;
    }
    settle(runtime);
}

/* How long it has waited since the last look; a wait that went on then is counted now. */
static int64_t take_share(struct weft__crowding *self) {
    int64_t before = self->waited_ns;
    self->waited_ns = weft__world_thread_delay(self->delays);
    return self->share_ns = self->waited_ns - before;
}

/* `excess_ns`: how much longer it has waited than who has waited least. */
static bool is_crowded(struct weft__crowding *self, int64_t excess_ns, int64_t elapsed_ns) {
    self->calm = excess_ns < elapsed_ns / CALM_PART ? self->calm + 1 : 0;
    self->busy = excess_ns >= elapsed_ns / CROWDED_PART ? self->busy + 1 : 0;
    if (self->busy >= CROWDED_LOOKS) self->crowded = true;
    else if (self->calm >= CALM_LOOKS) self->crowded = false;
    return self->crowded;
}

static void judge(struct weft__runtime *runtime, int64_t elapsed_ns) {
    struct weft__crowding *least = NULL;
    bool all = true;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__crowding *each = &runtime->workers[i].crowding;
        int64_t share = take_share(each);
        if (!least || share < least->share_ns) least = each;
    }
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__crowding *each = &runtime->workers[i].crowding;
        all &= is_crowded(each, each->share_ns - least->share_ns, elapsed_ns);
    }
    if (all) least->crowded = false;
}

void weft__crowding_look(struct weft__runtime *runtime, int64_t now_ns) {
    int64_t elapsed = now_ns - runtime->crowd.since_ns;
    if (runtime->worker_count == 1) return;
    if (elapsed >= LOOK_NS) {
        judge(runtime, elapsed);
        runtime->crowd.since_ns = now_ns;
    }
    settle(runtime);
}
