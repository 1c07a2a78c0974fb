#include "timer_wheel.h"

#include <stddef.h>

#include "assert.h"
#include "atomics.h"

#define NODE(node_link) weft__container_of(node_link, struct weft__wheel_node, link)
#define OVERDUE WEFT__WHEEL_LEVELS /* the level of nodes in the overdue list */

void weft__wheel_init(struct weft__timer_wheel *wheel, int64_t now_ns) {
    *wheel = (struct weft__timer_wheel){.tick = (uint64_t)now_ns >> WEFT__WHEEL_TICK_SHIFT};
    weft__list_init(&wheel->overdue);
    for (int level = 0; level < WEFT__WHEEL_LEVELS; level++)
        for (int slot = 0; slot < WEFT__WHEEL_SLOTS; slot++) weft__list_init(&wheel->slots[level][slot]);
}

/* The first tick at which the node is due: rounded up, so never early. */
static uint64_t tick_of(const struct weft__wheel_node *node) {
    if (node->deadline_ns <= 0) return 0;
    uint64_t round_up = (UINT64_C(1) << WEFT__WHEEL_TICK_SHIFT) - 1;
    return ((uint64_t)node->deadline_ns + round_up) >> WEFT__WHEEL_TICK_SHIFT;
}

static void place_overdue(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    node->level = OVERDUE;
    weft__list_append(&wheel->overdue, &node->link);
}

/* Puts the node where its distance from now belongs: the level of the highest bit in which they differ. */
static void place(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    uint64_t tick = tick_of(node);
    if (tick <= wheel->tick) {
        place_overdue(wheel, node);
        return;
    }
    int highest_bit = 63 - __builtin_clzll((tick ^ wheel->tick) | (WEFT__WHEEL_SLOTS - 1));
    node->level = (uint8_t)(highest_bit / 6);
    node->slot = (uint8_t)(tick >> (6 * node->level) & (WEFT__WHEEL_SLOTS - 1));
    weft__list_append(&wheel->slots[node->level][node->slot], &node->link);
    wheel->occupied[node->level] |= UINT64_C(1) << node->slot;
}

void weft__wheel_insert_due(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    node->sequence = wheel->sequence++;
    wheel->count++;
    place_overdue(wheel, node);
}

void weft__wheel_put_back(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    wheel->count++;
    place_overdue(wheel, node);
}

void weft__wheel_insert(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    node->sequence = wheel->sequence++;
    wheel->count++;
    place(wheel, node);
}

void weft__wheel_remove(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    weft__assert(wheel->count > 0);
    wheel->count--;
    weft__list_remove(&node->link);
    if (node->level != OVERDUE && weft__list_empty(&wheel->slots[node->level][node->slot]))
        wheel->occupied[node->level] &= ~(UINT64_C(1) << node->slot);
}

/* The next occupied slot: its level and slot, and the tick at which it begins. A lower level's slots all
 * lie before the next slot of a higher one, so the first level that has any decides. */
static bool next_slot(const struct weft__timer_wheel *wheel, int *level, int *slot, uint64_t *begins) {
    for (*level = 0; *level < WEFT__WHEEL_LEVELS; (*level)++) {
        uint64_t occupied = wheel->occupied[*level];
        if (!occupied) continue;
        *slot = __builtin_ctzll(occupied);
        int shift = 6 * *level;
        uint64_t window = shift + 6 < 64 ? ~((UINT64_C(1) << (shift + 6)) - 1) : 0;
        *begins = (wheel->tick & window) | (uint64_t)*slot << shift;
        return true;
    }
    return false;
}

void weft__wheel_expire(struct weft__timer_wheel *wheel, int64_t now_ns, struct weft__list *due) {
    uint64_t now = (uint64_t)now_ns >> WEFT__WHEEL_TICK_SHIFT;
    int level, slot;
    uint64_t begins;
    while (next_slot(wheel, &level, &slot, &begins) && begins <= now) {
        weft__assert(begins > wheel->tick);
        struct weft__list nodes;
        weft__list_init(&nodes);
        weft__list_splice(&nodes, &wheel->slots[level][slot]);
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        wheel->tick = begins;
        for (struct weft__list *link; (link = weft__list_pop(&nodes));) place(wheel, NODE(link));
    }
    if (now > wheel->tick) wheel->tick = now;
    for (struct weft__list *link = wheel->overdue.next; link != &wheel->overdue; link = link->next)
        wheel->count--;
    weft__list_splice(due, &wheel->overdue);
}

int64_t weft__wheel_next(const struct weft__timer_wheel *wheel) {
    int level, slot;
    uint64_t begins;
    if (!weft__list_empty(&wheel->overdue)) return 0;
    if (!next_slot(wheel, &level, &slot, &begins)) return INT64_MAX;
    return begins > (uint64_t)INT64_MAX >> WEFT__WHEEL_TICK_SHIFT ? INT64_MAX
                                                                   : (int64_t)(begins << WEFT__WHEEL_TICK_SHIFT);
}

static bool before(const struct weft__wheel_node *a, const struct weft__wheel_node *b) {
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->sequence < b->sequence;
}

/* Merge sort: the batch may be as long as there are timers. */
void weft__wheel_sort(struct weft__list *due) {
    if (weft__list_empty(due) || due->next->next == due) return;
    struct weft__list halves[2];
    weft__list_init(&halves[0]);
    weft__list_init(&halves[1]);
    for (unsigned i = 0; !weft__list_empty(due); i++) weft__list_append(&halves[i % 2], weft__list_pop(due));
    weft__wheel_sort(&halves[0]);
    weft__wheel_sort(&halves[1]);
    while (!weft__list_empty(&halves[0]) && !weft__list_empty(&halves[1])) {
        bool second = before(NODE(halves[1].next), NODE(halves[0].next));
        weft__list_append(due, weft__list_pop(&halves[second]));
    }
    weft__list_splice(due, &halves[0]);
    weft__list_splice(due, &halves[1]);
}
