#include "timer.h"

#include "assert.h"

/* What fires in one turn: about as many as a turn runs tasks. When a million is due, what was touched for taking a timer
 * out is still in the cache when it fires, and when the task that it wakes runs. */
#define BATCH 64

void weft__timers_init(struct weft__timers *timers, int64_t now_ns) {
    timers->lock = (weft__lock){0};
    weft__wheel_init(&timers->wheel, now_ns);
    atomic_init(&timers->next_ns, INT64_MAX);
    atomic_init(&timers->fired, 0);
}

static bool arm(struct weft__timer *timer, int64_t deadline_ns,
                void (*insert)(struct weft__timer_wheel *wheel, struct weft__wheel_node *node)) {
    struct weft__timers *timers = timer->timers;
    weft__lock_acquire(&timers->lock);
    bool armed = load_relaxed(&timer->state) != WEFT__TIMER_CANCELLED;
    if (armed) {
        store_relaxed(&timer->state, WEFT__TIMER_ARMED);
        timer->node.deadline_ns = deadline_ns;
        insert(&timers->wheel, &timer->node);
        if (deadline_ns < load_relaxed(&timers->next_ns)) store_relaxed(&timers->next_ns, deadline_ns);
    }
    weft__lock_release(&timers->lock);
    return armed;
}

bool weft__timer_arm(struct weft__timer *timer, int64_t deadline_ns) {
    return arm(timer, deadline_ns, weft__wheel_insert);
}

bool weft__timer_arm_due(struct weft__timer *timer, int64_t deadline_ns) {
    return arm(timer, deadline_ns, weft__wheel_insert_due);
}

enum weft__timer_cancel weft__timer_cancel(struct weft__timer *timer) {
    struct weft__timers *timers = timer->timers;
    enum weft__timer_cancel was = WEFT__CANCEL_LATE;
    weft__lock_acquire(&timers->lock);
    switch ((enum weft__timer_state)load_acquire(&timer->state)) { /* pairs with weft__timer_fired */
    case WEFT__TIMER_INIT:
        was = WEFT__CANCEL_EARLY;
        store_relaxed(&timer->state, WEFT__TIMER_CANCELLED);
        break;
    case WEFT__TIMER_ARMED:
        was = WEFT__CANCEL_DONE;
        weft__wheel_remove(&timers->wheel, &timer->node);
        store_relaxed(&timer->state, WEFT__TIMER_CANCELLED);
        break;
    case WEFT__TIMER_FIRING: was = WEFT__CANCEL_FIRING; break;
    case WEFT__TIMER_IDLE:
    case WEFT__TIMER_CANCELLED: break;
    }
    weft__lock_release(&timers->lock);
    return was;
}

void weft__timer_settle(struct weft__timer *timer) {
    enum weft__timer_cancel was = weft__timer_cancel(timer);
    for (unsigned round = 0; was == WEFT__CANCEL_FIRING; round++) {
        weft__world_relax(round);
        was = weft__timer_cancel(timer);
    }
}

static struct weft__timer *timer_of(struct weft__list *link) {
    return weft__container_of(link, struct weft__timer, node.link);
}

/* Makes of what is due, or of what the watchman may fire of it, a list of its own. */
static void take_due(struct weft__timers *timers, int64_t now_ns, size_t most, bool to_rescue, struct weft__list *due) {
    struct weft__list expired;
    weft__list_init(&expired);
    weft__list_init(due);
    weft__lock_acquire(&timers->lock);
    weft__wheel_expire(&timers->wheel, now_ns, most, &expired);
    for (struct weft__list *link; (link = weft__list_pop(&expired));) {
        struct weft__timer *timer = timer_of(link);
        if (to_rescue && timer->own_worker) {
            weft__wheel_put_back(&timers->wheel, &timer->node);
            continue;
        }
        store_relaxed(&timer->state, WEFT__TIMER_FIRING);
        weft__list_append(due, link);
        counter_add(&timers->fired, 1);
    }
    store_relaxed(&timers->next_ns, weft__wheel_next(&timers->wheel));
    weft__lock_release(&timers->lock);
}

/* The list is ours: whoever finds FIRING keeps away from it. */
static void fire_all(struct weft__list *due) {
    for (struct weft__list *link; (link = weft__list_pop(due));) {
        struct weft__timer *timer = timer_of(link);
        timer->fire(timer); /* may free the timer */
    }
}

void weft__timers_fire(struct weft__timers *timers, int64_t now_ns, bool strict) {
    struct weft__list due;
    take_due(timers, now_ns, strict ? SIZE_MAX : BATCH, false, &due);
    if (strict) weft__wheel_sort(&due);
    fire_all(&due);
}

void weft__timers_rescue(struct weft__timers *timers, int64_t now_ns) {
    struct weft__list due;
    take_due(timers, now_ns, SIZE_MAX, true, &due);
    fire_all(&due);
}
