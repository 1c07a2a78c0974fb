#include "parker.h"

#include "assert.h"

enum weft__claim weft__parker_claim(struct weft__parker *parker, uint32_t token) {
    uint32_t seen = load_relaxed(&parker->word);
    weft__debug_assert(token > WEFT__PARKED);
    do {
        if (seen > WEFT__PARKED) return WEFT__LOST;
    } while (!cas_weak_acq_rel(&parker->word, &seen, token)); /* pairs with park and weft__parker_wait */
    return seen == WEFT__PARKED ? WEFT__WON_PARKED : WEFT__WON_EARLY;
}

void weft__parker_wake(struct weft__parker *parker) {
    if (parker->task) {
        weft__task_wake(parker->task);
        return;
    }
    store_release(&parker->woken, 1);      /* pairs with the load in block; then *parker may be gone: */
    weft__world_wake_all(&parker->woken);  /* a wake-up on an address that nobody waits at does nothing */
}

static void cancel(struct weft__wait *wait) {
    struct weft__parker *self = weft__container_of(wait, struct weft__parker, wait);
    if (weft__parker_claim(self, WEFT__CANCELLED_TOKEN) == WEFT__WON_PARKED) weft__parker_wake(self);
}

int weft__parker_init(struct weft__parker *parker, const char *what, const void *object) {
    struct weft__worker *worker = weft__world_worker();
    parker->task = worker ? worker->current : NULL;
    if (worker && !parker->task) return -EDEADLK;
    if (!worker && weft__blocked_task()) return -EPERM;
    parker->deadline_ns = INT64_MAX;
    atomic_init(&parker->word, WEFT__EMPTY);
    atomic_init(&parker->woken, 0);
    parker->early = false;
    parker->wait.future = NULL;
    parker->wait.cancel = cancel;
    parker->wait.what = what;
    parker->wait.object = object;
    parker->wait.holder = NULL;
    return 0;
}

/* Once this has succeeded, only a winner lets us go; a task's commit may not touch anything any more. */
static bool park(struct weft__parker *self) {
    uint32_t empty = WEFT__EMPTY;
    if (cas_acq_rel(&self->word, &empty, WEFT__PARKED)) return true; /* pairs with weft__parker_claim */
    self->early = true;
    return false;
}

/* ---- a task ---- */

/* If we have won, the party waits for us; so nothing of it but the wake-up may follow weft__timer_fired. */
static void expire(struct weft__timer *timer) {
    struct weft__parker *self = weft__container_of(timer, struct weft__parker, timer);
    bool to_wake = weft__parker_claim(self, WEFT__TIMED_OUT) == WEFT__WON_PARKED;
    weft__timer_fired(timer);
    if (to_wake) weft__parker_wake(self);
}

static bool commit_park(struct weft__task *task, void *arg) {
    struct weft__parker *self = arg;
    if (self->wait.cancel) weft__wait_publish(task, &self->wait);
    if (self->deadline_ns != INT64_MAX) {
        weft__timer_init(&self->timer, &weft__world_worker()->timers, expire);
        weft__timer_arm(&self->timer, self->deadline_ns);
    }
    return park(self);
}

static void suspend(struct weft__parker *self) {
    weft__task_suspend(commit_park, self);
    if (self->wait.cancel) weft__wait_retract(self->task);
    if (self->deadline_ns != INT64_MAX) weft__timer_settle(&self->timer);
}

/* ---- a plain thread ---- */

static void block(struct weft__parker *self) {
    int64_t deadline_ns = self->deadline_ns;
    if (!park(self)) return;
    while (!load_acquire(&self->woken)) { /* pairs with weft__parker_wake */
        weft__world_wait(&self->woken, 0, deadline_ns);
        if (deadline_ns == INT64_MAX || weft__world_now() < deadline_ns) continue;
        if (weft__parker_claim(self, WEFT__TIMED_OUT) == WEFT__WON_PARKED) return;
        deadline_ns = INT64_MAX; /* it is being granted this very moment */
    }
}

/* ---- both ---- */

uint32_t weft__parker_wait(struct weft__parker *parker, weft__lock *guard) {
    if (load_relaxed(&parker->word) != WEFT__EMPTY) parker->early = true;
    else if (parker->task) suspend(parker);
    else block(parker);
    uint32_t token = load_acquire(&parker->word); /* pairs with weft__parker_claim */
    if (parker->early && guard) {
        weft__lock_acquire(guard);
        weft__lock_release(guard);
    }
    if (token == WEFT__CANCELLED_TOKEN) weft__cancel_consume(parker->task); /* unless it was taken back */
    return token;
}

/* ---- lines ---- */

bool weft__line_grant_first(struct weft__line *line, struct weft__line *woken) {
    struct weft__place *first = line->first;
    weft__line_remove(line, first);
    enum weft__claim claim = weft__parker_claim(first->parker, first->token);
    if (claim == WEFT__WON_PARKED) {
        weft__line_append(woken, first);
        first->in_line = false; /* that is no line which it could leave */
    }
    return claim != WEFT__LOST;
}

struct weft__place *weft__line_grant(struct weft__line *line, struct weft__line *woken) {
    for (struct weft__place *first; (first = line->first);)
        if (weft__line_grant_first(line, woken)) return first;
    return NULL;
}

void weft__line_grant_all(struct weft__line *line, struct weft__line *woken) {
    while (line->first) weft__line_grant_first(line, woken);
}

void weft__line_wake(struct weft__line *woken) {
    for (struct weft__place *place = woken->first; place;) {
        struct weft__place *next = place->next; /* the wake-up ends the place's life */
        weft__parker_wake(place->parker);
        place = next;
    }
}

int weft__line_wait(struct weft__line *line, weft__lock *guard, bool (*ready)(void *self), void (*deserted)(void *self),
                    void *self, const char *what) {
    struct weft__parker parker;
    struct weft__place place;
    int error = weft__parker_init(&parker, what, self);
    if (error) return error;
    weft__place_init(&place, &parker, WEFT__GRANTED);
    weft__lock_acquire(guard);
    bool is_ready = ready(self);
    if (!is_ready) weft__line_append(line, &place);
    weft__lock_release(guard);
    if (is_ready || weft__parker_wait(&parker, guard) == WEFT__GRANTED) return 0;
    weft__lock_acquire(guard);
    weft__line_remove(line, &place);
    if (!line->first) deserted(self);
    weft__lock_release(guard);
    return -ECANCELED;
}
