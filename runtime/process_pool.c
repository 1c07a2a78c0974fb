/* Process pools: seats, the queue, and the watcher. Who speaks with whom stands in process_slot.h, the life of a
 * job in process_job.c.
 *
 * A job is held by exactly one party: its submitter; the queue; a seat; or, between seat and completion, the
 * watcher. Whoever takes it from queue or seat, under the pool's lock, sees to it that it goes on or is finished,
 * without the lock: what waits for a future is served by whoever completes it, and may cancel other jobs of the
 * same pool.
 *
 * A job that finds an idle worker is written to its slot by the submitting thread: the worker is all that has to
 * be woken. The way back goes through the watcher, a thread of the pool's: it waits for the bells of the workers,
 * for the fork server's messages about deaths, and for the jobs' deadlines; and gives the seat its next job before
 * it completes the last one. To let loops wait for the bells themselves was rejected: a stuck one would hold up
 * the jobs of all others.
 *
 * Killing: a seat becomes `doomed`, and a message goes to the fork server. What the job comes to is decided when
 * the worker's death is reported: if it was done after all, it has its result. A doomed seat gets no job: so a
 * kill never hits another one.
 *
 * A seat whose worker dies gets another one at once; but after BARREN_MOST lives in a row without a job, or if the
 * server cannot fork, it stays empty until the next submission. If all seats are empty, what waits is failed. */
#include "process_pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "worker.h"
#include "world_process.h"

#define QUEUE_LENGTH 1024
#define CAP_BYTES ((size_t)64 << 20)
#define CAP_MOST_BYTES ((size_t)16 << 30)
#define WORKERS_MOST 1024

/* ---- submitting and cancelling ---- */

int weft__pool_take(weft_process_pool *pool, struct weft__job *job, bool permit) {
    struct weft__seat *seat = NULL;
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    if (permit) pool->granted--;
    int error = load_relaxed(&pool->error);
    if (!error && pool->stats.workers < pool->seat_count) weft__seats_fill(pool);
    if (!error && pool->stats.workers == 0) error = -EOWNERDEAD; /* and no more can be had */
    if (!error && pool->idle) {
        seat = pool->idle;
        pool->idle = seat->next_idle;
        weft__seat_give(pool, seat, job);
    } else if (!error && (permit || (weft__waiting_has_room(pool) && !pool->room.first))) {
        weft__waiting_add(pool, job, false);
    } else if (!error) {
        error = -EAGAIN;
    }
    if (!error) pool->stats.submitted++;
    weft__waiting_grant_room(pool, &woken); /* the permit may not have been needed */
    weft__lock_release(&pool->lock);
    if (seat) weft__seat_wake(seat);
    weft__line_wake(&woken);
    return error;
}

static bool take_permit(void *arg) {
    weft_process_pool *pool = arg;
    if (!load_relaxed(&pool->error) && (pool->room.first || !weft__waiting_has_room(pool))) return false;
    pool->granted++;
    return true;
}

static void deserted(void *arg) { (void)arg; }

int weft__pool_await_room(weft_process_pool *pool) {
    weft__charge();
    return weft__line_wait(&pool->room, &pool->lock, take_permit, deserted, pool, "room in a process pool");
}

void weft__pool_return_permit(weft_process_pool *pool) {
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    pool->granted--;
    weft__waiting_grant_room(pool, &woken);
    weft__lock_release(&pool->lock);
    weft__line_wake(&woken);
}

/* If the job is neither queued nor runs, its end is on the way. */
void weft__pool_cancel(weft_process_pool *pool, struct weft__job *job) {
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    bool queued = job->queued;
    if (queued) {
        weft__waiting_remove(pool, job);
        pool->stats.cancelled++;
        weft__waiting_grant_room(pool, &woken);
        weft__waiting_look_if_drained(pool, &woken);
    } else if (job->seat && weft__seat_is_done(job->seat)) {
        weft__world_ring(job->seat->bell); /* its worker has; but who knows */
    } else if (job->seat) {
        weft__seat_doom(pool, job->seat);
    }
    weft__lock_release(&pool->lock);
    if (queued) weft__job_finish(job, -ECANCELED);
    weft__line_wake(&woken);
}

/* ---- making ---- */

static int seat_init(weft_process_pool *pool, unsigned index) {
    struct weft__seat *seat = &pool->seats[index];
    *seat = (struct weft__seat){.index = index, .slot = &pool->arena.slots[index], .bell = weft__world_bell(),
                                .deadline_ns = INT64_MAX};
    if (seat->bell < 0) return seat->bell;
    seat->window = weft__arena_take(&pool->arena, pool->cap_bytes);
    if (!seat->window) return -ENOMEM;
    return weft__world_poller_add(pool->poller, seat->bell, (uintptr_t)seat, true);
}

static int open_descriptors(weft_process_pool *pool) {
    pool->bell = weft__world_bell();
    if (pool->bell < 0) return pool->bell;
    pool->poller = weft__world_poller();
    if (pool->poller < 0) return pool->poller;
    int error = weft__arena_init(&pool->arena, pool->seat_count);
    if (error) return error;
    for (unsigned i = 0; !error && i < pool->seat_count; i++) error = seat_init(pool, i);
    if (error) return error;
    pool->channel = weft__process_server_open(pool->arena.file, pool->cap_bytes);
    if (pool->channel < 0) return pool->channel;
    error = weft__world_poller_add(pool->poller, pool->bell, WEFT__TAG_BELL, false);
    return error ? error : weft__world_poller_add(pool->poller, pool->channel, WEFT__TAG_CHANNEL, false);
}

/* What only a pool that works needs; the arena lives on with the outputs. */
static void close_descriptors(weft_process_pool *pool) {
    weft__world_close(pool->channel);
    weft__world_close(pool->bell);
    weft__world_close(pool->poller);
    for (unsigned i = 0; pool->seats && i < pool->seat_count; i++) weft__world_close(pool->seats[i].bell);
    pool->channel = pool->bell = pool->poller = -1;
    free(pool->seats);
    pool->seats = NULL;
}

static void explain(void) {
    static _Atomic bool said;
    if (!exchange_acq_rel(&said, true)) /* once is enough */
        fprintf(stderr, "weft: no process pool: the process has other threads, or runs a loop; call "
                        "weft_process_pool_prepare() before that\n");
}

static int start(weft_process_pool *pool) {
    int error = weft__process_server_acquire();
    if (error == -EBUSY) explain();
    if (error) return error;
    pool->seats = calloc(pool->seat_count, sizeof *pool->seats);
    for (unsigned i = 0; pool->seats && i < pool->seat_count; i++) pool->seats[i].bell = -1;
    error = pool->seats ? open_descriptors(pool) : -ENOMEM;
    if (!error) {
        weft__seats_fill(pool);
        error = weft__world_thread_start(&pool->watcher, weft__pool_watch, pool);
    }
    if (!error) return 0;
    close_descriptors(pool); /* the server finds the channel closed */
    weft__process_server_release();
    return error;
}

static int check(weft_process_pool_options *options) {
    if (options->workers > WORKERS_MOST || options->payload_cap_bytes > CAP_MOST_BYTES) return -EINVAL;
    if (options->workers == 0) options->workers = weft__world_cpus();
    if (options->queue_length == 0) options->queue_length = QUEUE_LENGTH;
    if (options->payload_cap_bytes == 0) options->payload_cap_bytes = CAP_BYTES;
    return 0;
}

static weft_process_pool no_memory = {.failure = -ENOMEM, .error = -ENOMEM};

weft_process_pool *weft_process_pool_new(weft_process_pool_options options) {
    int error = check(&options);
    weft_process_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return &no_memory;
    pool->queue_length = options.queue_length;
    pool->cap_bytes = options.payload_cap_bytes;
    pool->seat_count = options.workers;
    pool->generation = weft__world_generation();
    pool->channel = pool->poller = pool->bell = pool->arena.file = -1;
    pool->watched_until_ns = INT64_MAX;
    weft__list_init(&pool->queue);
    atomic_init(&pool->references, 1);
    pool->failure = error ? error : start(pool);
    return pool;
}

/* ---- ending ---- */

void weft__pool_release(weft_process_pool *pool) {
    if (fetch_sub_acq_rel(&pool->references, 1) > 1) return; /* pairs with itself */
    weft__arena_fini(&pool->arena);
    free(pool);
}

static bool is_drained(weft_process_pool *pool) { return pool->stats.running + pool->stats.queued == 0; }
static bool is_gone(weft_process_pool *pool) { return pool->gone; }

/* Waits in a line until `is_so`. `stubborn`: whatever happens. The parker's token. */
static uint32_t wait_until(weft_process_pool *pool, struct weft__line *line, bool (*is_so)(weft_process_pool *pool),
                           int64_t deadline_ns, bool stubborn) {
    struct weft__parker parker;
    struct weft__place place;
    weft__parker_init(&parker, "a process pool", pool); /* a callback has been sent away */
    parker.deadline_ns = deadline_ns;
    if (stubborn) parker.wait.cancel = NULL;
    weft__place_init(&place, &parker, WEFT__GRANTED);
    weft__lock_acquire(&pool->lock);
    bool so = is_so(pool);
    if (!so) weft__line_append(line, &place);
    weft__lock_release(&pool->lock);
    if (so) return WEFT__GRANTED;
    weft__elsewhere_begin(); /* workers that die */
    uint32_t token = weft__parker_wait(&parker, &pool->lock);
    weft__elsewhere_end();
    if (token == WEFT__GRANTED) return token;
    weft__lock_acquire(&pool->lock);
    weft__line_remove(line, &place);
    weft__lock_release(&pool->lock);
    return token;
}

static void join_watcher(weft_process_pool *pool) {
    weft__lock_acquire(&pool->lock);
    bool mine = !pool->joined;
    pool->joined = true;
    weft__lock_release(&pool->lock);
    if (!mine) return;
    weft__world_thread_join(&pool->watcher);
    weft__lock_acquire(&pool->lock); /* another closer may be about to ring */
    close_descriptors(pool);
    weft__lock_release(&pool->lock);
    weft__process_server_release();
}

int weft_process_pool_close(weft_process_pool *pool, int64_t timeout_ns) {
    if (!pool) return -EINVAL;
    struct weft__worker *worker = weft__world_worker();
    if (pool->failure) return 0;
    if (pool->generation != weft__world_generation()) return -EPERM;
    if (worker && !worker->current) return -EDEADLK;
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    store_relaxed(&pool->error, -ESHUTDOWN);
    weft__waiting_grant_room(pool, &woken);
    bool joined = pool->joined;
    weft__lock_release(&pool->lock);
    weft__line_wake(&woken);
    if (joined) return 0;
    uint32_t token = wait_until(pool, &pool->drained, is_drained, weft__deadline(timeout_ns), false);
    if (token == WEFT__CANCELLED_TOKEN) return -ECANCELED;
    weft__lock_acquire(&pool->lock);
    bool late = !is_drained(pool);
    pool->stopping = true;
    weft__world_ring(pool->bell);
    weft__lock_release(&pool->lock);
    wait_until(pool, &pool->ended, is_gone, INT64_MAX, true);
    join_watcher(pool);
    return late ? -ETIMEDOUT : 0;
}

int weft_process_pool_release(weft_process_pool *pool) {
    if (!pool || pool == &no_memory) return 0;
    int result = weft_process_pool_close(pool, 0);
    if (result == -ECANCELED) result = weft_process_pool_close(pool, 0); /* the request was for the wait */
    if (result == -EDEADLK || result == -EPERM) return result;
    weft__pool_release(pool);
    return result;
}

/* ---- questions ---- */

int weft_process_pool_error(const weft_process_pool *pool) {
    weft_process_pool *self = (weft_process_pool *)(uintptr_t)pool;
    if (!self) return -EINVAL;
    if (self->failure) return self->failure;
    return self->generation == weft__world_generation() ? load_relaxed(&self->error) : -EPERM;
}

weft_process_pool_stats weft_process_pool_get_stats(const weft_process_pool *pool) {
    weft_process_pool *self = (weft_process_pool *)(uintptr_t)pool;
    if (!self || self->failure || self->generation != weft__world_generation()) return (weft_process_pool_stats){0};
    weft__lock_acquire(&self->lock);
    weft_process_pool_stats stats = self->stats;
    weft__lock_release(&self->lock);
    return stats;
}
