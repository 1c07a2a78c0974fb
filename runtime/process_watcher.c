/* The watcher of a process pool: a thread that hears of the ends of jobs, of deaths and of deadlines. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "process_pool.h"
#include "worker.h"
#include "world_process.h"

#define BARREN_MOST 3
#define NOT_BEGUN_MOST 3 /* workers that may die before they look at a job */

/* ---- ends of jobs ---- */

static bool take_output(weft_process_pool *pool, struct weft__seat *seat, struct weft__job *job, bool in_region) {
    if (in_region) {
        job->output = weft__arena_read(&pool->arena, seat->window, job->output_bytes);
        if (!job->output) return false;
        job->output_region = seat->window;
        seat->window = weft__arena_take(&pool->arena, pool->cap_bytes);
    } else {
        job->output = malloc(job->output_bytes);
        if (!job->output) return false;
        memcpy(job->output, seat->slot->output, job->output_bytes);
    }
    return true;
}

/* Takes what the slot says. False if it is nonsense. Nobody else touches a seat whose job is done; but the worker
 * may have gone mad: everything is read once. */
static bool take_result(weft_process_pool *pool, struct weft__seat *seat, struct weft__job *job, intptr_t *result) {
    const volatile struct weft__slot *slot = seat->slot;
    size_t bytes = slot->output_bytes;
    bool in_region = slot->output_in_region;
    *result = slot->result;
    if (bytes > (in_region ? pool->cap_bytes : WEFT__SLOT_INLINE) || (in_region && !seat->window)) {
        *result = -EBADMSG;
        return false;
    }
    if (bytes == 0 || weft_is_error(*result)) return true;
    job->output_bytes = bytes;
    if (!take_output(pool, seat, job, in_region)) *result = -ENOMEM;
    return true;
}

static void settle(weft_process_pool *pool, struct weft__job *job, intptr_t result, bool own) {
    if (!weft__job_settle(job)) pool->stats.cancelled++;
    else if (own) pool->stats.completed++;
    else if (result == -ETIMEDOUT) pool->stats.timed_out++;
    else if (result == -ESHUTDOWN) pool->stats.abandoned++;
    else pool->stats.crashed++;
}

/* Under the lock. */
static void take_off(weft_process_pool *pool, struct weft__seat *seat) {
    seat->job->seat = NULL;
    seat->job = NULL;
    seat->deadline_ns = INT64_MAX;
    pool->stats.running--;
}

/* The worker's bell rang. */
static void collect(weft_process_pool *pool, struct weft__seat *seat) {
    struct weft__line woken = {0};
    weft__lock_acquire(&pool->lock);
    struct weft__job *job = seat->doomed || !weft__seat_is_done(seat) ? NULL : seat->job;
    weft__lock_release(&pool->lock);
    if (!job) return;
    intptr_t result;
    bool sane = take_result(pool, seat, job, &result);
    weft__lock_acquire(&pool->lock);
    take_off(pool, seat);
    settle(pool, job, result, sane);
    if (!sane) weft__seat_doom(pool, seat);
    bool next = !seat->doomed;
    if (next) weft__seat_give_next(pool, seat, &woken);
    weft__waiting_look_if_drained(pool, &woken);
    weft__lock_release(&pool->lock);
    if (next) weft__seat_wake(seat);
    weft__job_finish(job, result);
    weft__line_wake(&woken);
}

/* What becomes of a job whose worker died before it was done: queued again, or its error. Under the lock. */
static intptr_t bury(weft_process_pool *pool, struct weft__seat *seat, struct weft__job *job) {
    bool begun = load_acquire(&seat->slot->begun) == seat->number; /* pairs with W1 */
    if (weft__job_is_cancelled(job)) return -ECANCELED;
    if (job->verdict) return job->verdict;
    if (pool->channel < 0) return -EOWNERDEAD;
    if (begun && job->retries > 0) {
        job->retries--;
        pool->stats.retried++;
    } else if (begun || ++job->not_begun > NOT_BEGUN_MOST) {
        return -EOWNERDEAD;
    }
    weft__waiting_add(pool, job, true);
    return 0;
}

/* A worker has died, or could not be made. Under the lock. */
static void refill(weft_process_pool *pool, struct weft__seat *seat, bool made, struct weft__line *woken) {
    pool->stats.workers--;
    seat->barren = seat->number != seat->first_number ? 0 : seat->barren + 1;
    seat->alive = false;
    if (pool->stopping || pool->channel < 0 || !made || seat->barren >= BARREN_MOST) return;
    if (!weft__seat_fill(pool, seat)) return;
    pool->stats.restarts++;
    weft__seat_give_next(pool, seat, woken);
}

static void on_death(weft_process_pool *pool, const struct weft__process_message *message) {
    struct weft__line woken = {0};
    struct weft__list failed;
    struct weft__seat *seat = &pool->seats[message->index < pool->seat_count ? message->index : 0];
    if (seat->life != message->life) return;
    weft__list_init(&failed);
    weft__lock_acquire(&pool->lock);
    struct weft__job *job = seat->job;
    seat->doomed = true; /* nobody gives it a job meanwhile */
    weft__seat_leave_idle(pool, seat);
    weft__lock_release(&pool->lock);

    intptr_t result = 0;
    bool done = job && weft__seat_is_done(seat), sane = done && take_result(pool, seat, job, &result);
    weft__lock_acquire(&pool->lock);
    if (job) {
        take_off(pool, seat);
        if (!done) {
            job->status = message->value < 0 ? job->status : message->value;
            result = bury(pool, seat, job);
        }
        if (job->queued) job = NULL;
        else settle(pool, job, result, sane);
    }
    refill(pool, seat, message->value >= 0, &woken);
    if (pool->stats.workers == 0) weft__waiting_take_all(pool, &failed);
    int error = pool->stopping ? -ESHUTDOWN : message->value < 0 ? message->value : -EOWNERDEAD;
    weft__waiting_grant_room(pool, &woken);
    weft__waiting_look_if_drained(pool, &woken);
    weft__lock_release(&pool->lock);

    weft__seat_wake(seat);
    if (job) weft__job_finish(job, result);
    weft__waiting_finish(&failed, error);
    weft__line_wake(&woken);
}

/* The fork server is gone, and with it, by the kernel's hand, the workers. */
static void on_server_death(weft_process_pool *pool) {
    weft__lock_acquire(&pool->lock);
    if (!load_relaxed(&pool->error)) store_relaxed(&pool->error, -EOWNERDEAD);
    weft__world_close(pool->channel);
    pool->channel = -1;
    weft__lock_release(&pool->lock);
    for (unsigned i = 0; i < pool->seat_count; i++) {
        struct weft__process_message death = {.index = i, .life = pool->seats[i].life, .value = SIGKILL};
        if (pool->seats[i].alive) on_death(pool, &death);
    }
}

/* ---- the loop ---- */

/* A job whose slot says that it is done has a result, even if its worker should have lost its bell. */
static void expire(weft_process_pool *pool, struct weft__seat *seat, int64_t now_ns) {
    if (!seat->job || seat->deadline_ns > now_ns || seat->doomed) return;
    seat->deadline_ns = INT64_MAX;
    if (weft__seat_is_done(seat)) {
        weft__world_ring(seat->bell);
        return;
    }
    seat->job->verdict = -ETIMEDOUT;
    weft__seat_doom(pool, seat);
}

/* Kills what is late; returns when the next one will be. */
static int64_t look_at_deadlines(weft_process_pool *pool) {
    int64_t next_ns = INT64_MAX, now_ns = 0;
    weft__lock_acquire(&pool->lock);
    for (unsigned i = 0; i < pool->seat_count; i++) {
        struct weft__seat *seat = &pool->seats[i];
        if (seat->deadline_ns == INT64_MAX) continue;
        if (!now_ns) now_ns = weft__world_now();
        expire(pool, seat, now_ns);
        if (!seat->doomed && seat->deadline_ns < next_ns) next_ns = seat->deadline_ns;
    }
    pool->watched_until_ns = next_ns;
    weft__lock_release(&pool->lock);
    return next_ns;
}

/* Takes one message. 1, 0 (the server is gone or has closed the pool), -EAGAIN. */
static int hear_server(weft_process_pool *pool, bool wait) {
    struct weft__process_message message;
    int fds[WEFT__MESSAGE_FDS], got = pool->channel < 0 ? 0 : -EAGAIN;
    if (pool->channel >= 0) got = weft__world_receive(pool->channel, &message, sizeof message, fds, wait);
    if (got == -EAGAIN) return got;
    if (got == 1 && message.word == WEFT__PROCESS_CLOSED) return 0;
    if (got != 1) on_server_death(pool);
    else on_death(pool, &message);
    return got == 1;
}

/* Ends everything. The closer waits for `gone`, and joins the thread. */
static void stop(weft_process_pool *pool) {
    struct weft__list left;
    struct weft__line woken = {0};
    weft__list_init(&left);
    weft__lock_acquire(&pool->lock);
    weft__waiting_take_all(pool, &left);
    for (unsigned i = 0; i < pool->seat_count; i++)
        if (pool->seats[i].job && !pool->seats[i].job->verdict) pool->seats[i].job->verdict = -ESHUTDOWN;
    weft__pool_tell_server(pool, WEFT__PROCESS_CLOSE, NULL);
    weft__lock_release(&pool->lock);
    weft__waiting_finish(&left, -ESHUTDOWN);
    while (hear_server(pool, true) == 1) continue;
    weft__lock_acquire(&pool->lock);
    pool->gone = true;
    weft__line_grant_all(&pool->ended, &woken);
    weft__lock_release(&pool->lock);
    weft__line_wake(&woken);
}

void weft__pool_watch(void *arg) {
    weft_process_pool *pool = arg;
    for (bool stopping = false; !stopping;) {
        enum { AT_ONCE = 16 };
        uint64_t tags[AT_ONCE];
        unsigned count = weft__world_poll(pool->poller, tags, AT_ONCE, look_at_deadlines(pool));
        for (unsigned i = 0; i < count; i++) {
            if (tags[i] == WEFT__TAG_BELL) weft__world_drain(pool->bell);
            else if (tags[i] == WEFT__TAG_CHANNEL) hear_server(pool, false);
            else collect(pool, (struct weft__seat *)(uintptr_t)tags[i]);
        }
        weft__lock_acquire(&pool->lock);
        stopping = pool->stopping;
        weft__lock_release(&pool->lock);
    }
    stop(pool);
}

