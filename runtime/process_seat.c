/* The seats of a process pool, and the queue before them. All but weft__seat_wake and weft__waiting_finish are
 * called under the pool's lock. The protocols are in process_slot.h and process_pool.c. */
#include <string.h>

#include "assert.h"
#include "process_pool.h"
#include "worker.h"
#include "world_process.h"

/* ---- seats ---- */

int weft__pool_tell_server(weft_process_pool *pool, enum weft__process_word word, const struct weft__seat *seat) {
    struct weft__process_message message = {.word = word};
    if (pool->channel < 0) return -EPIPE;
    if (seat) {
        message.index = seat->index;
        message.life = seat->life;
    }
    return weft__world_send(pool->channel, &message, sizeof message, seat ? &seat->bell : NULL,
                            word == WEFT__PROCESS_FORK);
}

void weft__seat_doom(weft_process_pool *pool, struct weft__seat *seat) {
    if (seat->doomed) return;
    seat->doomed = true;
    /* fails without a server, and then the worker is dead */
    weft__pool_tell_server(pool, WEFT__PROCESS_KILL, seat);
}

bool weft__seat_is_done(const struct weft__seat *seat) {
    return load_acquire(&seat->slot->done) == seat->number; /* pairs with W3 */
}

static void become_idle(weft_process_pool *pool, struct weft__seat *seat) {
    seat->next_idle = pool->idle;
    pool->idle = seat;
}

void weft__seat_leave_idle(weft_process_pool *pool, struct weft__seat *seat) {
    struct weft__seat **link = &pool->idle;
    while (*link && *link != seat) link = &(*link)->next_idle;
    if (*link) *link = seat->next_idle;
}

/* The slot is as if its last job were done. */
bool weft__seat_fill(weft_process_pool *pool, struct weft__seat *seat) {
    seat->life++;
    seat->first_number = seat->number;
    seat->doomed = false;
    store_relaxed(&seat->slot->sleeping, 0);
    store_relaxed(&seat->slot->begun, seat->number);
    store_relaxed(&seat->slot->done, seat->number);
    store_release(&seat->slot->command, seat->number); /* the message carries them to the worker */
    seat->alive = weft__pool_tell_server(pool, WEFT__PROCESS_FORK, seat) == 0;
    pool->stats.workers += seat->alive;
    return seat->alive;
}

static void write_slot(weft_process_pool *pool, struct weft__seat *seat, const struct weft__job *job) {
    struct weft__slot *slot = seat->slot;
    if (!seat->window) seat->window = weft__arena_take(&pool->arena, pool->cap_bytes);
    slot->job = job->index;
    slot->input_bytes = job->input_bytes;
    slot->input_offset = job->input_region ? job->input_region->offset : 0;
    slot->output_offset = seat->window ? seat->window->offset : 0;
    if (job->input) memcpy(slot->input, job->input, job->input_bytes);
}

void weft__seat_give(weft_process_pool *pool, struct weft__seat *seat, struct weft__job *job) {
    weft__debug_assert(seat->alive && !seat->doomed && !seat->job);
    write_slot(pool, seat, job);
    seat->job = job;
    job->seat = seat;
    seat->deadline_ns = job->timeout_ns ? weft__deadline(job->timeout_ns) : INT64_MAX;
    seat->number++;
    pool->stats.running++;
    store_release(&seat->slot->command, seat->number); /* P2 */
    if (seat->deadline_ns < pool->watched_until_ns) weft__world_ring(pool->bell);
}

void weft__seat_wake(struct weft__seat *seat) {
    fence_seq_cst(); /* P3, pairs with W4 */
    if (load_relaxed(&seat->slot->sleeping)) weft__world_shared_wake(&seat->slot->command);
}

/* ---- the queue ---- */

bool weft__waiting_has_room(const weft_process_pool *pool) {
    return pool->stats.queued + pool->granted < pool->queue_length;
}

void weft__waiting_grant_room(weft_process_pool *pool, struct weft__line *woken) {
    while (pool->room.first && (weft__waiting_has_room(pool) || load_relaxed(&pool->error)))
        if (weft__line_grant(&pool->room, woken)) pool->granted++;
}

void weft__waiting_add(weft_process_pool *pool, struct weft__job *job, bool in_front) {
    if (in_front) weft__list_append(pool->queue.next, &job->link);
    else weft__list_append(&pool->queue, &job->link);
    job->queued = true;
    pool->stats.queued++;
}

void weft__waiting_remove(weft_process_pool *pool, struct weft__job *job) {
    weft__list_remove(&job->link);
    job->queued = false;
    pool->stats.queued--;
}

void weft__seat_give_next(weft_process_pool *pool, struct weft__seat *seat, struct weft__line *woken) {
    if (weft__list_empty(&pool->queue)) {
        become_idle(pool, seat);
        return;
    }
    struct weft__job *job = weft__container_of(pool->queue.next, struct weft__job, link);
    weft__waiting_remove(pool, job);
    weft__seat_give(pool, seat, job);
    weft__waiting_grant_room(pool, woken);
}

void weft__waiting_look_if_drained(weft_process_pool *pool, struct weft__line *woken) {
    if (pool->stats.running + pool->stats.queued == 0) weft__line_grant_all(&pool->drained, woken);
}

void weft__waiting_take_all(weft_process_pool *pool, struct weft__list *taken) {
    weft__list_splice(taken, &pool->queue);
    for (struct weft__list *node = taken->next; node != taken; node = node->next)
        weft__container_of(node, struct weft__job, link)->queued = false;
    pool->stats.abandoned += pool->stats.queued;
    pool->stats.queued = 0;
}

void weft__waiting_finish(struct weft__list *taken, int error) {
    for (struct weft__list *node; (node = weft__list_pop(taken));)
        weft__job_finish(weft__container_of(node, struct weft__job, link), error);
}

void weft__seats_fill(weft_process_pool *pool) {
    for (unsigned i = 0; i < pool->seat_count; i++) {
        struct weft__seat *seat = &pool->seats[i];
        if (seat->alive) continue;
        seat->barren = 0;
        if (weft__seat_fill(pool, seat)) become_idle(pool, seat);
    }
}

