#include "inbox.h"

#include <stddef.h>

#define AHEAD 8 /* messages that are on their way into the cache */

static struct weft__item draining; /* the bottom of an overflow that the owner has looked at */

void weft__inbox_init(struct weft__inbox *inbox) {
    atomic_init(&inbox->tail, 0);
    atomic_init(&inbox->head, 0);
    atomic_init(&inbox->overflow, NULL);
    for (unsigned i = 0; i < sizeof inbox->taken / sizeof inbox->taken[0]; i++) inbox->taken[i] = 0;
    for (unsigned i = 0; i < WEFT__INBOX_SLOTS; i++) atomic_init(&inbox->slots[i], NULL);
}

static _Atomic(struct weft__item *) *slot(struct weft__inbox *inbox, uint32_t index) {
    return &inbox->slots[index % WEFT__INBOX_SLOTS];
}

/* ---- post ---- */

static void post_to_overflow(struct weft__inbox *inbox, struct weft__item *message) {
    struct weft__item *newest = load_relaxed(&inbox->overflow);
    do message->next = newest;
    while (!cas_weak_acq_rel(&inbox->overflow, &newest, message)); /* pairs with T1 */
}

/* P1 and P2. The acquire pairs with the release of head in take_slots: the slot was emptied before. */
static bool reserve(struct weft__inbox *inbox, uint32_t *index) {
    uint32_t tail = load_relaxed(&inbox->tail);
    do {
        if (load_relaxed(&inbox->overflow)) return false; /* after our own push: that, or what came later */
        if (tail - load_acquire(&inbox->head) >= WEFT__INBOX_SLOTS) return false;
    } while (!cas_weak_acq_rel(&inbox->tail, &tail, tail + 1)); /* what the message says; pairs with T2 */
    *index = tail;
    return true;
}

void weft__inbox_post(struct weft__inbox *inbox, struct weft__item *message) {
    uint32_t index;
    if (reserve(inbox, &index)) store_relaxed(slot(inbox, index), message); /* P3 */
    else post_to_overflow(inbox, message);
}

/* ---- take ---- */

static bool is_taken(const struct weft__inbox *inbox, uint32_t index) {
    index %= WEFT__INBOX_SLOTS;
    return inbox->taken[index / 64] >> index % 64 & 1;
}

static void mark_taken(struct weft__inbox *inbox, uint32_t index, bool taken) {
    index %= WEFT__INBOX_SLOTS;
    inbox->taken[index / 64] &= ~(UINT64_C(1) << index % 64);
    inbox->taken[index / 64] |= (uint64_t)taken << index % 64;
}

/* T2 and T3. */
static void take_slots(struct weft__inbox *inbox, struct weft__fifo *to) {
    uint32_t first = load_relaxed(&inbox->head), head = first, tail = load_acquire(&inbox->tail); /* pairs with P2 */
    for (uint32_t i = first; i != tail; i++) {
        __builtin_prefetch(load_relaxed(slot(inbox, i + AHEAD)), 1);
        struct weft__item *message = is_taken(inbox, i) ? NULL : load_relaxed(slot(inbox, i)); /* ordered by tail */
        if (message) {
            store_relaxed(slot(inbox, i), NULL);
            weft__fifo_push(to, message);
        }
        bool passed = i == head && (message || is_taken(inbox, i));
        if (passed) head++;
        if (message || passed) mark_taken(inbox, i, !passed);
    }
    if (head != first) store_release(&inbox->head, head); /* pairs with reserve */
}

static void append_reversed(struct weft__item *newest, struct weft__fifo *to) {
    struct weft__item *oldest = NULL;
    while (newest && newest != &draining) {
        struct weft__item *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct weft__item *next = oldest->next;
        weft__fifo_push(to, oldest);
        oldest = next;
    }
}

void weft__inbox_take_all(struct weft__inbox *inbox, struct weft__fifo *to) {
    struct weft__item *overflowed = load_relaxed(&inbox->overflow);
    if (overflowed) overflowed = exchange_acq_rel(&inbox->overflow, &draining); /* T1; pairs with the pushes */
    take_slots(inbox, to);
    if (!overflowed) return;
    append_reversed(overflowed, to); /* T4 */
    overflowed = &draining;
    cas_acq_rel(&inbox->overflow, &overflowed, NULL); /* T5; if somebody has pushed meanwhile: next time */
}

bool weft__inbox_empty(struct weft__inbox *inbox) {
    if (load_relaxed(&inbox->overflow)) return false;
    uint32_t tail = load_relaxed(&inbox->tail);
    for (uint32_t i = load_relaxed(&inbox->head); i != tail; i++)
        if (load_relaxed(slot(inbox, i))) return false;
    return true;
}
