#include "awaitables.h"

#include <stdlib.h>

#include "worker.h"

int weft__awaitables_check(weft_future *const *awaitables, size_t count) {
    bool coroutines = false;
    if (!awaitables && count) return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        bool coroutine = weft_iscoroutine(awaitables[i]);
        if (!awaitables[i]) return -EINVAL;
        if (!coroutine && weft__task_of(awaitables[i]) && weft__is_temporary(awaitables[i])) return -EINVAL;
        coroutines |= coroutine;
    }
    return coroutines && !weft__world_worker() ? -EPERM : 0;
}

static bool named_before(weft_future *const *awaitables, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (awaitables[j] == awaitables[i]) return true;
    return false;
}

weft_future *weft__awaitables_take(weft_future *const *awaitables, size_t i) {
    weft_future *future = awaitables[i];
    if (weft_iscoroutine(future)) return weft_create_task(future);
    if (weft__is_temporary(future) && !named_before(awaitables, i)) return future;
    return weft_ref(future); /* so is a coroutine that was named before: it is a task by now */
}

/* A coroutine that is named twice must outlive its first closing. */
void weft__awaitables_discard(weft_future *const *awaitables, size_t count) {
    for (size_t i = 0; awaitables && i < count; i++) weft_ref(awaitables[i]);
    for (size_t i = 0; awaitables && i < count; i++) {
        weft_future *future = awaitables[i];
        if (weft_iscoroutine(future)) weft_coroutine_close(future);
        else if (!named_before(awaitables, i)) weft__release_temporary(future);
    }
    for (size_t i = 0; awaitables && i < count; i++) weft_release(awaitables[i]);
}

/* ---- distinct ---- */

static ptrdiff_t distinct_few(weft_future *const *awaitables, size_t count, weft_future **distinct) {
    ptrdiff_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (!named_before(awaitables, i)) distinct[found++] = awaitables[i];
    return found;
}

/* Whether `future` was in the hash table already; from now on it is. Records are 64 bytes apart and more. */
static bool put(weft_future **table, size_t mask, weft_future *future) {
    size_t at = (size_t)(((uintptr_t)future >> 6) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & mask;
    while (table[at] && table[at] != future) at = (at + 1) & mask;
    bool there = table[at];
    table[at] = future;
    return there;
}

ptrdiff_t weft__awaitables_distinct(weft_future *const *awaitables, size_t count, weft_future **distinct) {
    if (count <= WEFT__FEW) return distinct_few(awaitables, count, distinct);
    size_t size = 2 * WEFT__FEW;
    while (size < 2 * count) size *= 2;
    weft_future **table = calloc(size, sizeof(weft_future *));
    if (!table) return -ENOMEM;
    ptrdiff_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (!put(table, size - 1, awaitables[i])) distinct[found++] = awaitables[i];
    free(table);
    return found;
}
