/* The deque of runtime/deque.c itself: its owner pushes four items onto two places, pops, and pops one only if it
 * is the newest, while two thieves steal. Every item must come out exactly once, in the thieves' hands in the
 * order in which they were pushed; that it grows meanwhile is part of it.
 *
 * Run once with 20 million interleavings: nothing found. Not seen by Relacy: push's acquire of `top`, which keeps
 * the new item from overtaking a thief's read of the old one in the same place (a store before an earlier load).
 *
 * Code: runtime/deque.c
 *
 * Mutants, each of which must be rejected:
 *     NO_FENCE_IN_POP     runtime/deque.c weft__deque_pop  /fence_seq_cst/d
 *     NO_FENCE_IN_STEAL   runtime/deque.c weft__deque_steal  s/fence_seq_cst\(\);//
 *     PUSH_UNORDERED      runtime/deque.c weft__deque_push  s/store_release/store_relaxed/
 *     GROW_UNORDERED      runtime/deque.c grow  s/store_release/store_relaxed/
 *     STEAL_UNORDERED     runtime/deque.c weft__deque_steal  s/load_acquire\(&deque->bottom/load_relaxed(\&deque->bottom/
 *     ARRAY_UNORDERED     runtime/deque.c weft__deque_steal  s/load_acquire\(&deque->array/load_relaxed(\&deque->array/
 *     POP_WITHOUT_CAS     runtime/deque.c weft__deque_pop  s/!cas_seq_cst.*top \+ 1\)/(store_relaxed(\&deque->top, top + 1), 0)/
 *     STEAL_WITHOUT_CAS   runtime/deque.c weft__deque_steal  s/cas_seq_cst.*top \+ 1\)/(store_relaxed(\&deque->top, top + 1), 1)/
 *     POP_NOT_THE_LAST    runtime/deque.c weft__deque_pop  s/top < bottom\) return/top <= bottom) return/
 *     POP_SHRINKS_AFTER   runtime/deque.c weft__deque_pop  /store_relaxed\(&deque->bottom, bottom\)/d
 *     FREE_WHEN_OUTGROWN  runtime/deque.c grow  s/larger->outgrown = array;/larger->outgrown = 0; free(array);/
 */
#include "model.h"

#include "runtime/deque.h"

#define ITEMS 4

static struct weft__deque deque;
static unsigned taken[ITEMS];

/* An item is the address of a cell that its pusher has written: whoever gets it must see that. */
static int cells[ITEMS];

static void before(void) {
    for (unsigned i = 0; i < ITEMS; i++) taken[i] = cells[i] = 0;
    model_assert(weft__deque_init(&deque, 2) == 0);
}

static void push(unsigned i) {
    cells[i] = 1;
    model_assert(weft__deque_push(&deque, (uintptr_t)&cells[i]) == 0);
}

static bool take(uintptr_t item) {
    if (item == 0 || item == WEFT__DEQUE_RETRY) return false;
    int *cell = (int *)item;
    model_assert(*cell == 1); /* and nobody else reads or writes it: that would be a race */
    *cell = 2;
    taken[cell - cells]++;
    return true;
}

static void own(void) {
    push(0);
    push(1);
    take(weft__deque_pop(&deque));
    push(2);
    push(3);
    if (weft__deque_pop_if(&deque, (uintptr_t)&cells[3])) take((uintptr_t)&cells[3]);
    while (take(weft__deque_pop(&deque))) {}
}

static void thieve(void) {
    int *last = NULL;
    for (unsigned i = 0; i < 2; i++) {
        uintptr_t item = weft__deque_steal(&deque);
        if (!take(item)) continue;
        model_assert((int *)item > last);
        last = (int *)item;
    }
}

static void thread(unsigned index) {
    if (index == 0) own();
    else thieve();
}

static void after(void) {
    model_assert(weft__deque_count(&deque) == 0);
    for (unsigned i = 0; i < ITEMS; i++) model_assert(taken[i] == 1);
    weft__deque_fini(&deque);
}

const struct model model = {.threads = 3, .rounds = 200000, .before = before, .thread = thread, .after = after};
