/* What weft_select needs of a queue: a place in one of its lines, step by step. */
#ifndef WEFT_RUNTIME_QUEUE_H
#define WEFT_RUNTIME_QUEUE_H

#include <weft/queue.h>

#include "parker.h"

struct weft__queue_place {
    struct weft__place place;
    /* const after init */
    weft_queue *queue;
    bool put;
    /* guard, then the waiter's */
    bool deferred;  /* granted, the waiter does the rest itself when it runs */
    int result;
    intptr_t item;
};

/* `item` is for a put. */
void weft__queue_place_init(struct weft__queue_place *place, weft_queue *queue, bool put, intptr_t item,
                            struct weft__parker *parker, uint32_t token);

/* Enters the line; or, if the queue is ready, claims the parker and goes through: then `result` and `item` are
 * final. LOST: the queue is ready, but somebody else has the parker. */
enum weft__entry { WEFT__ENTRY_WAITS, WEFT__ENTRY_DONE, WEFT__ENTRY_LOST };
enum weft__entry weft__queue_enter(struct weft__queue_place *place);

/* What is left to do for a place that was granted; then `result` and `item` are final. */
void weft__queue_finish(struct weft__queue_place *place);

/* Leaves the line; the place was not granted. */
void weft__queue_leave(struct weft__queue_place *place);

#endif
