#include "timer_wheel.h"

#include "assert.h"
#include "atomics.h"

#define NODE(node_link) weft__container_of(node_link, struct weft__wheel_node, link)
#define OVERDUE WEFT__WHEEL_LEVELS /* the level of nodes in the overdue list */

/* ---- bitmaps ---- */

static bool holds(const struct weft__wheel_bitmap *map, unsigned slot) {
    return map->bits[slot / 64] >> slot % 64 & 1;
}

static void set(struct weft__wheel_bitmap *map, unsigned slot) {
    map->bits[slot / 64] |= UINT64_C(1) << slot % 64;
    map->words |= UINT64_C(1) << slot / 64;
}

static void clear(struct weft__wheel_bitmap *map, unsigned slot) {
    map->bits[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    if (map->bits[slot / 64] == 0) map->words &= ~(UINT64_C(1) << slot / 64);
}

/* Of one that is not empty. */
static unsigned first(const struct weft__wheel_bitmap *map) {
    unsigned word = (unsigned)__builtin_ctzll(map->words);
    return word * 64 + (unsigned)__builtin_ctzll(map->bits[word]);
}

/* ---- the wheel ---- */

void weft__wheel_init(struct weft__timer_wheel *wheel, int64_t now_ns) {
    wheel->tick = (uint64_t)now_ns >> WEFT__WHEEL_TICK_SHIFT;
    wheel->sequence = wheel->count = 0;
    for (unsigned level = 0; level < WEFT__WHEEL_LEVELS; level++)
        wheel->occupied[level] = (struct weft__wheel_bitmap){0};
    weft__list_init(&wheel->overdue);
    weft__list_init(&wheel->moving);
}

/* The first tick at which the node is due: rounded up, so never early. */
static uint64_t tick_of(const struct weft__wheel_node *node) {
    if (node->deadline_ns <= 0) return 0;
    uint64_t round_up = (UINT64_C(1) << WEFT__WHEEL_TICK_SHIFT) - 1;
    return ((uint64_t)node->deadline_ns + round_up) >> WEFT__WHEEL_TICK_SHIFT;
}

/* Adds the node at the end of a list, or at its beginning. */
static void add(struct weft__list *list, struct weft__wheel_node *node, bool at_end) {
    struct weft__list *neighbour = at_end ? list->previous : list->next;
    const struct weft__wheel_node *known = neighbour == list ? NULL : NODE(neighbour);
    node->ahead[0] = at_end ? neighbour->previous : neighbour->next;
    for (unsigned i = 1; i < WEFT__WHEEL_AHEAD - 1; i++) node->ahead[i] = known ? known->ahead[i - 1] : NULL;
    weft__list_append(at_end ? list : list->next, &node->link);
}

/* Takes the node out that stands at the end, or at the beginning, of a list that is not empty. */
static struct weft__wheel_node *take(struct weft__list *list, bool at_end) {
    struct weft__wheel_node *node = NODE(at_end ? list->previous : list->next);
    __builtin_prefetch(node->ahead[WEFT__WHEEL_AHEAD - 2], 1);
    weft__list_remove(&node->link);
    return node;
}

static void place_overdue(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    node->level = OVERDUE;
    add(&wheel->overdue, node, true);
}

/* Puts the node where its distance from now belongs: the level of the highest bit in which they differ. */
static void place(struct weft__timer_wheel *wheel, struct weft__wheel_node *node, bool at_end) {
    uint64_t tick = tick_of(node);
    if (tick <= wheel->tick) {
        place_overdue(wheel, node);
        return;
    }
    unsigned highest_bit = 63 - (unsigned)__builtin_clzll((tick ^ wheel->tick) | (WEFT__WHEEL_SLOTS - 1));
    node->level = (uint16_t)(highest_bit / WEFT__WHEEL_SLOT_BITS);
    node->slot = (uint16_t)(tick >> (WEFT__WHEEL_SLOT_BITS * node->level) & (WEFT__WHEEL_SLOTS - 1));
    struct weft__list *slot = &wheel->slots[node->level][node->slot];
    if (!holds(&wheel->occupied[node->level], node->slot)) {
        weft__list_init(slot);
        set(&wheel->occupied[node->level], node->slot);
    }
    add(slot, node, at_end);
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
    place(wheel, node, true);
}

void weft__wheel_remove(struct weft__timer_wheel *wheel, struct weft__wheel_node *node) {
    weft__assert(wheel->count > 0);
    wheel->count--;
    weft__list_remove(&node->link);
    if (node->level != OVERDUE && weft__list_empty(&wheel->slots[node->level][node->slot])) /* if it moves, in vain */
        clear(&wheel->occupied[node->level], node->slot);
}

/* The next occupied slot: its level and slot, and the tick at which it begins. A lower level's slots all
 * lie before the next slot of a higher one, so the first level that has any decides. */
static bool next_slot(const struct weft__timer_wheel *wheel, unsigned *level, unsigned *slot, uint64_t *begins) {
    for (*level = 0; *level < WEFT__WHEEL_LEVELS; (*level)++) {
        if (wheel->occupied[*level].words == 0) continue;
        unsigned shift = WEFT__WHEEL_SLOT_BITS * *level;
        uint64_t window = ~((UINT64_C(1) << (shift + WEFT__WHEEL_SLOT_BITS)) - 1);
        *slot = first(&wheel->occupied[*level]);
        *begins = (wheel->tick & window) | (uint64_t)*slot << shift;
        return true;
    }
    return false;
}

/* Takes the next slot out if it has begun by the tick `now`; one of level 0 is due. */
static bool enter_slot(struct weft__timer_wheel *wheel, uint64_t now) {
    unsigned level, slot;
    uint64_t begins;
    if (!next_slot(wheel, &level, &slot, &begins) || begins > now) return false;
    weft__assert(begins > wheel->tick);
    weft__list_splice(level == 0 ? &wheel->overdue : &wheel->moving, &wheel->slots[level][slot]);
    clear(&wheel->occupied[level], slot);
    wheel->tick = begins;
    return true;
}

void weft__wheel_expire(struct weft__timer_wheel *wheel, int64_t now_ns, size_t most, struct weft__list *due) {
    uint64_t now = (uint64_t)now_ns >> WEFT__WHEEL_TICK_SHIFT;
    size_t moves = most < SIZE_MAX / 4 ? 4 * most : SIZE_MAX;
    for (;;) {
        for (; !weft__list_empty(&wheel->overdue); most--) {
            if (most == 0) return;
            weft__list_append(due, &take(&wheel->overdue, false)->link);
            wheel->count--;
        }
        if (weft__list_empty(&wheel->moving) && !enter_slot(wheel, now)) break;
        if (moves == 0) return;
        for (; moves > 0 && !weft__list_empty(&wheel->moving); moves--)
            place(wheel, take(&wheel->moving, true), false);
    }
    if (now > wheel->tick) wheel->tick = now;
}

int64_t weft__wheel_next(const struct weft__timer_wheel *wheel) {
    unsigned level, slot;
    uint64_t begins;
    if (!weft__list_empty(&wheel->overdue) || !weft__list_empty(&wheel->moving)) return 0;
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
