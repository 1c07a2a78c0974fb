#include "context.h"

#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "worker.h"

/* ---- maps ---- */

struct entry {
    const weft_context_var *variable;
    void *value;
};

struct weft__context {
    _Atomic uint32_t references;
    uint32_t count;              /* const while shared */
    struct entry entries[];      /* const while shared */
};

struct weft__context *weft__context_ref(struct weft__context *map) {
    if (map) fetch_add_relaxed(&map->references, 1); /* the caller's own reference keeps it alive */
    return map;
}

void weft__context_release(struct weft__context *map) {
    if (map && fetch_sub_acq_rel(&map->references, 1) == 1) free(map); /* pairs with itself */
}

static struct entry *find(struct weft__context *map, const weft_context_var *variable) {
    for (uint32_t i = 0; map && i < map->count; i++)
        if (map->entries[i].variable == variable) return &map->entries[i];
    return NULL;
}

/* A map of our own with the entries of `map`, and room for `more`; consumes the reference unless it fails. */
static struct weft__context *unshare(struct weft__context *map, uint32_t more) {
    if (map && more == 0 && load_acquire(&map->references) == 1) return map; /* pairs with release's decrement */
    uint32_t count = map ? map->count : 0;
    struct weft__context *copy = malloc(sizeof *copy + (count + more) * sizeof copy->entries[0]);
    if (!copy) return NULL;
    atomic_init(&copy->references, 1);
    copy->count = count;
    if (count) memcpy(copy->entries, map->entries, count * sizeof copy->entries[0]);
    weft__context_release(map);
    return copy;
}

static int map_set(struct weft__context **slot, const weft_context_var *variable, void *value) {
    bool is_new = !find(*slot, variable);
    struct weft__context *map = unshare(*slot, is_new);
    if (!map) return -ENOMEM;
    if (is_new) map->entries[map->count++].variable = variable;
    find(map, variable)->value = value;
    *slot = map;
    return 0;
}

static int map_remove(struct weft__context **slot, const weft_context_var *variable) {
    struct weft__context *map = unshare(*slot, 0);
    if (!map) return -ENOMEM;
    *slot = map;
    struct entry *entry = find(map, variable);
    if (entry) *entry = map->entries[--map->count];
    return 0;
}

/* ---- the current context ---- */

struct weft__context **weft__context_current(void) {
    struct weft__worker *worker = weft__world_worker();
    if (!worker) return weft__context_outside();
    return worker->current ? &worker->current->context : &worker->context;
}

struct weft__context **weft__context_outside(void) {
    struct weft__task *task = weft__blocked_task();
    return task ? &task->context : weft__world_context();
}

void *weft_context_var_get(const weft_context_var *variable) {
    if (!variable) return NULL;
    struct entry *entry = find(*weft__context_current(), variable);
    return entry ? entry->value : variable->default_value;
}

int weft_context_var_set(const weft_context_var *variable, void *value, weft_context_token *token) {
    if (!variable) return -EINVAL;
    struct weft__context **slot = weft__context_current();
    struct entry *before = find(*slot, variable);
    weft_context_token kept = {variable, before ? before->value : NULL, before != NULL};
    int error = map_set(slot, variable, value);
    if (slot == weft__world_context()) weft__thread_remember();
    if (error == 0 && token) *token = kept;
    return error;
}

int weft_context_var_reset(const weft_context_var *variable, weft_context_token *token) {
    if (!variable || !token || token->variable != variable) return -EINVAL;
    struct weft__context **slot = weft__context_current();
    int error = 0;
    if (token->was_set) error = map_set(slot, variable, token->value);
    else if (find(*slot, variable)) error = map_remove(slot, variable);
    if (error == 0) token->variable = NULL;
    return error;
}

/* ---- explicit contexts ---- */

struct weft_context {
    _Atomic uint32_t references;
    _Atomic bool entered;
    struct weft__context *map;     /* of whoever has entered */
    struct weft__context *outside; /* the same: what was current before */
};

weft_context *weft_copy_context(void) {
    weft_context *context = malloc(sizeof *context);
    if (!context) return NULL;
    atomic_init(&context->references, 1);
    atomic_init(&context->entered, false);
    context->map = weft__context_ref(*weft__context_current());
    return context;
}

weft_context *weft_context_ref(weft_context *context) {
    if (context) fetch_add_relaxed(&context->references, 1); /* the caller's own reference keeps it alive */
    return context;
}

void weft_context_release(weft_context *context) {
    if (!context || fetch_sub_acq_rel(&context->references, 1) > 1) return; /* pairs with itself */
    weft__context_release(context->map);
    free(context);
}

bool weft__context_enter(weft_context *context) {
    bool entered = false;
    if (!cas_acq_rel(&context->entered, &entered, true)) return false; /* pairs with the store in leave */
    struct weft__context **slot = weft__context_current();
    context->outside = *slot;
    *slot = context->map;
    return true;
}

void weft__context_leave(weft_context *context) {
    struct weft__context **slot = weft__context_current();
    context->map = *slot;
    *slot = context->outside;
    store_release(&context->entered, false); /* pairs with the CAS in enter */
}

intptr_t weft_context_run(weft_context *context, weft_fn *fn, void *arg) {
    if (!context || !fn) return -EINVAL;
    if (!weft__context_enter(context)) return -EBUSY;
    intptr_t result = fn(arg);
    weft__context_leave(context);
    return result;
}
