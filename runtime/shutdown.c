/* How a runtime ends: everything that is left is cancelled and awaited. Driven by messages on the workers' own
 * queues:
 *   1. `begin` runs on worker 0: it closes the gates (foreign threads get -ESHUTDOWN from here on), sets
 *      `stopping`, and posts `notice` to every worker.
 *   2. Each worker runs its notice between two steps. Every task that it schedules from then on is born
 *      cancelled (task.c reads `stopping`); every one before is in the slab for the last step to find.
 *   3. The last notice cancels all tasks of this runtime that were not born cancelled: each exactly once,
 *      so that clean-up code which awaits is not cancelled again.
 *   4. The runtime is quiet when all tasks that were spawned have finished, and the watchers of descriptors,
 *      which the notices remove, are gone. Each finishing task looks, once stopping; so does step 3. Finished is
 *      read before spawned, and a task spawns before it finishes, so equality means that there was a moment
 *      without tasks, and then nobody can spawn.
 *   5. Whoever finds it quiet ends it; but if generators have begun and not ended, or there is a default executor
 *      to wait for, a task sees to these first.
 *   6. To end it is to set `ended` and to wake everybody; the loops return.
 *
 * Two tasks that finish last on two workers must not both miss the other, nor the last notice and a task: a
 * seq_cst fence stands between counting oneself and reading anything of the others, `unnoticed` included. And
 * whoever looked before the generators were closed must not come with its verdict after that: `quiet` is read
 * before the counters, goes up by one whenever the runtime is found quiet or loud again, and is never what it
 * was. */
#include <weft/generator.h>

#include "assert.h"
#include "thread_pool.h"
#include "worker.h"

void weft__shutdown_end(struct weft__runtime *runtime) {
    store_release(&runtime->ended, true); /* pairs with the load in weft__worker_loop */
    for (unsigned i = 0; i < runtime->worker_count; i++) weft__idle_notify_worker(&runtime->workers[i]);
}

/* Born cancelled like every task now, but what it awaits is clean-up. */
static intptr_t clean_up(void *arg) {
    weft_uncancel(weft_current_task());
    weft_shutdown_asyncgens();
    weft__executor_finish(arg);
    return 0;
}

static void run_clean_up(struct weft__worker *worker, struct weft__runnable *runnable) {
    (void)runnable;
    if (!worker) return;
    weft_future *coroutine = weft_coroutine(clean_up, worker->runtime);
    struct weft__task *task = weft__task_of(coroutine);
    if (task) { /* without memory the generators are discarded, and nobody waits */
        task->must_start = true;
        weft_release(weft_create_task(coroutine));
    }
    /* Loud again, once the task is counted; pairs with end_if_quiet. The task may have ended before it was. */
    store_release(&worker->runtime->shutdown.quiet, 2);
    weft__shutdown_look(worker->runtime);
}

/* The runtime is quiet, and the caller has won the CAS that says so. */
static void finish(struct weft__runtime *runtime) {
    bool needed = weft__generators_any(runtime) || weft__executor_any(runtime);
    if (runtime->shutdown.clean_up_done || !needed) {
        weft__shutdown_end(runtime);
        return;
    }
    runtime->shutdown.clean_up_done = true;
    runtime->shutdown.begin.run = run_clean_up; /* its first message has been run */
    weft__worker_post(&runtime->workers[0], &runtime->shutdown.begin);
}

static void end_if_quiet(struct weft__runtime *runtime) {
    uint64_t finished = 0, spawned = 0;
    uint32_t quiet = load_acquire(&runtime->shutdown.quiet); /* pairs with run_clean_up */
    if (quiet % 2 == 1) return;
    for (unsigned i = 0; i < runtime->worker_count; i++)
        finished += load_acquire(&runtime->workers[i].counters.finished);
    for (unsigned i = 0; i < runtime->worker_count; i++)
        spawned += load_acquire(&runtime->workers[i].counters.spawns);
    spawned += load_acquire(&runtime->foreign_spawns);
    if (load_seq_cst(&runtime->watchers) > 0) return;
    if (finished == spawned && cas_acq_rel(&runtime->shutdown.quiet, &quiet, quiet + 1)) finish(runtime);
}

void weft__runtime_task_finished(struct weft__worker *worker) {
    _Atomic uint64_t *finished = &worker->counters.finished;
    store_release(finished, load_relaxed(finished) + 1); /* pairs with end_if_quiet */
    weft__shutdown_look(worker->runtime);
}

void weft__shutdown_look(struct weft__runtime *runtime) {
    if (!load_relaxed(&runtime->stopping)) return;
    fence_seq_cst(); /* pairs with itself on the other workers */
    if (load_relaxed(&runtime->shutdown.unnoticed) == 0) end_if_quiet(runtime);
}

static void cancel_leftover(void *record, void *arg) {
    struct weft__task *task = record;
    if (!weft__future_try_ref(&task->future)) return;
    if (task->future.kind == WEFT__KIND_TASK && task->runtime == arg && !task->born_cancelled)
        weft_cancel(&task->future);
    weft_release(&task->future);
}

static void run_notice(struct weft__worker *worker, struct weft__runnable *notice) {
    (void)notice;
    if (worker) weft__watchers_remove_all(worker);
    if (!worker || fetch_sub_acq_rel(&worker->runtime->shutdown.unnoticed, 1) != 1) return;
    weft__slab_each(cancel_leftover, worker->runtime);
    weft__shutdown_look(worker->runtime);
}

static void run_begin(struct weft__worker *worker, struct weft__runnable *begin) {
    (void)begin;
    if (!worker) return;
    struct weft__runtime *runtime = worker->runtime;
    for (unsigned i = 0; i < runtime->worker_count; i++) weft__gate_close(runtime->workers[i].loop);
    store_release(&runtime->stopping, true); /* pairs with the handshake: the notices carry it */
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        runtime->shutdown.notices[i].run = run_notice;
        weft__worker_post(&runtime->workers[i], &runtime->shutdown.notices[i]);
    }
}

void weft__shutdown_begin(struct weft__runtime *runtime) {
    runtime->shutdown.begin.run = run_begin;
    weft__worker_post(&runtime->workers[0], &runtime->shutdown.begin);
}
