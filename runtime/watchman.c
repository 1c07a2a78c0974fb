#include "watchman.h"

#include <signal.h>

#include "assert.h"
#include "worker.h"

#define LOOK_NS 4000000       /* between two looks while everybody moves on */
#define STUCK_NS 3500000      /* without a step: a look that comes a little early counts */
#define LOOK_AGAIN_NS 1000000 /* while somebody is stuck */

/* ---- the signal ---- */

static void on_urge(int number, siginfo_t *info, void *context) {
    struct weft__worker *worker = weft__world_worker();
    (void)number;
    (void)info;
    if (!worker || !load_relaxed(&worker->runtime->watchman.on)) return; /* a late one: its driver may be closed */
    int *location = weft__world_errno(), saved = *location;
    if (worker->driver->ops->fetch) worker->driver->ops->fetch(worker->driver, worker->current);
    weft__watchdog_take_stack(&worker->watchdog, context);
    weft__world_alarm_set(worker->runtime->watchman.alarm, 1, LOOK_NS);
    *location = saved;
}

/* Whether SIGURG is ours; nobody handles it unless out-of-band data is expected. */
static bool may_signal(void) {
    struct sigaction now;
    return sigaction(SIGURG, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_urge;
}

static void install_handler(void) {
    struct sigaction now, ours = {.sa_sigaction = on_urge, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigfillset(&ours.sa_mask);
    if (sigaction(SIGURG, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO)) return;
    if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) sigaction(SIGURG, &ours, NULL);
}

/* ---- one worker ---- */

/* Whether the worker is awake and has not moved on for a while. */
static bool is_stuck(struct weft__worker *worker, int64_t now_ns, bool *awake) {
    struct weft__watch *watch = &worker->watch;
    bool asleep = load_seq_cst(&worker->sleep_state) == WEFT__SLEEPING; /* B3; pairs with A1 */
    uint32_t tick = load_relaxed(&worker->visible_tick);
    *awake |= !asleep;
    if (!asleep && tick == watch->tick) return now_ns - watch->since_ns >= STUCK_NS;
    watch->tick = tick;
    watch->since_ns = now_ns;
    return false;
}

/* Returns whether its handler would bring more. */
static bool rescue(struct weft__watchman *watchman, struct weft__worker *victim, int64_t now_ns) {
    const struct weft__driver_ops *ops = victim->driver->ops;
    weft__ready_evacuate(victim, &watchman->spare);
    if (weft__timers_next(&victim->timers) <= now_ns) weft__timers_rescue(&victim->timers, now_ns);
    return ops->rescue && ops->rescue(victim->driver);
}

static void attend(struct weft__watchman *watchman, struct weft__worker *worker, int64_t now_ns, bool runs) {
    bool ours = may_signal();
    bool signal = watchman->rescues_others && rescue(watchman, worker, now_ns);
    signal |= weft__watchdog_look(worker, now_ns, runs, ours);
    if (signal && runs && ours) weft__world_thread_signal(worker->thread_id, SIGURG);
}

/* ---- all of them ---- */

/* Returns whether any is awake. */
static bool look(struct weft__watchman *watchman) {
    struct weft__runtime *runtime = watchman->runtime;
    uint32_t stuck = 0, blocked = 0;
    bool awake = false;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__worker *worker = &runtime->workers[i];
        int64_t now = weft__world_now();
        bool was_stuck = worker->watch.stuck;
        worker->watch.stuck = is_stuck(worker, now, &awake);
        if (!worker->watch.stuck) continue;
        bool runs = weft__world_thread_runs(worker->watch.thread);
        if (!was_stuck && watchman->rescues_others) counter_add(&watchman->rescues, 1);
        attend(watchman, worker, now, runs);
        stuck++;
        blocked += !runs;
    }
    if (watchman->rescues_others) {
        weft__moderation_look(runtime, weft__world_now());
        weft__crowding_look(runtime, weft__world_now());
    }
    store_relaxed(&watchman->stuck, stuck);
    store_relaxed(&watchman->blocked, blocked);
    if (stuck > 0) weft__world_alarm_set(watchman->alarm, LOOK_AGAIN_NS, LOOK_NS);
    return awake;
}

static bool any_awake(struct weft__runtime *runtime) {
    for (unsigned i = 0; i < runtime->worker_count; i++)
        if (load_seq_cst(&runtime->workers[i].sleep_state) != WEFT__SLEEPING) return true; /* B3; pairs with A1 */
    return false;
}

static void rest(struct weft__watchman *watchman) {
    struct weft__runtime *runtime = watchman->runtime;
    weft__world_alarm_set(watchman->alarm, weft__deadlock_look(runtime), 0);                  /* B1 */
    exchange_seq_cst(&watchman->armed, false);                                                /* B2; pairs with A2 */
    if (any_awake(runtime) || weft__deadlock_to_look(runtime)) weft__watchman_see(watchman);  /* B3 */
}

static void watch(void *arg) {
    struct weft__watchman *watchman = arg;
    weft__world_block_signals();
    for (;;) {
        if (!look(watchman)) rest(watchman);
        /* pairs with stop, which sets the alarm after it: rest may not undo that */
        if (load_seq_cst(&watchman->over)) return;
        weft__world_alarm_wait(watchman->alarm);
    }
}

void weft__watchman_arm(struct weft__watchman *watchman) {
    if (exchange_seq_cst(&watchman->armed, true)) return; /* pairs with B2 */
    weft__world_alarm_set(watchman->alarm, LOOK_NS, LOOK_NS);
}

/* ---- start and stop ---- */

static void close_threads(struct weft__runtime *runtime) {
    for (unsigned i = 0; i < runtime->worker_count; i++) weft__world_thread_close(runtime->workers[i].watch.thread);
    if (runtime->watchman.rescues_others) weft__crowding_end(runtime);
}

void weft__watchman_start(struct weft__runtime *runtime) {
    struct weft__watchman *watchman = &runtime->watchman;
    watchman->rescues_others = runtime->worker_count > 1 && !runtime->options.no_rescue;
    if (!watchman->rescues_others && runtime->options.debug <= 0) return;
    if (!watchman->has_alarm && (watchman->alarm = weft__world_alarm_open()) < 0) return;
    watchman->has_alarm = true;
    watchman->runtime = runtime;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        struct weft__worker *worker = &runtime->workers[i];
        worker->watch.since_ns = weft__world_now();
        worker->watch.thread = weft__world_thread_open(worker->thread_id);
    }
    if (watchman->rescues_others) weft__crowding_begin(runtime);
    install_handler();
    store_relaxed(&watchman->over, false);
    weft__world_alarm_set(watchman->alarm, LOOK_NS, LOOK_NS);
    store_relaxed(&watchman->on, weft__world_thread_start(&watchman->thread, watch, watchman) == 0);
    if (!load_relaxed(&watchman->on)) close_threads(runtime);
}

void weft__watchman_stop(struct weft__runtime *runtime) {
    struct weft__watchman *watchman = &runtime->watchman;
    if (!load_relaxed(&watchman->on)) return;
    exchange_seq_cst(&watchman->over, true); /* pairs with watch */
    weft__world_alarm_set(watchman->alarm, 1, LOOK_NS);
    weft__world_thread_join(&watchman->thread);
    close_threads(runtime);
    store_relaxed(&watchman->on, false);
    store_relaxed(&watchman->armed, true);
    if (watchman->spare) weft__slab_give(NULL, watchman->spare);
    watchman->spare = NULL;
}

void weft__watchman_fini(struct weft__watchman *watchman) {
    if (watchman->has_alarm) weft__world_alarm_close(watchman->alarm);
}
