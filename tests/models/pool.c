/* A thread pool: runtime/thread_pool.c, blocking.c and parker.c themselves, with one or two threads, which end when
 * they have been idle for a while, or never. A task enters a blocking region, twice, or submits a job, or closes the
 * pool. A plain thread submits two jobs and may cancel the task; then it closes the pool, at once or when all is done,
 * and perhaps with a deadline that passes. The queue has one or two places. The first job may wait for the second one,
 * which then needs another thread. One of the threads may fail to start.
 *
 * A task has no fiber here: where it would go on on a pool's thread, that waits until the task's own has left the
 * region. (task.c has the real ones.)
 *
 * Found when it was written: DROPPED_LATE and CANCELS_UNCOUNTED, which is how the code was.
 *
 * Checked: a job that was accepted runs once or is dropped, before a close returns, and nobody touches it any more; so
 * does a region, unless it is cancelled; the closing ends.
 *
 * Code: runtime/thread_pool.c runtime/blocking.c runtime/parker.c -DWEFT__TSAN_FIBERS
 *
 * Mutants, each of which must be rejected:
 *     NO_HELP              runtime/thread_pool.c weft__pool_submit  /help = call_for_help/d
 *     NO_HELP_FOR_REGIONS  runtime/thread_pool.c weft__pool_push  /help = call_for_help/d
 *     HELP_NOT_PASSED_ON   runtime/thread_pool.c next_item  s/= call_for_help\(pool\)/= {0}/
 *     STILL_SEARCHING      runtime/thread_pool.c look  /take\(pool, woken\)/,/return FOUND/s/search_end\(self\);//
 *     SLEEPS_SEARCHING     runtime/thread_pool.c look  /return SEARCH;/,/return SLEEP/s/search_end\(self\);//
 *     LEAVES_THOUGH_WOKEN  runtime/thread_pool.c be_idle  s/if \(alone\) return false/return false/
 *     LEAVES_UNCOUNTED     runtime/thread_pool.c be_idle  /pool->threads--/d
 *     LEAVES_IN_LIST       runtime/thread_pool.c be_idle  /weft__list_remove/d
 *     WOKEN_STAYS          runtime/thread_pool.c be_idle  /store_relaxed/d
 *     CLAIM_IGNORED        runtime/thread_pool.c take  s/if \(claim\(item\)\)/claim(item);/
 *     ADMITS_ALL           runtime/thread_pool.c weft__pool_push  s/item->ops->admit && .* \? -ECANCELED : 0/0/
 *     NOBODY_LET_IN        runtime/thread_pool.c take_out  /weft__line_grant/d
 *     PLACE_LEAKS          runtime/thread_pool.c take_out  /pool->places--/d
 *     PLACE_NOT_LEFT       runtime/thread_pool.c wait_for_place  /weft__line_remove/d
 *     START_FAILS_ALONE    runtime/thread_pool.c start_failed  /take_all/d
 *     START_FAILS_COUNTED  runtime/thread_pool.c start_failed  /pool->searching--/d
 *     SLEEPERS_LEFT        runtime/thread_pool.c weft__pool_shut  s/while \(!weft__list_empty.*\{/while (false) {/
 *     NOT_DEPARTED         runtime/thread_pool.c thread_main  /depart\(/d
 *     ENDED_TOO_EARLY      runtime/thread_pool.c wait_for_end  s/pool->alive == 0/true/
 *     NOT_CANCELLED        runtime/thread_pool.c cancel_queued  /drop_all/d
 *     DROPPED_LATE         runtime/thread_pool.c start_failed  /^    drop_all/d;s/depart\(pool\);/depart(pool); drop_all(\&items, error);/
 *     CANCELS_UNCOUNTED    runtime/thread_pool.c cancel_queued  /alive\+\+/d;/depart/d
 *     WAKE_UNORDERED       runtime/thread_pool.c wake  s/store_release/store_relaxed/
 *     NO_REFERENCE         runtime/thread_pool.c give_help  /weft__pool_ref/d
 *     NOT_WITHDRAWN        runtime/thread_pool.c weft__pool_withdraw  /take_out/d
 *     REGION_NOT_TAKEN_OUT runtime/blocking.c move_to_thread  /weft__pool_withdraw/d
 *     REGION_WOKEN_EARLY   runtime/blocking.c cancel  s/if \(seen == QUEUED\)//
 *     REGION_TAKEN_BY_TWO  runtime/blocking.c cancel  s/if \(seen != NEW && seen != QUEUED\)/if (false)/
 *     WAKE_LOST            runtime/parker.c block  s/if \(!park\(self\)\) return;/store_release(\&self->word, WEFT__PARKED);/
 */
#include "model.h"

#include <errno.h>
#include <string.h>

#include "runtime/thread_pool.h"
#include "runtime/worker.h"

#include "wait.h"

_Atomic uint32_t weft__elsewhere; /* of runtime/deadlock.c */
void weft__mutex_watch_look(struct weft__task *of, struct weft__stack *on) {}

#define FINISHED 0x80000000u
#define LONG_NS (INT64_MAX / 2) /* as good as for ever */

struct job {
    struct weft__pool_item item;
    struct job *waits_for;
    _Atomic uint32_t done;
};

static weft_thread_pool *pool;
static struct job *jobs[3];             /* the thread's two, and the task's */
static _Atomic bool accepted[2];
static struct weft__worker worker;
static struct weft_loop loop;
static struct weft__runtime runtime;
static struct weft__task task;
static struct weft__stack stack;
static enum { ENTERS, SUBMITS, CLOSES } task_does;
static bool cancels, fails, patient, hurried;
static unsigned moment;                 /* of the cancel */
static _Atomic uint32_t task_over;

enum { SUSPENDED, WOKEN, ON_POOL_THREAD };
static _Atomic uint32_t resumed;
static struct weft__pool_thread *resumed_on;
static _Atomic uint32_t left;           /* the region */

static _Atomic uint32_t starts;         /* of threads, that have not begun; or FINISHED */
static _Atomic(void (*)(void *)) entry;
static _Atomic int failures;            /* of starts, to come */

/* ---- the world, and the rest of the runtime ---- */

uint32_t weft__world_generation(void) { return 1; }
unsigned weft__world_cpus(void) { return 1; }
void weft__overflow_watch(void) {}
void weft__overflow_unwatch(void) {}
void weft__fiber_adopt_thread(struct weft__fiber *fiber) {}

int weft__world_thread_start_detached(const char *name, void (*run)(void *arg), void *arg) {
    if (fails && atomic_fetch_sub_explicit(&failures, 1, memory_order_relaxed) == 1) return -EAGAIN;
    model_assert(arg == pool);
    store_relaxed(&entry, run);
    atomic_fetch_add_explicit(&starts, 1, memory_order_release);
    weft__world_wake_all(&starts);
    return 0;
}

int64_t weft__deadline(int64_t timeout_ns) {
    return timeout_ns == WEFT_FOREVER ? INT64_MAX : weft__world_now() + timeout_ns;
}
bool weft__timer_arm(struct weft__timer *timer, int64_t deadline_ns) { model_fail("no task has a deadline"); }
void weft__timer_settle(struct weft__timer *timer) {}
enum weft__timer_cancel weft__timer_cancel(struct weft__timer *timer) { model_fail("no task has a deadline"); }

weft_thread_pool *weft__blocking_pool(struct weft__runtime *of, int *error) { return weft__pool_ref(pool); }

struct weft__fiber *weft__task_leave(bool (*commit)(struct weft__task *task, void *arg), void *arg,
                                     struct weft__task **self) {
    *self = &task;
    worker.current = NULL;
    worker.commit = commit;
    worker.commit_arg = arg;
    return &worker.scheduler;
}

void weft__task_arrive(struct weft__task *self) {
    if (weft__world_worker()) worker.current = self;
}

void weft__task_wake(struct weft__task *of) {
    model_assert(exchange_acq_rel(&resumed, WOKEN) == SUSPENDED);
    weft__world_wake_all(&resumed);
}

static void wait_suspended(void) {
    bool here = await(&resumed) == WOKEN;
    store_relaxed(&resumed, SUSPENDED);
    weft__world_set_worker(here ? &worker : NULL);
    weft__world_set_pool_thread(here ? NULL : resumed_on);
}

void weft__fiber_switch(struct weft__fiber *from, struct weft__fiber *to) {
    if (weft__world_worker()) { /* the task, to its worker's loop */
        if (worker.commit(&task, worker.commit_arg)) wait_suspended();
        return;
    }
    if (from == &stack.fiber) { /* the task, back to the pool's thread */
        tell(&left, 1);
        wait_suspended();
        return;
    }
    resumed_on = weft__world_pool_thread(); /* that, to the task */
    model_assert(exchange_acq_rel(&resumed, ON_POOL_THREAD) == SUSPENDED);
    weft__world_wake_all(&resumed);
    await(&left);
    store_relaxed(&left, 0);
}

/* ---- jobs ---- */

static void end(struct job *job) {
    model_assert(atomic_fetch_add_explicit(&job->done, 1, memory_order_acq_rel) == 0);
    weft__world_wake_all(&job->done);
}

static void run_job(struct weft__pool_thread *thread, struct weft__pool_item *item) {
    struct job *job = weft__container_of(item, struct job, item);
    if (job->waits_for) await(&job->waits_for->done);
    end(job);
}

static void drop_job(struct weft__pool_item *item, int error) {
    model_assert(error == -ECANCELED ? hurried : error == -EAGAIN && fails);
    for (unsigned round = 0; round < 16; round++) weft__world_relax(round); /* who drops is slow */
    end(weft__container_of(item, struct job, item));
}

/* Nobody touches it any more. */
static void forget(struct job *job) { model_poison(job, sizeof *job); }

/* ---- the threads ---- */

static void before(void) {
    static const struct weft__pool_ops ops = {.run = run_job, .drop = drop_job};
    memset(&worker, 0, sizeof worker);
    memset(&task, 0, sizeof task);
    task_over = resumed = left = starts = 0;
    task_does = model_choose(3);
    accepted[0] = accepted[1] = false;
    cancels = model_choose(2);
    fails = model_choose(4) == 0;
    patient = model_choose(2);
    hurried = model_choose(2);
    moment = model_choose(3);
    failures = 1 + model_choose(2);
    bool two = model_choose(2), waits = two && !fails && task_does != CLOSES && model_choose(2);
    pool = weft_thread_pool_new((weft_thread_pool_options){
        .name = "model", .threads = 1 + two, .queue = 1 + model_choose(2),
        .idle_ns = model_choose(2) ? LONG_NS : 1000});
    for (unsigned i = 0; i < 3; i++) {
        jobs[i] = model_calloc(1, sizeof *jobs[i]);
        jobs[i]->item.ops = &ops;
    }
    if (waits) jobs[0]->waits_for = jobs[1];
    task.stack = &stack;
    worker.current = &task;
    worker.loop = &loop;
    runtime.workers = &worker;
    task.runtime = &runtime;
    wait_reset(&task);
}

static void enter(void) {
    int error = weft_enter_blocking();
    if (error) {
        model_assert(error == -ECANCELED ? cancels || hurried : error == -EAGAIN ? fails : error == -ESHUTDOWN);
        return;
    }
    model_assert(!weft__world_worker() && weft__blocked_task() == &task);
    model_assert(weft_leave_blocking() == 0 && weft__world_worker() == &worker && !weft__blocked_task());
}

static void submit(unsigned number) {
    int error = weft__pool_submit(pool, &jobs[number]->item);
    model_assert(error == -ECANCELED ? number == 2 && cancels
                                     : error == 0 || (error == -ESHUTDOWN && (number == 2 || task_does == CLOSES)));
    if (!error && number == 2) await(&jobs[2]->done);
    else if (!error) store_release(&accepted[number], true);
}

static void all_done(void) {
    for (unsigned i = 0; i < 2; i++) model_assert(!load_acquire(&accepted[i]) || load_acquire(&jobs[i]->done) == 1);
}

static void be_task(void) {
    weft__world_set_worker(&worker);
    if (task_does == ENTERS) {
        enter();
        enter();
    } else if (task_does == SUBMITS) {
        submit(2);
        forget(jobs[2]);
    } else {
        int error = weft_thread_pool_close(pool, WEFT_FOREVER);
        model_assert(error == -ECANCELED ? cancels : error == 0);
        if (!error) all_done();
    }
    tell(&task_over, 1);
}

static void be_thread(void) {
    for (unsigned i = 0; i < 3; i++) {
        if (cancels && moment == i) request_cancel();
        if (i < 2) submit(i);
    }
    for (unsigned i = 0; patient && i < 2; i++)
        if (accepted[i]) await(&jobs[i]->done);
    if (patient) await(&task_over);
    int error = weft_thread_pool_close(pool, hurried ? 1 : WEFT_FOREVER);
    if (error == -ETIMEDOUT) error = weft_thread_pool_close(pool, WEFT_FOREVER);
    model_assert(error == 0);
    all_done();
    await(&task_over);
    for (unsigned i = 0; i < 2; i++) forget(jobs[i]);
    weft_thread_pool_release(pool);
    atomic_fetch_or_explicit(&starts, FINISHED, memory_order_acq_rel);
    weft__world_wake_all(&starts);
}

/* An OS thread of the pool's, and the next one. */
static void be_started(void) {
    for (uint32_t now; (now = load_acquire(&starts)) != FINISHED;) {
        if (now == 0) weft__world_wait(&starts, 0, INT64_MAX);
        else if (cas_acq_rel(&starts, &now, now - 1)) load_relaxed(&entry)(pool);
    }
}

static void thread(unsigned index) {
    if (index == 0) be_task();
    else if (index == 1) be_thread();
    else be_started();
}

const struct model model = {
    .threads = 4, .tick_ns = 100000, .rounds = 100000, .before = before, .thread = thread};
