/* A job of a process pool, as a future.
 *
 *     OPEN --the pool has an outcome--> SETTLED      the future gets it
 *     OPEN --accept_cancel--> CANCELLED              the pool takes the job out of the queue, or kills its
 *                                                    worker; the future ends cancelled when that is done
 *
 * Only the pool completes the future, by weft__job_finish, once for each job that it has taken; weft__job_settle
 * decides the race before. The pool holds one reference meanwhile; the output belongs to the future, and goes with
 * the last reference. */
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "deadlock.h"
#include "process_pool.h"
#include "worker.h"

enum { OPEN, SETTLED, CANCELLED };

static bool leave_open(struct weft__job *self, uint32_t to) {
    uint32_t open = OPEN;
    return cas_acq_rel(&self->state, &open, to); /* pairs with itself: one succeeds */
}

bool weft__job_is_cancelled(struct weft__job *job) {
    return load_acquire(&job->state) == CANCELLED; /* pairs with accept_cancel */
}

bool weft__job_settle(struct weft__job *job) { return leave_open(job, SETTLED); }

static bool accept_cancel(weft_future *future) { return leave_open((struct weft__job *)future, CANCELLED); }

static void pass_cancel(weft_future *future, const struct weft__passage *passage) {
    struct weft__job *self = (struct weft__job *)future;
    (void)passage;
    weft__pool_cancel(self->pool, self);
}

static void give_up_input(struct weft__job *self) {
    free(self->input);
    weft__arena_give(&self->pool->arena, self->input_region);
    self->input = NULL;
    self->input_region = NULL;
}

static void give_up_output(struct weft__job *self) {
    if (self->output_region) weft__arena_give(&self->pool->arena, self->output_region);
    else free(self->output);
    self->output = NULL;
    self->output_region = NULL;
    self->output_bytes = 0;
}

void weft__job_finish(struct weft__job *job, intptr_t result) {
    leave_open(job, SETTLED);
    bool cancelled = weft__job_is_cancelled(job);
    give_up_input(job);
    if (cancelled || weft_is_error(result)) give_up_output(job);
    weft__future_complete(&job->custom.future, cancelled ? -ECANCELED : result, cancelled, 1);
    weft__elsewhere_end();
}

static void fini(weft_future *future) {
    struct weft__job *self = (struct weft__job *)future;
    give_up_input(self); /* of one that the pool has not taken */
    give_up_output(self);
    weft__pool_release(self->pool);
}

static const struct weft__future_ops job_ops = {false, accept_cancel, pass_cancel, fini};

static struct weft__job *job_of(const weft_future *future) {
    struct weft__custom *custom = weft__custom_of((weft_future *)(uintptr_t)future);
    return custom && custom->ops == &job_ops ? (struct weft__job *)custom : NULL;
}

/* ---- submitting ---- */

static weft_future *failed(int error) {
    weft_future *future = weft_future_new();
    if (future->kind != WEFT__KIND_IMMORTAL) weft__future_complete(future, error, false, 0);
    return future;
}

static bool copy_input(struct weft__job *self, const void *input) {
    void *copy = NULL;
    if (self->input_bytes == 0) return true;
    if (self->input_bytes <= WEFT__SLOT_INLINE) {
        copy = self->input = malloc(self->input_bytes);
    } else if ((self->input_region = weft__arena_take(&self->pool->arena, self->input_bytes))) {
        copy = weft__arena_write(&self->pool->arena, self->input_region, self->input_bytes);
    }
    if (copy) memcpy(copy, input, self->input_bytes);
    return copy;
}

static int check(weft_process_pool *pool, const weft_job_descriptor *job, const void *input, size_t input_bytes,
                 weft_job_options options) {
    if (!pool || weft__jobs_index(job) < 0 || (!input && input_bytes) || options.timeout_ns < 0) return -EINVAL;
    int error = weft_process_pool_error(pool);
    if (error) return error;
    return input_bytes > pool->cap_bytes ? -EMSGSIZE : 0;
}

/* A job that is not taken yet, with one reference; NULL without memory. */
static struct weft__job *job_new(weft_process_pool *pool, const weft_job_descriptor *job, const void *input,
                                 size_t input_bytes, weft_job_options options) {
    struct weft__job *self = weft__custom_new(&job_ops);
    if (!self) return NULL;
    memset((char *)self + sizeof self->custom, 0, sizeof *self - sizeof self->custom);
    self->index = (uint32_t)weft__jobs_index(job);
    self->pool = pool;
    self->timeout_ns = options.timeout_ns == WEFT_FOREVER ? 0 : options.timeout_ns;
    self->retries = options.retries;
    self->input_bytes = input_bytes;
    self->status = -1;
    fetch_add_relaxed(&pool->references, 1); /* the caller's handle keeps it alive */
    if (copy_input(self, input)) return self;
    weft_release(&self->custom.future);
    return NULL;
}

static weft_future *submit(weft_process_pool *pool, const weft_job_descriptor *job, const void *input,
                           size_t input_bytes, weft_job_options options, bool permit) {
    int error = check(pool, job, input, input_bytes, options);
    struct weft__job *self = error ? NULL : job_new(pool, job, input, input_bytes, options);
    if (!self) {
        if (permit) weft__pool_return_permit(pool);
        return failed(error ? error : -ENOMEM);
    }
    weft_ref(&self->custom.future); /* the pool's */
    weft__elsewhere_begin();
    error = weft__pool_take(pool, self, permit);
    if (error) weft__job_finish(self, error);
    return &self->custom.future;
}

weft_future *weft_process_pool_submit(weft_process_pool *pool, const weft_job_descriptor *job, const void *input,
                                      size_t input_bytes, weft_job_options options) {
    return submit(pool, job, input, input_bytes, options, false);
}

weft_future *weft_process_pool_submit_wait(weft_process_pool *pool, const weft_job_descriptor *job, const void *input,
                                           size_t input_bytes, weft_job_options options) {
    int error = check(pool, job, input, input_bytes, options);
    if (!error) error = weft__pool_await_room(pool);
    return error ? failed(error) : submit(pool, job, input, input_bytes, options, true);
}

/* ---- what comes out ---- */

const void *weft_job_output(const weft_future *future, size_t *bytes) {
    struct weft__job *self = job_of(future);
    bool any = self && weft__is_done(future) && self->output;
    if (bytes) *bytes = any ? self->output_bytes : 0;
    return any ? self->output : NULL;
}

int weft_job_status(const weft_future *future) {
    struct weft__job *self = job_of(future);
    if (!self) return -EINVAL;
    if (!weft__is_done(future)) return -EINPROGRESS;
    return self->status < 0 ? -ENODATA : self->status;
}

intptr_t weft_process_pool_call(weft_process_pool *pool, const weft_job_descriptor *job, const void *input,
                                size_t input_bytes, void *output, size_t output_bytes) {
    if (!output && output_bytes) return -EINVAL;
    weft_future *future = weft_process_pool_submit_wait(pool, job, input, input_bytes, (weft_job_options){0});
    intptr_t result = weft_await(future);
    size_t got = 0;
    const void *bytes = weft_job_output(future, &got);
    if (!weft_is_error(result) && got > output_bytes) result = -EMSGSIZE;
    if (!weft_is_error(result) && output_bytes) {
        if (got) memcpy(output, bytes, got);
        memset((char *)output + got, 0, output_bytes - got);
    }
    weft_release(future);
    return result;
}
