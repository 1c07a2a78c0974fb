/* The inbox of runtime/inbox.c itself, with two slots: two threads post three messages each, the owner takes until it has
 * all six. Each poster's messages must come in its order, written as it left them, and none twice. (That a slot is empty
 * before head has passed it cannot be refuted here: Relacy orders the stores to a place as they are executed.)
 *
 * Code: runtime/inbox.c -DWEFT__INBOX_SLOTS=2 -DNDEBUG
 *
 * Mutants, each of which must be rejected:
 *     POST_UNORDERED    runtime/inbox.c reserve            s/!cas_weak_acq_rel\((.*)\)\);/!atomic_compare_exchange_weak_explicit(\1, memory_order_relaxed, memory_order_relaxed));/
 *     TAKE_UNORDERED    runtime/inbox.c take_slots         s/load_acquire\(&inbox->tail/load_relaxed(\&inbox->tail/
 *     PUSH_UNORDERED    runtime/inbox.c post_to_overflow   s/!cas_weak_acq_rel\((.*)\)\);/!atomic_compare_exchange_weak_explicit(\1, memory_order_relaxed, memory_order_relaxed));/
 *     PUSH_WITHOUT_CAS  runtime/inbox.c post_to_overflow   s/while \(!cas.*\);/while (store_release(\&inbox->overflow, message), false);/
 *     HEAD_TOO_EARLY    runtime/inbox.c take_slots         s/uint32_t first = (.*)$/uint32_t first = load_relaxed(\&inbox->head); store_release(\&inbox->head, load_relaxed(\&inbox->tail)); uint32_t head = first, tail = load_relaxed(\&inbox->head);/
 *     RESERVED_TWICE    runtime/inbox.c reserve            s/while \(!cas.*\);/while (store_release(\&inbox->tail, tail + 1), false);/
 *     RING_OVERTAKES    runtime/inbox.c reserve            /load_relaxed\(&inbox->overflow\)/d
 *     NO_LIMIT          runtime/inbox.c reserve            /WEFT__INBOX_SLOTS/d
 *     NOT_DRAINING      runtime/inbox.c weft__inbox_take_all  s/, &draining\);/, NULL);/
 *     OVERFLOW_FIRST    runtime/inbox.c weft__inbox_take_all  /take_slots/d
 *     END_WITHOUT_CAS   runtime/inbox.c weft__inbox_take_all  s/cas_acq_rel\(.*NULL\);/store_release(\&inbox->overflow, NULL);/
 *     FORGETS_TAKEN     runtime/inbox.c take_slots         s/mark_taken\(inbox, i, !passed\)/mark_taken(inbox, i, false)/
 *     NEWEST_FIRST      runtime/inbox.c append_reversed    s/while \(newest .*\{/while (oldest = newest, false) {/
 */
#include "model.h"

#include "runtime/inbox.h"
#include "runtime/world.h"

#define POSTERS 2
#define EACH 3

struct message {
    struct weft__item link;
    unsigned poster, number;
};

static struct weft__inbox inbox;
static struct message messages[POSTERS][EACH];
static unsigned arrived[POSTERS];

static void before(void) {
    for (unsigned i = 0; i < POSTERS; i++) arrived[i] = 0;
    weft__inbox_init(&inbox);
}

static void post(unsigned poster) {
    for (unsigned i = 0; i < EACH; i++) {
        messages[poster][i].poster = poster;
        messages[poster][i].number = i;
        weft__inbox_post(&inbox, &messages[poster][i].link);
    }
}

static void take(void) {
    struct weft__fifo taken = {0};
    unsigned count = 0;
    for (unsigned round = 0; count < POSTERS * EACH; round++) {
        if (weft__inbox_empty(&inbox)) weft__world_relax(round);
        weft__inbox_take_all(&inbox, &taken);
        for (struct weft__item *link; (link = weft__fifo_pop(&taken));) {
            struct message *message = weft__container_of(link, struct message, link);
            model_assert(message->poster < POSTERS && message->number == arrived[message->poster]);
            arrived[message->poster]++;
            count++;
        }
    }
}

static void thread(unsigned index) {
    if (index == POSTERS) take();
    else post(index);
}

static void after(void) {
    model_assert(weft__inbox_empty(&inbox));
    model_assert(load_relaxed(&inbox.head) == load_relaxed(&inbox.tail));
}

const struct model model = {
    .threads = POSTERS + 1, .rounds = 500000, .before = before, .thread = thread, .after = after};
