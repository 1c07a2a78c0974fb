/* Task groups. The group lives on the stack of the task that entered it, its parent; members may run, create
 * further members and end on every worker, so all of it is under one lock.
 *
 *     OPEN --first error, body error or outside cancel--> ABORTING      members are cancelled, none is added
 *     either --exit, no members--> ended
 *
 * A member's record, of the slab, lies in the list until the member has been heard; exit waits until the list
 * is empty, so no listener outlives the group. Exit waits for a future in its own frame: it is completed under
 * the lock, after which hear touches nothing but the lock, and exit takes the lock before it leaves. Members and
 * parent are cancelled under the lock too: that wakes, and passes requests on, but completes no task.
 *
 * The parent's own request (an abort while the body runs) is withdrawn at exit, as a timeout scope's is. */
#include <weft/combine.h>

#include <stdlib.h>

#include "turn.h"
#include "worker.h"

struct member {
    char stable[WEFT__SLAB_STABLE_BYTES]; /* walkers take them for a state word */
    struct weft__listener listener;
    struct group *group;
    struct weft__list link;        /* lock */
    weft_task *task;               /* referenced */
};
_Static_assert(sizeof(struct member) <= WEFT__SLAB_RECORD_BYTES, "a member is one slab record");

struct group {
    uintptr_t entered;             /* cookie(self) between enter and exit */
    /* const after enter */
    struct weft__task *parent;
    uint32_t delivered_before;     /* the parent's cancel requests that were delivered when it entered */
    /* lock */
    weft__lock lock;
    struct weft__list members;
    weft_future *waiter;           /* exit waits for the last member */
    weft_group_errors *errors;     /* NULL: not wanted */
    size_t capacity;               /* of errors->values */
    intptr_t first;                /* error; 0: none */
    uint16_t epoch;                /* of our request to the parent */
    bool requested;                /* there is one */
    bool exiting;
    bool aborting;
};
_Static_assert(sizeof(struct group) <= sizeof(weft_task_group), "the public record is large enough");

/* Tells an entered group from memory that holds anything else. */
static uintptr_t cookie(const struct group *self) { return (uintptr_t)self ^ (uintptr_t)UINT64_C(0x77656674206f7065); }

static struct group *group_of(weft_task_group *group) {
    struct group *self = (struct group *)(void *)group;
    return self && self->entered == cookie(self) ? self : NULL;
}

int weft_task_group_enter(weft_task_group *group) {
    struct weft__worker *worker = weft__world_worker();
    if (!group || group_of(group)) return -EINVAL;
    if (!worker || !worker->current) return -EPERM;
    struct group *self = (struct group *)(void *)group;
    *self = (struct group){.entered = cookie(self), .parent = worker->current};
    self->delivered_before = weft__cancel_delivered(self->parent);
    weft__list_init(&self->members);
    return 0;
}

/* ---- errors ---- */

/* Under the lock, or before there are members. */
static void record(struct group *self, intptr_t error) {
    weft_group_errors *errors = self->errors;
    if (self->first == 0) self->first = error;
    if (!errors) return;
    if (errors->count == self->capacity) {
        size_t capacity = self->capacity ? 2 * self->capacity : 8;
        intptr_t *values = realloc(errors->values, capacity * sizeof *values);
        if (!values) return;
        errors->values = values;
        self->capacity = capacity;
    }
    errors->values[errors->count++] = error;
}

int weft_task_group_errors(weft_task_group *group, weft_group_errors *errors) {
    struct group *self = group_of(group);
    if (!self || !errors) return -EINVAL;
    weft__lock_acquire(&self->lock);
    bool fresh = weft__list_empty(&self->members) && self->first == 0 && !self->errors;
    if (fresh) {
        *errors = (weft_group_errors){0};
        self->errors = errors;
    }
    weft__lock_release(&self->lock);
    return fresh ? 0 : -EINVAL;
}

/* Under the lock. A body that has come to its exit waits for the members: it needs no request. */
static void abort_group(struct group *self) {
    if (self->aborting) return;
    self->aborting = true;
    for (struct weft__list *link = self->members.next; link != &self->members; link = link->next)
        weft_cancel(weft__container_of(link, struct member, link)->task);
    if (!self->exiting) self->requested = weft__cancel_request(self->parent, &self->epoch);
}

/* ---- members ---- */

static void hear(struct weft__listener *listener) {
    struct member *member = weft__container_of(listener, struct member, listener);
    struct group *self = member->group;
    weft_task *task = member->task;
    weft__lock_acquire(&self->lock);
    weft__list_remove(&member->link);
    if (weft_is_error(task->result) && !weft_cancelled(task)) {
        record(self, weft__future_retrieve(task));
        abort_group(self);
    }
    if (self->waiter && weft__list_empty(&self->members)) {
        weft__future_complete(self->waiter, 0, false, 0);
        self->waiter = NULL;
    }
    weft__lock_release(&self->lock); /* from here the group may be gone */
    weft_release(task);
    weft__slab_give(weft__worker_slab(), member);
}

/* Creating the task under the lock makes sure that an abort finds it, or prevents it. */
static int add(struct group *self, struct member *member, weft_future *coroutine) {
    int error = 0;
    weft__listener_init(&member->listener, hear);
    member->group = self;
    member->task = coroutine;
    weft__lock_acquire(&self->lock);
    if (self->aborting) error = -ESHUTDOWN;
    else if (self->exiting && weft__list_empty(&self->members)) error = -EINVAL;
    else if (weft_create_task(coroutine) != coroutine) error = -EINVAL; /* somebody else has driven it */
    if (!error) weft__list_append(&self->members, &member->link);
    weft__lock_release(&self->lock);
    return error;
}

weft_task *weft_task_group_create_task(weft_task_group *group, weft_future *coroutine) {
    struct group *self = group_of(group);
    if (coroutine && coroutine->kind == WEFT__KIND_IMMORTAL) return coroutine;
    if (!weft_iscoroutine(coroutine)) {
        weft__release_temporary(coroutine);
        return weft__future_failed(-EINVAL);
    }
    struct member *member = weft__slab_take(weft__worker_slab());
    int error = !self ? -EINVAL : !weft__world_worker() ? -EPERM : !member ? -ENOMEM : 0;
    if (!error) error = add(self, member, coroutine);
    if (error) {
        if (member) weft__slab_give(weft__worker_slab(), member);
        weft_coroutine_close(coroutine);
        return weft__future_failed(error);
    }
    if (!weft__future_add_waiter(coroutine, &member->listener.waiter)) weft__listener_serve(&member->listener);
    return coroutine;
}

/* ---- exit ---- */

/* Returns whether a cancel request from outside has ended the body, or aborted the group from here. */
static bool wait_for_members(struct group *self, bool cancelled) {
    for (;;) {
        weft_future waiter;
        weft__future_embed(&waiter);
        weft__lock_acquire(&self->lock);
        bool over = weft__list_empty(&self->members);
        self->waiter = over ? NULL : &waiter;
        weft__lock_release(&self->lock);
        if (over) return cancelled;
        intptr_t result = weft__await_until(self->parent, &waiter, INT64_MAX);
        weft__lock_acquire(&self->lock); /* also: hear is no more at our frame */
        self->waiter = NULL;
        if (result == -ECANCELED && !self->aborting) {
            cancelled = true;
            abort_group(self);
        }
        weft__lock_release(&self->lock);
    }
}

/* Withdraws our request; returns whether others were delivered to the parent since it entered. */
static bool withdraw(struct group *self) {
    uint32_t delivered = self->requested ? weft__cancel_withdraw(self->parent, self->epoch)
                                         : weft__cancel_delivered(self->parent);
    return delivered > self->delivered_before;
}

/* A request from outside that was delivered inside gave way to the errors: it shall be delivered again. */
static void request_again(struct group *self) {
    weft_future *parent = &self->parent->future;
    weft_uncancel(parent);
    weft_cancel_with(parent, load_relaxed(&parent->message));
}

intptr_t weft_task_group_exit(weft_task_group *group, intptr_t body_result) {
    struct group *self = group_of(group);
    struct weft__worker *worker = weft__world_worker();
    if (!self || !worker || worker->current != self->parent) return -EINVAL;
    weft__lock_acquire(&self->lock);
    self->exiting = true;
    if (weft_is_error(body_result)) {
        if (body_result != -ECANCELED) record(self, body_result);
        abort_group(self);
    }
    weft__lock_release(&self->lock);
    bool cancelled = wait_for_members(self, body_result == -ECANCELED);
    bool outside = withdraw(self);
    self->entered = 0;
    if (self->first && outside) request_again(self);
    if (self->first) return self->first;
    return cancelled ? -ECANCELED : body_result;
}
