/* Asynchronous generators: a stack whose body runs as a part of the task that asks for its next value.
 *
 * Asking puts the generator's stack in the place of the task's and switches to it; so an await in the body
 * suspends the task as it stands, and it resumes on that stack. Yielding puts the task's own stack back. A
 * task of its own for the body was rejected: current task, cancellation and context are to be the asker's.
 *
 *     NEW --ask--> RUNNING --yield--> SUSPENDED --ask--> RUNNING --the body returns--> FINISHED
 *      |              |
 *      | close, throw | the asker finds no memory for a stack: NEW again
 *      +--> FINISHED
 *
 * Whoever makes it RUNNING, by a CAS, owns every field but the two atomics, until it makes it something else
 * (release). A second one meanwhile gets -EBUSY.
 *
 * References: the owner's, and one of the runtime's list from the first step to the last. A generator that
 * its owner gives up unfinished is closed by a task. If somebody runs it at that moment, its ABANDONED bit
 * hands him the owner's reference, and with it the duty to see to the closing. What cannot be closed at once
 * stays in the list for the end. */
#include <weft/generator.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "worker.h"

enum phase { NEW, SUSPENDED, RUNNING, FINISHED, PHASE = 3, ABANDONED = 4 };

struct weft_generator {
    /* const after init */
    const char *name;
    weft_fn *fn;
    void *arg;
    int failure;                    /* of one that could not be made */
    /* const once begun */
    struct weft__runtime *runtime;
    struct weft__stack *stack;
    /* whoever runs it */
    struct weft__task *asker;
    struct weft__stack *asker_stack;
    intptr_t given;                 /* to the body: sent, or thrown */
    intptr_t taken;                 /* from the body: yielded, or its result */
    bool ended;
    /* the lock of the runtime's list */
    struct weft__list link;
    /* any thread */
    _Atomic uint32_t phase;
    _Atomic uint32_t references;
    _Atomic bool given_up;          /* has no owner any more */
    /* const after init */
    _Alignas(16) char arg_copy[];
};

/* ---- the record ---- */

static weft_generator *failed(int error) {
    static weft_generator invalid = {.failure = -EINVAL}, no_memory = {.failure = -ENOMEM};
    return error == -EINVAL ? &invalid : &no_memory;
}

weft_generator *weft_generator_copy(const char *name, weft_fn *fn, const void *args, size_t args_bytes) {
    if (!fn || (!args && args_bytes)) return failed(-EINVAL);
    if (args_bytes > SIZE_MAX / 2) return failed(-ENOMEM);
    weft_generator *self = malloc(sizeof *self + args_bytes);
    if (!self) return failed(-ENOMEM);
    *self = (weft_generator){.name = name ? name : "generator", .fn = fn, .arg = self->arg_copy};
    weft__list_init(&self->link);
    atomic_init(&self->references, 1);
    if (args_bytes) memcpy(self->arg_copy, args, args_bytes);
    return self;
}

weft_generator *weft_generator_new(weft_fn *fn, void *arg) {
    weft_generator *self = weft_generator_copy(NULL, fn, NULL, 0);
    if (!self->failure) self->arg = arg;
    return self;
}

static void unref(weft_generator *self) {
    if (fetch_sub_acq_rel(&self->references, 1) == 1) free(self); /* pairs with itself */
}

/* ---- the runtime's list ---- */

/* The list, locked. */
static struct weft__list *lock_list(struct weft__runtime *runtime) {
    weft__lock_acquire(&runtime->generators.lock);
    struct weft__list *list = &runtime->generators.started;
    if (!list->next) weft__list_init(list);
    return list;
}

static void unlock_list(struct weft__runtime *runtime) { weft__lock_release(&runtime->generators.lock); }

static void enlist(weft_generator *self) {
    fetch_add_relaxed(&self->references, 1); /* the caller has one */
    weft__list_append(lock_list(self->runtime), &self->link);
    unlock_list(self->runtime);
}

static void delist(weft_generator *self) {
    lock_list(self->runtime);
    weft__list_remove(&self->link);
    unlock_list(self->runtime);
}

/* ---- switching ---- */

/* From the asker, on whatever stack that is, to the body; returns when the body yields or has ended. */
static void enter(weft_generator *self, struct weft__task *task) {
    weft__hosts_publish(task->stack); /* what suspends on the other stack does not see them */
    self->asker = task;
    self->asker_stack = task->stack;
    task->stack = self->stack;
    weft__fiber_switch(&self->asker_stack->fiber, &self->stack->fiber);
}

/* From the body to the asker. */
static void leave(weft_generator *self) {
    self->asker->stack = self->asker_stack;
    weft__fiber_switch(&self->stack->fiber, &self->asker_stack->fiber);
}

/* The body of a generator's stack. Once left, the stack may be another's at any time. */
static void run_and_leave(struct weft__stack *stack) {
    weft_generator *self = stack->task;
    self->taken = self->fn(self->arg);
    weft__blocking_end();
    self->ended = true;
    leave(self);
}

intptr_t weft_yield_value(intptr_t value) {
    struct weft__worker *worker = weft__world_worker();
    struct weft__task *task = worker ? worker->current : NULL;
    if (!task || task->stack->body != run_and_leave) return -EPERM;
    weft_generator *self = task->stack->task;
    if (self->asker != task) return -EPERM; /* a task that the body awaits, run in place */
    int saved_errno = *weft__world_errno();
    self->taken = value;
    leave(self);
    *weft__world_errno() = saved_errno;
    return self->given;
}

/* ---- giving up ---- */

static void close_and_report(weft_generator *self) {
    int error = weft_aclose(self);
    if (!error || error == -ECANCELED) return; /* as asyncio: a cancelled clean-up is not reported */
    if (error == -EBUSY && load_relaxed(&self->given_up)) return; /* its other closer sees to it */
    fprintf(stderr, "weft: an error occurred during closing of asynchronous generator '%s': %s%s\n", self->name,
            weft_strerror(error), error == -EAGAIN ? " (it yielded)" : error == -EBUSY ? " (it is running)" : "");
}

static intptr_t close_abandoned(void *arg) {
    struct weft__task *task = weft__task_of(weft_current_task());
    if (!weft__cancel_pending(task)) close_and_report(arg); /* else it is for the end of the runtime to close */
    unref(arg);
    return 0;
}

/* Makes a task that closes the generator and takes the owner's reference. */
static bool close_in_background(weft_generator *self) {
    struct weft__worker *worker = weft__world_worker();
    if (!worker || worker->runtime != self->runtime || load_relaxed(&self->runtime->stopping)) return false;
    weft_future *coroutine = weft_coroutine(close_abandoned, self);
    struct weft__task *task = weft__task_of(coroutine);
    if (!task) return false;
    task->name = self->name;
    task->must_start = true;
    weft_release(weft_create_task(coroutine));
    return true;
}

/* Disposes of the owner's reference; `phase` is what the generator was in when it became free to use. */
static void abandon(weft_generator *self, enum phase phase) {
    if (phase != SUSPENDED || !close_in_background(self)) unref(self);
}

void weft_generator_release(weft_generator *self) {
    if (!self || self->failure) return;
    store_relaxed(&self->given_up, true);
    uint32_t phase = load_acquire(&self->phase);
    while (phase == RUNNING) /* pairs with let_go: either we dispose of it, or whoever runs it does */
        if (cas_weak_acq_rel(&self->phase, &phase, RUNNING | ABANDONED)) return;
    abandon(self, (enum phase)phase);
}

/* ---- asking ---- */

/* Makes the generator RUNNING, unless it is or is FINISHED; returns what it was. */
static enum phase claim(weft_generator *self) {
    uint32_t phase = load_acquire(&self->phase);
    do
        if ((phase & PHASE) == RUNNING || (phase & PHASE) == FINISHED) break;
    while (!cas_weak_acq_rel(&self->phase, &phase, RUNNING)); /* pairs with let_go */
    return (enum phase)(phase & PHASE);
}

/* RUNNING -> `next`. The generator may be gone afterwards, unless the caller has a reference. */
static void let_go(weft_generator *self, enum phase next) {
    /* pairs with claim and weft_generator_release */
    if (exchange_acq_rel(&self->phase, next) & ABANDONED) abandon(self, next);
}

/* Gives a new generator its stack. */
static int begin(weft_generator *self, struct weft__worker *worker) {
    struct weft__stack_pool *pool = &worker->runtime->pools[worker->runtime->default_class];
    struct weft__stack *stack = weft__stack_take(pool, &worker->stacks);
    if (!stack) return -ENOMEM;
    stack->pool = pool;
    stack->body = run_and_leave;
    stack->task = self;
    stack->hosts = NULL;
    self->stack = stack;
    self->runtime = worker->runtime;
    enlist(self);
    return 0;
}

/* Whether `task` may enter the generator with `given`; 0, or the error that the caller gets. */
static int prepare(weft_generator *self, enum phase was, struct weft__worker *worker, intptr_t given) {
    if (was == SUSPENDED) return self->runtime == worker->runtime ? 0 : -EPERM;
    return given ? -EINVAL : begin(self, worker);
}

/* The body has ended, and its stack has been left. */
static int finish(weft_generator *self) {
    intptr_t result = self->taken;
    struct weft__worker *worker = weft__world_worker(); /* perhaps another one than before */
    weft__stack_give(self->stack->pool, &worker->stacks, self->stack);
    self->stack = NULL;
    delist(self);
    let_go(self, FINISHED);
    unref(self); /* the list's */
    return weft_is_error(result) ? (int)result : 0;
}

static int resume(weft_generator *self, intptr_t given, intptr_t *value) {
    struct weft__worker *worker = weft__world_worker();
    if (!self) return -EINVAL;
    if (self->failure) return self->failure;
    if (!worker || !worker->current) return -EPERM;
    enum phase was = claim(self);
    if (was == RUNNING) return -EBUSY;
    if (was == FINISHED) return 0;
    if (was == NEW && weft_is_error(given)) {
        let_go(self, FINISHED);
        return (int)given;
    }
    int error = prepare(self, was, worker, given);
    if (error) {
        let_go(self, was);
        return error;
    }
    self->given = given;
    enter(self, worker->current);
    if (self->ended) return finish(self);
    if (value) *value = self->taken;
    let_go(self, SUSPENDED);
    weft__budget_charge();
    return 1;
}

int weft_anext(weft_generator *self, intptr_t *value) { return resume(self, 0, value); }

int weft_asend(weft_generator *self, intptr_t sent, intptr_t *value) {
    return weft_is_error(sent) ? -EINVAL : resume(self, sent, value);
}

int weft_athrow(weft_generator *self, int error, intptr_t *value) {
    return weft_is_error(error) ? resume(self, error, value) : -EINVAL;
}

int weft_aclose(weft_generator *self) {
    if (self && self->failure) return 0;
    int result = resume(self, WEFT_GENERATOR_EXIT, NULL);
    if (result == WEFT_GENERATOR_EXIT) return 0;
    return result == 1 ? -EAGAIN : result;
}

/* ---- the end of a runtime ---- */

/* The next one of `list`, with a reference; it goes back to the runtime's own list, from which its end will
 * take it. */
static weft_generator *next_of(struct weft__list *list, struct weft__runtime *runtime) {
    weft_generator *self = NULL;
    struct weft__list *started = lock_list(runtime), *link = weft__list_pop(list);
    if (link) {
        self = weft__container_of(link, struct weft_generator, link);
        weft__list_append(started, link);
        fetch_add_relaxed(&self->references, 1); /* the list has one */
    }
    unlock_list(runtime);
    return self;
}

bool weft__generators_any(struct weft__runtime *runtime) {
    bool any = !weft__list_empty(lock_list(runtime));
    unlock_list(runtime);
    return any;
}

void weft__generators_close(struct weft__runtime *runtime) {
    struct weft__list closing; /* those of now; what begins meanwhile is left alone */
    weft__list_init(&closing);
    weft__list_splice(&closing, lock_list(runtime));
    unlock_list(runtime);
    for (weft_generator *self; (self = next_of(&closing, runtime));) {
        close_and_report(self);
        unref(self);
    }
}

int weft_shutdown_asyncgens(void) {
    struct weft__worker *worker = weft__world_worker();
    if (!worker || !worker->current) return -EPERM;
    weft__generators_close(worker->runtime);
    return 0;
}

void weft__generators_fini(struct weft__runtime *runtime) {
    struct weft__list *list = lock_list(runtime);
    for (struct weft__list *link; (link = weft__list_pop(list));) {
        weft_generator *self = weft__container_of(link, struct weft_generator, link);
        weft__fiber_fini(&self->stack->fiber); /* the stack itself goes with its pool */
        self->stack = NULL;
        store_release(&self->phase, FINISHED); /* pairs with claim */
        unref(self);
    }
    unlock_list(runtime);
}
