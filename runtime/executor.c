/* Jobs: plain functions for the threads of a pool; and the default executor.
 *
 * A job is one slab record, a plain future with what there is to do. Two parties hold a reference each: the
 * submitter, and the pool until the job has been run or dropped. Cancelling is completing the future: whoever
 * takes the job out of the queue finds it done, and does not run it; one that runs finds that its result comes too
 * late. So nothing but the future's own state word is raced for, nothing leads from a job to a runtime, and a job
 * may outlive that. */
#include <weft/async.h>
#include <weft/executor.h>

#include <stdio.h>

#include "assert.h"
#include "context.h"
#include "thread_pool.h"
#include "worker.h"

#define BLOCKING_THREADS 512 /* as Tokio has it */

struct job {
    struct weft__plain_future plain;
    /* const once submitted */
    struct weft__pool_item item;
    weft_fn *fn;
    void *arg;
    struct weft__context *context; /* a copy of the submitter's, or NULL: empty */
};
_Static_assert(sizeof(struct job) <= WEFT__SLAB_RECORD_BYTES, "a job is one slab record");

/* ---- jobs ---- */

/* fn(arg) with the job's context variables; what they have become is given up. */
static intptr_t call(struct job *self) {
    struct weft__context **current = weft__world_context();
    *current = self->context;
    intptr_t result = self->fn(self->arg);
    weft__context_release(*current);
    *current = NULL;
    return result;
}

/* Gives up the pool's reference. */
static void finish(struct job *self, intptr_t result, bool cancelled) {
    weft_future *future = &self->plain.future;
    if (!weft__future_complete(future, result, cancelled, 1)) weft_release(future); /* cancelled meanwhile */
}

static void drop_job(struct weft__pool_item *item, int error) {
    struct job *self = weft__container_of(item, struct job, item);
    weft__context_release(self->context);
    finish(self, error, error == -ECANCELED);
}

static void run_job(struct weft__pool_thread *thread, struct weft__pool_item *item) {
    struct job *self = weft__container_of(item, struct job, item);
    (void)thread;
    if (weft__is_done(&self->plain.future)) drop_job(item, -ECANCELED);
    else finish(self, call(self), false);
}

/* A job of `loop`, which may be NULL; consumes the context. NULL without memory. */
static struct job *job_new(weft_loop *loop, weft_fn *fn, void *arg, struct weft__context *context, const void *site) {
    static const struct weft__pool_ops ops = {.run = run_job, .drop = drop_job};
    struct job *self = weft__slab_take(weft__worker_slab());
    if (!self) return NULL;
    weft__future_init(&self->plain.future, WEFT__KIND_FUTURE);
    self->plain.future.site = site;
    self->plain.loop = loop;
    self->plain.loop_serial = loop ? load_relaxed(&loop->serial) : 0; /* the handle is the caller's */
    self->item.ops = &ops;
    self->fn = fn;
    self->arg = arg;
    self->context = weft__context_ref(context);
    /* pairs with weft__future_try_ref */
    store_release(&self->plain.future.state, WEFT__PENDING | 2 * WEFT__REFERENCE);
    return self;
}

static int check_function(weft_loop *loop, weft_fn *fn) {
    if (!fn) return -EINVAL;
    return weft_loop_get_debug(loop) && weft_is_coroutine_function((weft_coroutine_function)fn) ? -EINVAL : 0;
}

static weft_future *submit(weft_loop *loop, weft_thread_pool *pool, weft_fn *fn, void *arg,
                           struct weft__context *context, const void *site) {
    struct job *job = job_new(loop, fn, arg, context, site);
    if (!job) return weft__future_failed(-ENOMEM);
    int error = weft__pool_submit(pool, &job->item);
    if (!error) return &job->plain.future;
    weft__context_release(job->context);
    weft__future_ignore(&job->plain.future);
    weft__future_complete(&job->plain.future, error, false, 2);
    return weft__future_failed(error);
}

weft_future *weft_thread_pool_submit(weft_thread_pool *pool, weft_fn *fn, void *arg) {
    weft_loop *loop = weft_get_running_loop();
    int error = pool ? check_function(loop, fn) : -EINVAL;
    return error ? weft__future_failed(error) : submit(loop, pool, fn, arg, NULL, WEFT__SITE());
}

/* ---- the pools of a runtime ---- */

/* Returns *pool, made if need be, with a reference. Under the lock. */
static weft_thread_pool *get(weft_thread_pool **pool, weft_thread_pool_options options, int *error) {
    if (!*pool) *pool = weft_thread_pool_new(options);
    if (*pool) return weft__pool_ref(*pool);
    *error = -ENOMEM;
    return NULL;
}

weft_thread_pool *weft__executor_pool(struct weft__runtime *runtime, int *error) {
    weft_thread_pool *pool = NULL;
    weft__lock_acquire(&runtime->executors.lock);
    if (runtime->executors.executor_shut) *error = -ESHUTDOWN;
    else pool = get(&runtime->executors.executor, (weft_thread_pool_options){.name = "weft executor"}, error);
    weft__lock_release(&runtime->executors.lock);
    return pool;
}

weft_thread_pool *weft__resolver_pool(struct weft__runtime *runtime, int *error) {
    weft__lock_acquire(&runtime->executors.lock);
    weft_thread_pool *pool =
        get(&runtime->executors.resolver, (weft_thread_pool_options){.name = "weft resolver"}, error);
    weft__lock_release(&runtime->executors.lock);
    return pool;
}

weft_thread_pool *weft__blocking_pool(struct weft__runtime *runtime, int *error) {
    weft__lock_acquire(&runtime->executors.lock);
    weft_thread_pool *pool =
        get(&runtime->executors.blocking,
            (weft_thread_pool_options){.name = "weft blocking", .threads = BLOCKING_THREADS}, error);
    weft__lock_release(&runtime->executors.lock);
    return pool;
}

void weft__executor_fini(struct weft__runtime *runtime) {
    weft_thread_pool_release(runtime->executors.executor);
    weft_thread_pool_release(runtime->executors.resolver);
    weft_thread_pool_release(runtime->executors.blocking);
}

void weft__executor_stats(struct weft__runtime *runtime, unsigned *threads, uint64_t *queued) {
    weft__lock_acquire(&runtime->executors.lock);
    weft_thread_pool *pools[] = {runtime->executors.executor, runtime->executors.resolver, runtime->executors.blocking};
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        weft_thread_pool_stats stats;
        if (weft_thread_pool_get_stats(pools[i], &stats)) continue; /* not made yet */
        *threads += stats.threads;
        *queued += stats.queued;
    }
    weft__lock_release(&runtime->executors.lock);
}

/* ---- the default executor ---- */

/* The runtime of `loop`, or with NULL of the running loop, kept alive until leave_runtime. NULL and *error. */
static struct weft__runtime *enter_runtime(weft_loop **loop, bool *inside, int *error) {
    struct weft__worker *self = weft__world_worker();
    if (!*loop) *loop = weft_get_running_loop();
    if (!*loop) {
        *error = -EPERM;
        return NULL;
    }
    *inside = self && (*loop)->index < self->runtime->worker_count &&
              self->runtime->workers[(*loop)->index].loop == *loop;
    if (*inside) return self->runtime;
    *error = weft__gate_enter(*loop);
    return *error ? NULL : (*loop)->worker->runtime;
}

static void leave_runtime(weft_loop *loop, bool inside) {
    if (!inside) weft__gate_leave(loop);
}

static weft_future *run_in_default(weft_loop *loop, weft_fn *fn, void *arg, struct weft__context *context,
                                   const void *site) {
    bool inside;
    int error = 0;
    struct weft__runtime *runtime = enter_runtime(&loop, &inside, &error);
    if (!runtime) return weft__future_failed(error);
    weft_thread_pool *pool = weft__executor_pool(runtime, &error);
    leave_runtime(loop, inside);
    if (!error) error = check_function(loop, fn);
    weft_future *future = error ? weft__future_failed(error) : submit(loop, pool, fn, arg, context, site);
    weft__pool_unref(pool);
    return future;
}

weft_future *weft_run_in_executor(weft_loop *loop, weft_thread_pool *pool, weft_fn *fn, void *arg) {
    if (!pool) return run_in_default(loop, fn, arg, NULL, WEFT__SITE());
    if (!loop) loop = weft_get_running_loop();
    int error = !loop ? -EPERM : weft_loop_is_closed(loop) ? -ESHUTDOWN : check_function(loop, fn);
    return error ? weft__future_failed(error) : submit(loop, pool, fn, arg, NULL, WEFT__SITE());
}

weft_future *weft_to_thread(weft_fn *fn, void *arg) {
    if (!weft_get_running_loop()) return weft__future_failed(-EPERM);
    weft_future *future = run_in_default(NULL, fn, arg, *weft__context_current(), WEFT__SITE());
    if (future->kind == WEFT__KIND_FUTURE) future->temporary = true; /* read by whoever the caller gives it to */
    return future;
}

int weft_set_default_executor(weft_loop *loop, weft_thread_pool *pool) {
    bool inside;
    int error = 0;
    if (!pool) return -EINVAL;
    struct weft__runtime *runtime = enter_runtime(&loop, &inside, &error);
    if (!runtime) return error;
    weft__pool_ref(pool);
    weft__lock_acquire(&runtime->executors.lock);
    weft_thread_pool *former = pool;
    if (runtime->executors.executor_shut) {
        error = -ESHUTDOWN;
    } else {
        former = runtime->executors.executor;
        runtime->executors.executor = pool;
    }
    weft__lock_release(&runtime->executors.lock);
    leave_runtime(loop, inside);
    weft__pool_unref(former); /* the last of its threads frees it */
    return error;
}

/* From here on there is no default executor, unless the caller cannot wait for its end. Returns what there was,
 * with a reference, or NULL. */
static weft_thread_pool *retire_executor(struct weft__runtime *runtime, int *error) {
    weft__lock_acquire(&runtime->executors.lock);
    weft_thread_pool *pool = runtime->executors.executor;
    *error = pool ? weft__pool_may_close(pool) : 0;
    if (!*error) runtime->executors.executor_shut = true;
    if (!*error && pool) weft__pool_ref(pool);
    weft__lock_release(&runtime->executors.lock);
    return *error ? NULL : pool;
}

static int close_executor(weft_thread_pool *pool, int64_t timeout_ns) {
    if (!pool) return 0;
    int error = weft_thread_pool_close(pool, timeout_ns);
    if (error == -ETIMEDOUT)
        fprintf(stderr, "weft: jobs of the default executor still run after %.3g s\n", (double)timeout_ns / 1e9);
    weft__pool_unref(pool);
    return error;
}

int weft_shutdown_default_executor(weft_loop *loop, int64_t timeout_ns) {
    bool inside;
    int error = 0;
    struct weft__runtime *runtime = enter_runtime(&loop, &inside, &error);
    if (!runtime) return error;
    weft_thread_pool *pool = retire_executor(runtime, &error);
    leave_runtime(loop, inside);
    return error ? error : close_executor(pool, timeout_ns);
}

bool weft__executor_any(struct weft__runtime *runtime) {
    if (runtime->executors.wait_ns <= 0) return false;
    weft__lock_acquire(&runtime->executors.lock);
    bool any = runtime->executors.executor && !runtime->executors.executor_shut;
    weft__lock_release(&runtime->executors.lock);
    return any;
}

void weft__executor_finish(struct weft__runtime *runtime) {
    int error;
    if (weft__executor_any(runtime)) close_executor(retire_executor(runtime, &error), runtime->executors.wait_ns);
}
