/* Coroutines: records that hold a function and its argument, and have not been scheduled. */
#include <weft/async.h>

#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "worker.h"

/* A record to be filled in and published; NULL without memory. */
static inline struct weft__task *begin(const char *name, weft_fn *fn, const void *site) {
    struct weft__task *task = weft__slab_take(weft__worker_slab());
    if (!task) return NULL;
    weft__task_init(task, name, fn);
    task->future.site = site;
    return task;
}

static inline weft_future *publish(struct weft__task *task) {
    store_release(&task->future.state, WEFT__COROUTINE | WEFT__REFERENCE); /* pairs with try_ref */
    return &task->future;
}

weft_future *weft_coroutine_copy(const char *name, weft_fn *fn, const void *args, size_t args_bytes) {
    if (!fn || (!args && args_bytes)) return weft__future_failed(-EINVAL);
    struct weft__task *task = begin(name, fn, WEFT__SITE());
    if (!task) return weft__future_failed(-ENOMEM);
    bool fits = args_bytes <= sizeof task->inline_arg;
    void *copy = fits ? task->inline_arg : malloc(args_bytes);
    if (!copy) {
        weft__slab_give(weft__worker_slab(), task);
        return weft__future_failed(-ENOMEM);
    }
    if (args_bytes) memcpy(copy, args, args_bytes);
    if (fits) task->future.arg_kind = WEFT__ARG_INLINE;
    else weft__task_own_arg(task, copy);
    return publish(task);
}

weft_future *weft_coroutine(weft_fn *fn, void *arg) {
    if (!fn) return weft__future_failed(-EINVAL);
    struct weft__task *task = begin(NULL, fn, WEFT__SITE());
    if (!task) return weft__future_failed(-ENOMEM);
    weft__task_set_arg(task, arg);
    return publish(task);
}

bool weft_iscoroutine(const weft_future *awaitable) {
    return weft__is_coroutine((weft_future *)(uintptr_t)awaitable);
}

/* The linker's names for the ends of a section; both are NULL in a program without coroutine functions. */
#define SECTION_END __attribute__((weak, visibility("hidden")))
extern struct weft_coroutine_descriptor __start_weft_coroutines[] SECTION_END;
extern struct weft_coroutine_descriptor __stop_weft_coroutines[] SECTION_END;

bool weft_is_coroutine_function(weft_coroutine_function function) {
    for (struct weft_coroutine_descriptor *at = __start_weft_coroutines; at < __stop_weft_coroutines; at++)
        if (function && at->maker == function) return true;
    return false;
}

int weft_coroutine_close(weft_future *coroutine) {
    if (!coroutine) return 0;
    if (coroutine->kind == WEFT__KIND_IMMORTAL) return 0; /* what a failed weft_coroutine returned */
    if (!weft_iscoroutine(coroutine)) return -EINVAL;
    weft__future_complete(coroutine, -ECANCELED, true, 1);
    return 0;
}
