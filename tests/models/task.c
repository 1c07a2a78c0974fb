/* A task's life, from the real files: two workers with their real queues and fibers run a parent that awaits a
 * child (in place, if it comes first or lies below a sibling in the deque, or wherever the thief has it), which
 * awaits a future, sleeps, or ends at once; tasks follow each other directly or by way of the loop; one foreign
 * thread cancels one of the three, or finds the parent's record without a reference as shutdown does, and another
 * one completes the future (now, or so late that only the cancel can end the wait) and blocks until the parent has
 * ended. Sometimes the await stands in a timeout scope. So these meet in every order: complete, cancel (down the
 * chain of awaits), add_waiter, suspend and wake, claim, release, try_ref, fire, expire.
 *
 * The functions pass on what they get, so: a cancel that said true is what the parent ends with; without one the
 * result arrives. Nobody sleeps for ever (livelock), every record goes back once, and nothing of a record is
 * touched after that but its state word.
 *
 * Searched once for six minutes of CPU, some nine million interleavings: nothing found. Not covered: circles of
 * awaits, requests of several scopes at once, records that are used again, pinned tasks and strict-order loops.
 *
 * Code: runtime/future.c runtime/task.c runtime/await.c runtime/cancel.c runtime/coroutine.c runtime/fiber.c
 * Code: runtime/budget.c runtime/timeout.c runtime/sleep.c runtime/timer.c runtime/timer_wheel.c
 * Code: runtime/turn.c runtime/ready.c
 * Code: runtime/deque.c runtime/ring_queue.c -DWEFT__RING_QUEUE_CAPACITY=4
 *
 * Mutants, each of which must be rejected:
 *     DONE_UNORDERED       runtime/future.c complete  s/cas_weak_acq_rel\((.*, next)\)\) break;/atomic_compare_exchange_weak_explicit(\1, memory_order_relaxed, memory_order_relaxed)) break;/
 *     DONE_WITHOUT_CAS     runtime/future.c complete  s/if \(cas_weak_acq_rel\(&future->state, &state, next\)\) break;/store_release(\&future->state, next); break;/
 *     PLAINLY_UNORDERED    runtime/future.c complete_plainly  s/cas_acq_rel\((.*, next)\)/atomic_compare_exchange_strong_explicit(\1, memory_order_relaxed, memory_order_relaxed)/
 *     PLAINLY_WITHOUT_CAS  runtime/future.c complete_plainly  s/!cas_acq_rel\(&future->state, &state, next\)/(store_release(\&future->state, next), false)/
 *     PLAINLY_WAITED       runtime/future.c complete_plainly  s/WEFT__LOCKED \| WEFT__WAITED \| //
 *     PLAINLY_REQUESTED    runtime/future.c complete_plainly  s/ \| WEFT__REQUESTS//
 *     DONE_SEEN_UNORDERED  runtime/future.h weft__is_done  s/load_acquire/load_relaxed/
 *     DONE_WITHOUT_LOCK    runtime/future.c complete  s/if \(!locked && \(state & WEFT__LOCKED\)\)/if (false)/
 *     TWO_COMPLETERS       runtime/future.c complete  s/ \|\| future->kind == WEFT__KIND_FUTURE//
 *     ADD_WITHOUT_LOCK     runtime/future.c weft__future_add_waiter  s/lock_unless_done\(future\)/load_acquire(\&future->state)/
 *     WAITED_NOT_SAID      runtime/future.c unlock  /if \(future->waiters\) next/d
 *     RELEASE_UNORDERED    runtime/future.c weft_release  s/fetch_sub_acq_rel\((.*)\);/atomic_fetch_sub_explicit(\1, memory_order_relaxed);/
 *     OWNER_UNORDERED      runtime/future.c weft_release  s/load_acquire/load_relaxed/
 *     OWNERS_WITHOUT_RMW   runtime/future.c weft_release  s/state >= 2 \* WEFT__REFERENCE\)$/state >= 3 * WEFT__REFERENCE)/
 *     TRY_REF_OF_DONE      runtime/future.c weft__future_try_ref  s/weft__phase\(state\) == WEFT__DONE \|\| //
 *     THREAD_UNORDERED     runtime/await.c serve_thread  s/store_release/store_relaxed/
 *     PUBLISH_UNORDERED    runtime/cancel.c publish  s/exchange_seq_cst/store_release/
 *     REQUEST_UNORDERED    runtime/cancel.c request  s/cas_seq_cst/cas_acq_rel/
 *     PENDING_UNORDERED    runtime/cancel.c weft__cancel_pending  s/load_seq_cst/load_acquire/
 *     WAIT_SEEN_UNORDERED  runtime/cancel.c hold     /C2/s/load_seq_cst/load_acquire/
 *     NO_LOOK_AFTERWARDS   runtime/cancel.c publish  /weft__cancel_pending/d
 *     NOT_BUSY             runtime/cancel.c hold     s/word \| BUSY/word/
 *     RETRACT_THOUGH_BUSY  runtime/cancel.c weft__wait_retract  s/if \(word & BUSY\)/if (false)/
 *     BUSY_UNORDERED       runtime/cancel.c let_go   s/store_release/store_relaxed/
 *     NO_REFERENCE         runtime/cancel.c pass_on  s/weft_ref\(awaited\)/awaited/
 *     TAKEN_FIRST          runtime/cancel.c pass_on  s/if \(!accepted\)/weft__cancel_consume(task); if (!accepted)/
 *     HOSTS_UNPUBLISHED    runtime/cancel.c weft__wait_publish  s/weft__hosts_publish\(task->stack\);//
 *     CLAIM_WITHOUT_CAS    runtime/task.c weft__task_claim  s/!cas_weak_acq_rel\(&task->future.state, &state, next\)/(store_release(\&task->future.state, next), false)/
 *     WAKEABLE_UNSAVED     runtime/task.c weft__task_leave  s/worker->commit = commit;/bool yes(struct weft__task *t, void *a) { return true; } worker->commit = commit(task, arg) ? yes : commit;/
 *     STALE_UNREFERENCED   runtime/await.c claim_in_place  s/popped \? 0 : 1/0/
 *     FRAME_TOUCHED        runtime/await.c commit_await  s/return weft__future_add_waiter\((.*)\);/bool added = weft__future_add_waiter(\1); self->task = task; return added;/
 *     SLEEP_WOKEN_TWICE    runtime/sleep.c cancel  s/== WEFT__CANCEL_DONE/!= WEFT__CANCEL_LATE/
 *     SLEEP_ANYWAY         runtime/sleep.c commit_sleep  s/return (weft__timer_arm.*);/\1; return true;/
 *     SCOPE_NOT_SETTLED    runtime/timeout.c disarm  /weft__timer_settle/d
 *     NOT_WITHDRAWN        runtime/timeout.c weft_timeout_exit  s/weft__cancel_withdraw.*delivered_before;/true;/
 */
#include "model.h"

#include <string.h>

#include <weft/timeout.h>

#include "runtime/worker.h"

#define VALUE 5
#define LATER ((int64_t)1 << 20)
#define STACK_BYTES 65536

static struct weft__runtime runtime;
static struct weft__worker workers[2];
static weft_loop loop;

static weft_task *parent, *child;
static weft_future *future;
static enum { RETURNS, AWAITS, SLEEPS } child_does;
static bool scoped, without_reference, late;
static unsigned tasks;              /* 2, or 3 with one that lies above the child in the deque */
static unsigned target;             /* 0 the parent, 1 the child, 2 the future */
static bool begun;                  /* the parent was not cancelled before its first step */
static bool cancelled;              /* a cancel said true */
static intptr_t result;             /* the parent's, as a blocked thread sees it */
static _Atomic uint32_t finished;   /* tasks */
static _Atomic uint32_t events;     /* tasks that have begun, or ended */
static unsigned moment;             /* the event that the canceller waits for */

/* ---- what the code needs of the rest of the runtime ---- */

static _Atomic int records;
static struct weft__stack stacks[2][4];
static char memory[2][4][STACK_BYTES];
static unsigned stacks_taken[2];

_Atomic bool weft__debug_sites;

/* Caches are always full, and always empty: every record comes by here. */
void *weft__slab_take_slow(struct weft__slab_cache *cache) {
    (void)cache;
    fetch_add_relaxed(&records, 1);
    return model_calloc(1, WEFT__SLAB_RECORD_BYTES);
}

void weft__slab_give_slow(struct weft__slab_cache *cache, struct weft__slab_record *record) {
    (void)cache;
    fetch_add_relaxed(&records, -1);
    model_poison((char *)record + WEFT__SLAB_STABLE_BYTES, WEFT__SLAB_RECORD_BYTES - WEFT__SLAB_STABLE_BYTES);
}

struct weft__stack *weft__stack_take(struct weft__stack_pool *pool, struct weft__stack_cache *cache) {
    unsigned worker = weft__world_worker()->index, number = stacks_taken[worker]++;
    struct weft__stack *stack = &stacks[worker][number];
    char *low = memory[worker][number];
    (void)pool, (void)cache;
    weft__fiber_init(&stack->fiber, low, low + STACK_BYTES, weft__task_fiber);
    return stack;
}

void weft__stack_give(struct weft__stack_pool *pool, struct weft__stack_cache *cache, struct weft__stack *stack) {
    (void)pool, (void)cache;
    model_poison(stack, sizeof *stack);
}

void weft__runtime_task_finished(struct weft__worker *worker) {
    (void)worker;
    fetch_add_relaxed(&events, 1);
    atomic_fetch_add_explicit(&finished, 1, memory_order_release);
}

/* A task that leaves is followed by the next one, or by the loop. */
struct weft__task *weft__worker_next(struct weft__worker *worker) {
    return model_choose(2) ? weft__ready_next(worker) : NULL;
}

struct weft__context **weft__context_current(void) { return weft__world_context(); }
struct weft__context *weft__context_ref(struct weft__context *context) { return context; }
void weft__context_release(struct weft__context *context) { (void)context; }
weft_loop *weft_get_running_loop(void) { return NULL; }
void weft__idle_notify(struct weft__runtime *of) { (void)of; }
void weft__worker_post(struct weft__worker *worker, struct weft__runnable *runnable) { model_fail("pinned"); }
struct weft__task *weft__parallel_adopt(struct weft__runtime *of, struct weft__task *record, uintptr_t item) { model_fail("parallel"); }
struct weft__slab_cache *weft__thread_slab(void) { return NULL; }
struct weft__task *weft__blocked_task(void) { return NULL; }
struct weft__worker *weft__blocking_forgotten(void) { return weft__world_worker(); }
bool weft__worker_spare_ready(struct weft__worker *worker) { return true; }
void weft__debug_unretrieved(weft_future *of, weft_loop *on, uint64_t serial) {}
void weft__mutex_watch_look(struct weft__task *task, struct weft__stack *stack) {}
void weft__deadlock_awaits(struct weft__task *task) {}
void weft__debug_never_awaited(weft_future *coroutine) { model_fail("no coroutine is left"); }

/* ---- the tasks ---- */

static intptr_t run_child(void *none) {
    (void)none;
    fetch_add_relaxed(&events, 1);
    if (child_does == AWAITS) return weft_await(future);
    int error = child_does == SLEEPS ? weft_sleep(1000) : 0;
    return error ? error : VALUE;
}

static intptr_t run_sibling(void *none) { return (intptr_t)none; }

static intptr_t run_parent(void *none) {
    weft_timeout scope;
    (void)none;
    begun = true;
    fetch_add_relaxed(&events, 1);
    if (scoped) weft_timeout_enter(&scope, 1000);
    intptr_t got = weft_join(child);
    return scoped ? weft_timeout_exit(&scope, got) : got;
}

static void worker_init(unsigned index) {
    struct weft__worker *worker = &workers[index];
    worker->runtime = &runtime;
    worker->index = index;
    worker->loop = &loop;
    worker->tick = model_choose(2); /* 0: the oldest first */
    worker->slab.count = WEFT__SLAB_CACHE_MOST - 1;
    weft__ring_queue_init(&worker->ring);
    weft__timers_init(&worker->timers, 0);
    model_assert(weft__deque_init(&worker->deque, 4) == 0);
}

static void before(void) {
    memset(&runtime, 0, sizeof runtime);
    memset(workers, 0, sizeof workers);
    finished = events = records = 0;
    begun = cancelled = false;
    stacks_taken[0] = stacks_taken[1] = 0;
    runtime.worker_count = 2;
    runtime.workers = workers;
    for (unsigned i = 0; i < 2; i++) worker_init(i);
    child_does = model_choose(3);
    scoped = model_choose(2);
    late = model_choose(2);
    moment = model_choose(late ? 3 : 5); /* a late result comes after the cancel */
    target = model_choose(child_does == AWAITS ? 3 : 2);
    without_reference = target == 0 && model_choose(2);
    weft__world_set_worker(&workers[0]);
    future = weft_future_new();
    bool child_first = model_choose(2);
    tasks = child_first ? 2 + model_choose(2) : 2;
    if (child_first) child = weft_spawn(run_child, NULL);
    if (tasks == 3) weft_go(run_sibling, NULL);
    parent = weft_spawn(run_parent, NULL);
    if (!child_first) child = weft_spawn(run_child, NULL);
    weft_ref(child);
    weft_ref(parent);
    weft_ref(future);
}

/* ---- the threads ---- */

static struct weft__task *steal(struct weft__worker *worker) {
    struct weft__worker *other = &workers[!worker->index];
    void *half[WEFT__RING_QUEUE_CAPACITY / 2];
    struct weft__task *task = weft__ready_claim(worker, &other->deque, weft__deque_steal);
    if (!task && weft__ring_queue_take_half(&other->ring, half) == 1) task = half[0];
    if (!task && load_relaxed(&other->lifo)) task = exchange_acq_rel(&other->lifo, NULL);
    return task;
}

static void work(struct weft__worker *worker) {
    weft__world_set_worker(worker);
    worker->errno_location = weft__world_errno();
    weft__fiber_adopt_thread(&worker->scheduler);
    for (unsigned round = 0; load_acquire(&finished) < tasks; round++) {
        if (weft__timers_next(&worker->timers) <= LATER && model_choose(4) == 0)
            weft__timers_fire(&worker->timers, LATER, false);
        struct weft__task *task = weft__ready_next(worker);
        if (!task) task = steal(worker);
        if (task) task->runnable.run(worker, &task->runnable);
        else weft__world_relax(round);
    }
}

static void cancel(void) {
    weft_future *all[] = {parent, child, future};
    for (unsigned round = 0; load_relaxed(&events) < moment && load_relaxed(&finished) < tasks; round++)
        weft__world_relax(round);
    if (without_reference) {
        weft_release(parent);
        if (weft__future_try_ref(parent)) {
            cancelled = weft_cancel(parent);
            weft_release(parent);
        }
    } else {
        cancelled = weft_cancel(all[target]);
        weft_release(parent);
    }
    weft_release(child);
    weft_release(future);
}

static void complete(void) {
    if (!late) weft_future_set_result(future, VALUE);
    result = weft_wait_blocking(parent, WEFT_FOREVER);
    if (late) weft_future_set_result(future, VALUE); /* for a child whose parent never began */
    weft_release(parent);
}

static void thread(unsigned index) {
    if (index < 2) work(&workers[index]);
    else if (index == 2) cancel();
    else complete();
}

static void after(void) {
    weft__world_set_worker(&workers[0]);
    if (cancelled && target == 0) model_assert(result == -ECANCELED);
    else if (cancelled) model_assert(result == -ECANCELED || (scoped && result == -ETIMEDOUT));
    else model_assert(result == VALUE || (scoped && result == -ETIMEDOUT));
    weft_release(future);
    if (!begun) weft_release(child);
    for (unsigned i = 0; i < 2; i++) {
        /* stale entries are released */
        model_assert(!weft__ready_claim(&workers[0], &workers[i].deque, weft__deque_pop));
        weft__deque_fini(&workers[i].deque);
        model_assert(weft__ring_queue_count(&workers[i].ring) == 0 && !workers[i].lifo);
        model_assert(workers[i].timers.wheel.count == 0);
    }
    model_assert(records == 0);
}

const struct model model = {.threads = 4, .rounds = 100000, .before = before, .thread = thread, .after = after};
