#include "mutex_watch.h"

#include <stdio.h>

#include "worker.h"
#include "world_mutexes.h"

#define PLACES_MOST 256 /* more are not reported */

/* Whether nobody has asked for the place before. */
static bool is_new(const void *place) {
    static _Atomic(const void *) places[PLACES_MOST];
    for (unsigned i = 0; i < PLACES_MOST; i++) {
        const void *seen = NULL;
        if (cas_acq_rel(&places[i], &seen, place)) return true; /* pairs with itself: one succeeds */
        if (seen == place) return false;
    }
    return false;
}

static void report(struct weft__task *task, const struct weft__held *held) {
    char site[256], place[256];
    weft__debug_site_text(task->future.site, site, sizeof site);
    weft__debug_place_text("locked", held->place, place, sizeof place);
    fprintf(stderr, "weft: task '%s'%s gave up its thread while it held the %s %p%s: "
                    "use weft_lock, or unlock it before\n",
            weft_task_name(&task->future), site, held->kind, held->mutex, place);
}

void weft__mutex_watch_look(struct weft__task *task, struct weft__stack *stack) {
    struct weft__held held;
    while (weft__world_held_mutex(stack->fiber.low, stack->fiber.high, &held))
        if (is_new(held.place)) report(task, &held);
}
