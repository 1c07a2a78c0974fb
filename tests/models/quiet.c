/* The end of runtime/shutdown.c itself, whose whole protocol is in shutdown.pml: begin, the notices, and two
 * workers that finish a task each at the same time, of which one may have run another one in place before, and may
 * have left a generator behind. The loops must be told to return exactly once, when nothing is left, and always.
 *
 * Found when it was written: FENCE_LATE and LOUD_AGAIN, which is how the code was.
 *
 * Code: runtime/shutdown.c runtime/inbox.c
 *
 * Mutants, each of which must be rejected:
 *     NO_FENCE         runtime/shutdown.c weft__shutdown_look  /fence_seq_cst/d
 *     FENCE_LATE       runtime/shutdown.c weft__shutdown_look  /fence_seq_cst/d;s/end_if_quiet/fence_seq_cst(), end_if_quiet/
 *     SPAWNED_FIRST    runtime/shutdown.c end_if_quiet  s/\.finished/.SWAP/;s/\.spawns/.finished/;s/\.SWAP/.spawns/;s/finished \+=/SWAP +=/;s/spawned \+= load_acquire\(&runtime->w/finished += load_acquire(\&runtime->w/;s/SWAP \+=/spawned +=/
 *     FINISHED_LATE    runtime/shutdown.c weft__runtime_task_finished  s/store_release/store_relaxed/
 *     QUIET_TWICE      runtime/shutdown.c end_if_quiet  s/cas_acq_rel\(&runtime->shutdown.quiet.*quiet \+ 1\)/(store_release(\&runtime->shutdown.quiet, quiet + 1), true)/
 *     LOUD_AGAIN       runtime/shutdown.c run_clean_up  s/store_release\(&worker->runtime->shutdown.quiet, 2\)/store_release(\&worker->runtime->shutdown.quiet, 0)/
 *     CLOSES_UNLOOKED  runtime/shutdown.c run_clean_up  /weft__shutdown_look/d
 *     NO_LAST_LOOK     runtime/shutdown.c run_notice  /weft__shutdown_look/d
 */
#include "model.h"

#include <string.h>

#include "runtime/worker.h"

static struct weft__runtime runtime;
static struct weft__worker workers[2];
static weft_loop loop;
static struct weft__runnable notices[2];
static struct weft__task closing;
static bool generators;             /* one has begun */
static _Atomic bool closing_ready;
static unsigned patience[2];        /* turns before a worker's task finishes */
static bool in_place[2];            /* and it runs another one first */
static _Atomic int running, told;   /* tasks that have not finished */

/* ---- what the code needs of the rest of the runtime ---- */

void weft__worker_post(struct weft__worker *worker, struct weft__runnable *runnable) {
    weft__inbox_post(&worker->inbox, &runnable->link);
}
void weft__idle_notify_worker(struct weft__worker *worker) {
    if (worker->index == 0) fetch_add_relaxed(&told, 1);
    model_assert(fetch_add_relaxed(&running, 0) == 0); /* an RMW reads the newest value */
}
bool weft__generators_any(struct weft__runtime *of) { return generators; }
weft_future *weft_coroutine(weft_fn *fn, void *arg) { return &closing.future; }
static void spawn(struct weft__worker *worker) {
    counter_add(&worker->counters.spawns, 1);
    fetch_add_relaxed(&running, 1);
}
weft_task *weft_create_task(weft_future *coroutine) {
    spawn(weft__world_worker());
    store_release(&closing_ready, true);
    return coroutine;
}
void weft_release(weft_future *future) {}
weft_task *weft_current_task(void) { return &closing.future; }
int weft_uncancel(weft_task *task) { return 0; }
int weft_shutdown_asyncgens(void) { return 0; }
void weft__executor_finish(struct weft__runtime *of) {}
bool weft__executor_any(struct weft__runtime *of) { return false; }
bool weft__future_try_ref(weft_future *future) { return false; }
bool weft_cancel(weft_future *future) { return false; }
void weft__gate_close(weft_loop *of) {}
void weft__slab_each(void (*visit)(void *record, void *arg), void *arg) {}
void weft__watchers_remove_all(struct weft__worker *worker) {}

/* ---- the threads ---- */

static void before(void) {
    memset(&runtime, 0, sizeof runtime);
    memset(workers, 0, sizeof workers);
    closing_ready = false;
    closing.future.kind = WEFT__KIND_TASK;
    generators = model_choose(2);
    runtime.worker_count = 2;
    runtime.workers = workers;
    runtime.shutdown.notices = notices;
    runtime.shutdown.unnoticed = 2;
    told = 0;
    running = 2;
    for (unsigned i = 0; i < 2; i++) {
        workers[i].runtime = &runtime;
        workers[i].index = i;
        workers[i].loop = &loop;
        workers[i].counters.spawns = 1;
        patience[i] = model_choose(4);
        in_place[i] = model_choose(2);
        weft__inbox_init(&workers[i].inbox);
    }
    weft__shutdown_begin(&runtime);
}

static void finish(struct weft__worker *worker) {
    atomic_fetch_sub_explicit(&running, 1, memory_order_relaxed);
    weft__runtime_task_finished(worker);
}

static void thread(unsigned index) {
    struct weft__worker *worker = &workers[index];
    weft__world_set_worker(worker);
    for (unsigned turn = 0; !load_acquire(&runtime.ended); turn++) {
        weft__inbox_take_all(&worker->inbox, &worker->local);
        for (struct weft__item *link; (link = weft__fifo_pop(&worker->local));) {
            struct weft__runnable *runnable = weft__container_of(link, struct weft__runnable, link);
            runnable->run(worker, runnable);
        }
        if (turn == patience[index]) {
            if (in_place[index]) {
                spawn(worker);
                finish(worker);
            }
            finish(worker);
        }
        if (load_relaxed(&closing_ready) && atomic_exchange_explicit(&closing_ready, false, memory_order_acq_rel))
            finish(worker);
        if (turn > patience[index]) weft__world_relax(turn);
    }
}

static void after(void) { model_assert(told == 1 && running == 0); }

const struct model model = {.threads = 2, .rounds = 500000, .before = before, .thread = thread, .after = after};
