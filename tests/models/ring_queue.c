/* The queue of runtime/ring_queue.c itself, with room for four: its owner pushes seven items, more than there is
 * room for, and pops between, while two thieves take half, once each. Every item that was pushed must come out
 * exactly once, and in each taker's hands in the order in which they were pushed.
 *
 * Code: runtime/ring_queue.c -DWEFT__RING_QUEUE_CAPACITY=4
 *
 * Mutants, each of which must be rejected:
 *     PUSH_UNORDERED       runtime/ring_queue.c weft__ring_queue_push  s/store_release/store_relaxed/
 *     TAKE_UNORDERED       runtime/ring_queue.c weft__ring_queue_take_half  s/load_acquire\(&queue->tail/load_relaxed(\&queue->tail/
 *     PUSH_OVER_A_THIEF    runtime/ring_queue.c weft__ring_queue_push  s/stolen_of\(load/taken_of(load/
 *     TAKE_WITH_A_THIEF    runtime/ring_queue.c weft__ring_queue_take_half  s/if \(stolen != taken\) return 0;//
 *     POP_FREES_STOLEN     runtime/ring_queue.c weft__ring_queue_pop  s/stolen == taken \? taken \+ 1 : stolen/taken + 1/
 *     POP_WITHOUT_CAS      runtime/ring_queue.c weft__ring_queue_pop  s/!cas_weak_acq_rel.*next\)\)/(store_release(\&queue->head, next), false))/
 *     CLAIM_WITHOUT_CAS    runtime/ring_queue.c weft__ring_queue_take_half  s/while \(!cas_weak_acq_rel.*count\)\)\);/while (store_release(\&queue->head, pack(stolen, taken + count)), false);/
 *     GIVE_BACK_TOO_MUCH   runtime/ring_queue.c weft__ring_queue_take_half  s/pack\(taken_of\(head\), taken_of\(head\)\)/pack(taken + count, taken + count)/
 */
#include "model.h"

#include "runtime/ring_queue.h"

#define ITEMS 7

static struct weft__ring_queue queue;
static int cells[ITEMS]; /* 0, 1 once it is written, 2 once it is taken */
static bool pushed[ITEMS];

static void before(void) {
    for (unsigned i = 0; i < ITEMS; i++) cells[i] = pushed[i] = 0;
    weft__ring_queue_init(&queue);
}

static void push(unsigned i) {
    cells[i] = 1;
    pushed[i] = weft__ring_queue_push(&queue, &cells[i]);
}

/* `last`: the one before, of this taker. */
static int *take(int *item, int *last) {
    model_assert(item > last);
    model_assert(*item == 1);
    *item = 2;
    return item;
}

static void own(void) {
    int *last = NULL, *item;
    for (unsigned i = 0; i < ITEMS; i++) {
        push(i);
        if (i % 3 == 2 && (item = weft__ring_queue_pop(&queue))) last = take(item, last);
    }
    while ((item = weft__ring_queue_pop(&queue))) last = take(item, last);
}

static void thieve(void) {
    void *items[WEFT__RING_QUEUE_CAPACITY / 2];
    int *last = NULL;
    size_t count = weft__ring_queue_take_half(&queue, items);
    model_assert(count <= WEFT__RING_QUEUE_CAPACITY / 2);
    for (size_t i = 0; i < count; i++) last = take(items[i], last);
}

static void thread(unsigned index) {
    if (index == 0) own();
    else thieve();
}

static void after(void) {
    model_assert(weft__ring_queue_count(&queue) == 0);
    for (unsigned i = 0; i < ITEMS; i++) model_assert(!pushed[i] || cells[i] == 2);
}

const struct model model = {.threads = 3, .rounds = 1000000, .before = before, .thread = thread, .after = after};
