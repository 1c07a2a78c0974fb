/* The worker's loop: start reading here.
 *
 * One turn: take what other threads sent, complete I/O, fire timers, run what is ready. A turn that found
 * nothing to run looks for work elsewhere, and then sleeps until something happens. Each phase is named
 * after the file it lives in. */
#include "worker.h"

#include "assert.h"

/* inbox.h: what other threads posted becomes local work, in its order. */
static void take_inbox(struct weft__worker *worker) {
    if (!weft__inbox_empty(&worker->inbox)) weft__inbox_take_all(&worker->inbox, &worker->local);
}

/* driver.h: hands new operations to the kernel, and takes completions from it. The wait does both in one go, so a turn
 * that has nothing else to do leaves it to that; but what can complete at once comes before timers in strict order. */
static void flush(struct weft__worker *worker) { worker->driver->ops->flush(worker->driver); }

static void reap(struct weft__worker *worker) {
    if (worker->strict) flush(worker);
    worker->driver->ops->reap(worker->driver);
}

/* What holds for the rest of the turn. */
static void look_around(struct weft__worker *worker) {
    worker->now_ns = weft__world_now();
    worker->debug = load_relaxed(&worker->loop->debug); /* set by any thread: soon enough */
}

/* timer.c; whether there may be more to do at once. */
static bool fire_timers(struct weft__worker *worker) {
    if (weft__timers_next(&worker->timers) > worker->now_ns) return false;
    weft__timers_fire(&worker->timers, worker->now_ns, worker->strict);
    return weft__timers_next(&worker->timers) <= worker->now_ns;
}

/* One step or callback; in debug mode a slow one is reported. */
static void run(struct weft__worker *worker, struct weft__runnable *runnable) {
    if (!worker->debug) {
        runnable->run(worker, runnable);
        return;
    }
    const char *kind = "callback", *name = "";
    const void *site = weft__callback_site(runnable); /* all that is read before: the task may be gone afterwards */
    if (runnable->run == weft__task_step) {
        weft_task *task = &weft__container_of(runnable, struct weft__task, runnable)->future;
        kind = "task", name = weft_task_name(task), site = task->site;
    }
    int64_t began = weft__world_now();
    weft__watchdog_begin(&worker->watchdog, kind, name, site, began);
    runnable->run(worker, runnable);
    weft__watchdog_end(&worker->watchdog);
    weft__debug_slow(worker, kind, name, site, weft__world_now() - began);
}

/* What was local work when the turn began: callbacks, messages, pinned tasks; on a strict-order loop all. */
static bool run_local(struct weft__worker *worker) {
    size_t count = worker->local.count;
    if (!worker->strict && count > WEFT__TICKS) count = WEFT__TICKS;
    if (count > 0) weft__idle_search_end(worker, true);
    for (size_t i = 0; i < count; i++) {
        struct weft__item *link = weft__fifo_pop(&worker->local);
        counter_add(&worker->visible_tick, 1);
        run(worker, weft__container_of(link, struct weft__runnable, link));
    }
    return count > 0;
}

static struct weft__task *next_ready(struct weft__worker *worker) {
    if (worker->steps_left == 0) return NULL;
    worker->steps_left--;
    worker->tick++;
    struct weft__task *task = weft__ready_next(worker);
    if (task) counter_add(&worker->visible_tick, 1);
    return task;
}

/* A task that leaves is followed by the next one at once, on its way from one stack to the other: a switch less than
 * over the loop. Debug mode measures steps, so there each comes back. */
struct weft__task *weft__worker_next(struct weft__worker *worker) {
    struct weft__task *task = worker->debug ? NULL : next_ready(worker);
    if (!task) return NULL;
    counter_add(&worker->counters.switches, 1);
    weft__budget_renew(worker);
    return task;
}

/* ready.c: up to 61 steps of tasks that any worker may run. */
static bool run_ready(struct weft__worker *worker) {
    bool worked = false;
    worker->steps_left = WEFT__TICKS;
    for (struct weft__task *task; (task = next_ready(worker)); worked = true) {
        weft__idle_search_end(worker, true);
        run(worker, &task->runnable);
    }
    worker->steps_left = 0;
    return worked;
}

/* steal.c: the next task of another worker, if not enough others look already. */
static bool steal(struct weft__worker *worker) {
    if (worker->runtime->worker_count == 1 || !weft__idle_search_begin(worker)) return false;
    if (weft__steal_worthwhile(worker)) flush(worker);
    struct weft__task *task = weft__steal(worker);
    if (!task) return false;
    weft__idle_search_end(worker, true);
    run(worker, &task->runnable);
    return true;
}

/* Shortly after work it may pay to wait awake: sleeping and being woken costs 4 to 45 us. It does not where
 * others need the CPU: so a spin that found nothing halves the next one, and one that did doubles it (on a
 * loaded machine of two CPUs, spinning always 20 us cost 15 % more CPU a request). */
static bool keep_looking(struct weft__worker *worker) {
    if (worker->now_ns - worker->worked_ns >= worker->spin_ns) return false;
    worker->spinning = true;
    return true;
}

static void found_work(struct weft__worker *worker) {
    worker->worked_ns = worker->now_ns;
    if (!worker->spinning) return;
    worker->spinning = false;
    int64_t most = worker->runtime->options.spin_ns;
    worker->spin_ns = 2 * worker->spin_ns < most ? 2 * worker->spin_ns : most;
}

static void give_up(struct weft__worker *worker) {
    if (!worker->spinning) return;
    worker->spinning = false;
    if (worker->spin_ns > WEFT__SPIN_LEAST_NS) worker->spin_ns /= 2;
}

/* moderation.h */
static void moderate(struct weft__worker *worker, bool on) {
    if (worker->moderated == on) return;
    worker->moderated = on;
    weft__world_moderate(on);
}

/* idle.c, after a turn without work; before sleeping for longer the stacks that a burst left are trimmed. */
static void rest(struct weft__worker *worker) {
    if (keep_looking(worker)) {
        flush(worker);
        weft__world_relax(1);
        return;
    }
    give_up(worker);
    moderate(worker, load_relaxed(&worker->runtime->moderation.on));
    if (weft__stack_trim(&worker->runtime->pools[worker->runtime->default_class])) flush(worker);
    else weft__idle_park(worker);
}

void weft__worker_loop(struct weft__worker *worker) {
    struct weft__runtime *runtime = worker->runtime;
    do {
        counter_add(&worker->visible_tick, 1);
        take_inbox(worker);
        weft__crowding_serve(worker);
        reap(worker);
        look_around(worker);
        bool worked = fire_timers(worker);
        if (weft__ready_any(worker)) flush(worker);
        worked |= run_local(worker);
        worked |= run_ready(worker);
        if (!worked) worked = steal(worker);
        if (worked) found_work(worker);
        else rest(worker);
        /* pair with the stores in shutdown.c and event_loop.c */
    } while (!load_acquire(&runtime->ended) && !load_acquire(&runtime->paused));
    weft__idle_search_end(worker, false);
    moderate(worker, false);
}

void weft__worker_post(struct weft__worker *worker, struct weft__runnable *runnable) {
    weft__inbox_post(&worker->inbox, &runnable->link);
    weft__idle_notify_worker(worker);
}

bool weft__worker_spare_ready(struct weft__worker *worker) {
    if (!worker->spare) worker->spare = weft__slab_take(&worker->slab);
    return worker->spare;
}
