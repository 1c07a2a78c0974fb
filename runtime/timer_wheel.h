/* A hierarchical timing wheel: insert and remove in O(1). Varghese and Lauck, "Hashed and Hierarchical Timing Wheels"
 * (SOSP 1987), scheme 6, with the levels by highest differing bit as in Tokio and with a bitmap per level, so that empty
 * time costs nothing.
 *
 * A million timers do not fit the cache: what is dear is to touch one. So levels are wide: what is due within a minute
 * moves down once, with the others of the same 67 ms. A node knows who comes some nodes later when its list is gone
 * through, so that these are on their way into the cache: lists that grow at their end are gone through from the end,
 * and make lists that grow at their beginning. A slot with a million timers is moved bit by bit, so that the worker gets
 * to other things. A slot's list is initialised when its bit is set: only slots in use are ever touched.
 *
 * Not thread-safe: timer.c locks it. A timer never fires early; it fires at most one tick (65.5 us, about
 * the kernel's own timer slack) late, plus the caller's lateness. */
#ifndef WEFT_RUNTIME_TIMER_WHEEL_H
#define WEFT_RUNTIME_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"

#define WEFT__WHEEL_TICK_SHIFT 16 /* a tick is 2^16 ns */
#define WEFT__WHEEL_LEVELS 5      /* 2^50 ticks: more than int64_t nanoseconds hold */
#define WEFT__WHEEL_SLOT_BITS 10
#define WEFT__WHEEL_SLOTS (1 << WEFT__WHEEL_SLOT_BITS)
#define WEFT__WHEEL_AHEAD 4

struct weft__wheel_node {
    struct weft__list link;
    int64_t deadline_ns;
    uint64_t sequence; /* insertion order, for ties */
    uint16_t level, slot;
    struct weft__list *ahead[WEFT__WHEEL_AHEAD - 1]; /* what comes 2, 3, ... nodes later; perhaps gone: for prefetching */
};

/* Which slots of a level hold something. */
struct weft__wheel_bitmap {
    uint64_t words; /* which of these are not 0 */
    uint64_t bits[WEFT__WHEEL_SLOTS / 64];
};

struct weft__timer_wheel {
    uint64_t tick;     /* everything up to this tick has expired */
    uint64_t sequence;
    uint64_t count;
    struct weft__wheel_bitmap occupied[WEFT__WHEEL_LEVELS];
    struct weft__list overdue; /* inserted when already due, or come down to that */
    struct weft__list moving;  /* what is still to be moved down of the slot that begins at `tick` */
    struct weft__list slots[WEFT__WHEEL_LEVELS][WEFT__WHEEL_SLOTS];
};

void weft__wheel_init(struct weft__timer_wheel *wheel, int64_t now_ns);

/* Inserts a node whose deadline_ns is set. */
void weft__wheel_insert(struct weft__timer_wheel *wheel, struct weft__wheel_node *node);

/* Inserts a node whose time has come, though its tick may not have. */
void weft__wheel_insert_due(struct weft__timer_wheel *wheel, struct weft__wheel_node *node);

/* Puts back what expire has just taken out: it stays due, behind what was put back before. */
void weft__wheel_put_back(struct weft__timer_wheel *wheel, struct weft__wheel_node *node);

/* Removes a node that is in the wheel. */
void weft__wheel_remove(struct weft__timer_wheel *wheel, struct weft__wheel_node *node);

/* Appends the nodes that are due at `now_ns` to `due`, in order of their ticks, but no more than `most`, and moves no more
 * than four times as many down: if that is not all, weft__wheel_next says 0. */
void weft__wheel_expire(struct weft__timer_wheel *wheel, int64_t now_ns, size_t most, struct weft__list *due);

/* When expire should be called next: at or before the earliest expiry; INT64_MAX if there is none. */
int64_t weft__wheel_next(const struct weft__timer_wheel *wheel);

/* Sorts a list of nodes by (deadline_ns, sequence). */
void weft__wheel_sort(struct weft__list *due);

#endif
