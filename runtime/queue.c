/* A queue: a store of items and three lines, under one guard.
 *
 * Who finds the queue ready goes through; else it enters the line of getters or of putters. After each change
 * settle() grants places at the front, as long as there is an item for a getter, or room for a putter:
 *
 *  - at once: the granter takes the item out for the getter, or puts the putter's in. So the order of the
 *    requests is the order of the items, whoever runs first; and the waiter needs the guard no more.
 *  - deferred, if the waiter is on a strict-order loop: the item or the room is only promised to it, and it does
 *    the rest when it runs, one turn of the loop later, as in asyncio: there a queue of one item makes producer
 *    and consumer take turns, and a priority queue gives the best of what was put until then.
 *
 * Invariants, whenever the guard is free:
 *   1. getters wait   =>  every item in the store is promised (items_promised >= count)
 *   2. putters wait   =>  the store and the promised room together are maxsize
 *   3. shut           =>  nobody waits to get or to put
 *   4. unfinished == 0  =>  nobody waits to join
 * A promise to a getter can be broken only by an immediate shutdown; then it finds the store empty. */
#include "queue.h"

#include <limits.h>

#include "assert.h"
#include "heap.h"
#include "ring_buffer.h"

enum kind { FIFO, LIFO, PRIORITY };

struct queue {
    /* const after init */
    int64_t maxsize;              /* <= 0: no limit */
    uint32_t kind;
    /* guard */
    weft__lock guard;
    union {
        struct weft__ring_buffer ring;
        struct weft__heap heap;   /* PRIORITY */
    } store;
    int64_t items_promised;       /* to getters that were granted and have not run */
    int64_t room_promised;        /* to putters that were granted and have not run */
    int64_t unfinished;           /* items put, less those said to be done */
    struct weft__line getters, putters, joiners;
    bool shut;
};
_Static_assert(sizeof(struct queue) <= sizeof(weft_queue), "the public record is large enough");
_Static_assert(offsetof(struct queue, maxsize) == 0 && FIFO == 0, "WEFT_QUEUE_INIT fits");

static struct queue *queue_of(weft_queue *queue) { return (struct queue *)(void *)queue; }

static struct weft__queue_place *place_of(struct weft__place *place) {
    return weft__container_of(place, struct weft__queue_place, place);
}

/* ---- making and ending ---- */

int weft_queue_init(weft_queue *queue, int64_t maxsize) {
    if (!queue) return -EINVAL;
    *queue_of(queue) = (struct queue){.maxsize = maxsize};
    return 0;
}

int weft_lifo_queue_init(weft_queue *queue, int64_t maxsize) {
    int error = weft_queue_init(queue, maxsize);
    if (!error) queue_of(queue)->kind = LIFO;
    return error;
}

int weft_priority_queue_init(weft_queue *queue, int64_t maxsize, weft_compare *compare) {
    int error = compare ? weft_queue_init(queue, maxsize) : -EINVAL;
    if (error) return error;
    queue_of(queue)->kind = PRIORITY;
    queue_of(queue)->store.heap.compare = compare;
    return 0;
}

void weft_queue_fini(weft_queue *queue) {
    if (!queue) return;
    struct queue *self = queue_of(queue);
    weft__debug_assert(!self->getters.first && !self->putters.first && !self->joiners.first);
    if (self->kind == PRIORITY) weft__heap_fini(&self->store.heap);
    else weft__ring_buffer_fini(&self->store.ring);
}

/* ---- the store; under the guard ---- */

static int64_t count(const struct queue *self) {
    return (int64_t)(self->kind == PRIORITY ? self->store.heap.count : self->store.ring.count);
}

static bool has_item(const struct queue *self) { return count(self) > self->items_promised; }

static bool has_room(const struct queue *self) {
    return self->maxsize <= 0 || count(self) + self->room_promised < self->maxsize;
}

static int deposit(struct queue *self, intptr_t item) {
    bool pushed = self->kind == PRIORITY ? weft__heap_push(&self->store.heap, item)
                                         : weft__ring_buffer_push(&self->store.ring, item);
    if (!pushed) return -ENOMEM;
    self->unfinished++;
    return 0;
}

static intptr_t withdraw(struct queue *self) {
    switch (self->kind) {
    case FIFO: return weft__ring_buffer_pop_first(&self->store.ring);
    case LIFO: return weft__ring_buffer_pop_last(&self->store.ring);
    default: return weft__heap_pop(&self->store.heap);
    }
}

/* ---- granting; under the guard ---- */

static void grant_get(struct queue *self, struct weft__queue_place *getter) {
    getter->result = 0;
    if (getter->deferred) self->items_promised++;
    else getter->item = withdraw(self);
}

static void grant_put(struct queue *self, struct weft__queue_place *putter) {
    if (putter->deferred) self->room_promised++;
    else putter->result = deposit(self, putter->item);
}

static void settle(struct queue *self, struct weft__line *woken) {
    struct weft__place *granted;
    for (;;) {
        if (self->getters.first && has_item(self) && (granted = weft__line_grant(&self->getters, woken)))
            grant_get(self, place_of(granted));
        else if (self->putters.first && has_room(self) && (granted = weft__line_grant(&self->putters, woken)))
            grant_put(self, place_of(granted));
        else
            return;
    }
}

/* Puts or gets if that can be done now, else -EAGAIN. */
static int attempt(struct queue *self, bool put, intptr_t *item, struct weft__line *woken) {
    int error = 0;
    if (put) {
        if (self->shut) return -EPIPE;
        if (!has_room(self)) return -EAGAIN;
        error = deposit(self, *item);
    } else {
        if (!has_item(self)) return self->shut ? -EPIPE : -EAGAIN;
        *item = withdraw(self);
    }
    settle(self, woken);
    return error;
}

/* ---- places ---- */

void weft__queue_place_init(struct weft__queue_place *place, weft_queue *queue, bool put, intptr_t item,
                            struct weft__parker *parker, uint32_t token) {
    weft__place_init(&place->place, parker, token);
    place->queue = queue;
    place->put = put;
    place->deferred = parker->task && parker->task->runtime->options.fifo;
    place->result = 0;
    place->item = item;
}

static struct weft__line *line_of(struct queue *self, bool put) { return put ? &self->putters : &self->getters; }

enum weft__entry weft__queue_enter(struct weft__queue_place *place) {
    struct queue *self = queue_of(place->queue);
    struct weft__line woken = {0};
    enum weft__entry entry = WEFT__ENTRY_DONE;
    weft__lock_acquire(&self->guard);
    bool ready = self->shut || (place->put ? has_room(self) : has_item(self));
    if (!ready) {
        entry = WEFT__ENTRY_WAITS;
        weft__line_append(line_of(self, place->put), &place->place);
    } else if (weft__parker_claim(place->place.parker, place->place.token) == WEFT__LOST) {
        entry = WEFT__ENTRY_LOST;
    } else {
        place->deferred = false;
        place->result = attempt(self, place->put, &place->item, &woken);
    }
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return entry;
}

/* What was promised is done, or can be done no more because the queue was shut down meanwhile. */
void weft__queue_finish(struct weft__queue_place *place) {
    if (!place->deferred) return;
    struct queue *self = queue_of(place->queue);
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    if (place->put) {
        self->room_promised--;
        place->result = self->shut ? -EPIPE : deposit(self, place->item);
    } else {
        self->items_promised--;
        if (count(self) > 0) place->item = withdraw(self);
        else place->result = -EPIPE;
    }
    settle(self, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
}

void weft__queue_leave(struct weft__queue_place *place) {
    struct queue *self = queue_of(place->queue);
    weft__lock_acquire(&self->guard);
    weft__line_remove(line_of(self, place->put), &place->place);
    weft__lock_release(&self->guard);
}

/* ---- put and get ---- */

static int transfer_nowait(struct queue *self, bool put, intptr_t *item) {
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    int error = attempt(self, put, item, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return error;
}

static int transfer(weft_queue *queue, bool put, intptr_t *item) {
    struct queue *self = queue_of(queue);
    struct weft__line woken = {0};
    struct weft__parker parker;
    struct weft__queue_place place;
    weft__charge();
    bool may_wait = weft__parker_init(&parker, put ? "room in a queue" : "an item of a queue", self) == 0;
    weft__lock_acquire(&self->guard);
    int error = attempt(self, put, item, &woken);
    bool waits = error == -EAGAIN && may_wait;
    if (waits) {
        weft__queue_place_init(&place, queue, put, *item, &parker, WEFT__GRANTED);
        weft__line_append(line_of(self, put), &place.place);
    }
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    if (!waits) return error == -EAGAIN ? -EDEADLK : error;
    if (weft__parker_wait(&parker, &self->guard) != WEFT__GRANTED) {
        weft__queue_leave(&place);
        return -ECANCELED;
    }
    weft__queue_finish(&place);
    if (place.result == 0) *item = place.item;
    return place.result;
}

int weft_queue_put(weft_queue *queue, intptr_t item) { return queue ? transfer(queue, true, &item) : -EINVAL; }

int weft_queue_get(weft_queue *queue, intptr_t *item) {
    intptr_t got = 0;
    if (!queue || !item) return -EINVAL;
    int error = transfer(queue, false, &got);
    if (!error) *item = got;
    return error;
}

int weft_queue_put_nowait(weft_queue *queue, intptr_t item) {
    return queue ? transfer_nowait(queue_of(queue), true, &item) : -EINVAL;
}

int weft_queue_get_nowait(weft_queue *queue, intptr_t *item) {
    return queue && item ? transfer_nowait(queue_of(queue), false, item) : -EINVAL;
}

/* ---- queries ---- */

int64_t weft_queue_qsize(weft_queue *queue) {
    if (!queue) return -EINVAL;
    struct queue *self = queue_of(queue);
    weft__lock_acquire(&self->guard);
    int64_t size = count(self);
    weft__lock_release(&self->guard);
    return size;
}

bool weft_queue_empty(weft_queue *queue) { return weft_queue_qsize(queue) <= 0; }

bool weft_queue_full(weft_queue *queue) {
    return queue && queue_of(queue)->maxsize > 0 && weft_queue_qsize(queue) >= queue_of(queue)->maxsize;
}

/* ---- join and shutdown ---- */

static void finished(struct queue *self, int64_t items, struct weft__line *woken) {
    self->unfinished -= items;
    if (self->unfinished == 0) weft__line_grant_all(&self->joiners, woken);
}

int weft_queue_task_done(weft_queue *queue) {
    if (!queue) return -EINVAL;
    struct queue *self = queue_of(queue);
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    int error = self->unfinished > 0 ? 0 : -EINVAL;
    if (!error) finished(self, 1, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return error;
}

int weft_queue_join(weft_queue *queue) {
    if (!queue) return -EINVAL;
    struct queue *self = queue_of(queue);
    struct weft__parker parker;
    struct weft__place place;
    weft__charge();
    int error = weft__parker_init(&parker, "the end of a queue's work", self);
    weft__place_init(&place, &parker, WEFT__GRANTED);
    weft__lock_acquire(&self->guard);
    bool waits = self->unfinished > 0 && !error;
    if (waits) weft__line_append(&self->joiners, &place);
    else if (self->unfinished == 0) error = 0;
    weft__lock_release(&self->guard);
    if (!waits || weft__parker_wait(&parker, &self->guard) == WEFT__GRANTED) return error;
    weft__lock_acquire(&self->guard);
    weft__line_remove(&self->joiners, &place);
    weft__lock_release(&self->guard);
    return -ECANCELED;
}

static void turn_away(struct weft__line *line, struct weft__line *woken) {
    for (struct weft__place *granted; (granted = weft__line_grant(line, woken));) {
        place_of(granted)->deferred = false;
        place_of(granted)->result = -EPIPE;
    }
}

static void drop_items(struct queue *self, struct weft__line *woken) {
    int64_t dropped = count(self);
    while (count(self) > 0) withdraw(self);
    finished(self, dropped < self->unfinished ? dropped : self->unfinished, woken);
}

int weft_queue_shutdown(weft_queue *queue, bool immediate) {
    if (!queue) return -EINVAL;
    struct queue *self = queue_of(queue);
    struct weft__line woken = {0};
    weft__lock_acquire(&self->guard);
    self->shut = true;
    if (immediate) drop_items(self, &woken);
    turn_away(&self->getters, &woken);
    turn_away(&self->putters, &woken);
    weft__lock_release(&self->guard);
    weft__line_wake(&woken);
    return 0;
}
