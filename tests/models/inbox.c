/* The inbox of runtime/inbox.h itself: two threads post two messages each, the owner takes until it has all four.
 * Each poster's messages must come in its order, written as it left them, and none twice.
 *
 * Code: -DNDEBUG
 *
 * Mutants, each of which must be rejected:
 *     POST_UNORDERED    runtime/inbox.h weft__inbox_post  s/!cas_weak_acq_rel\((.*)\)\);/!atomic_compare_exchange_weak_explicit(\1, memory_order_relaxed, memory_order_relaxed));/
 *     TAKE_UNORDERED    runtime/inbox.h weft__inbox_take_all  s/exchange_acq_rel\((.*), NULL\)/atomic_exchange_explicit(\1, NULL, memory_order_relaxed)/
 *     POST_WITHOUT_CAS  runtime/inbox.h weft__inbox_post  s/while \(!cas.*\);/while (store_release(\&inbox->newest, message), false);/
 *     TAKE_WITHOUT_RMW  runtime/inbox.h weft__inbox_take_all  s/exchange_acq_rel\(&inbox->newest, NULL\)/({ void *all = load_acquire(\&inbox->newest); store_release(\&inbox->newest, NULL); all; })/
 *     NEXT_READ_ONCE    runtime/inbox.h weft__inbox_post  s/do message->next = newest;/message->next = newest; do {}/
 *     NEWEST_FIRST      runtime/inbox.h weft__inbox_take_all  s/while \(newest\) \{/while (oldest = newest, false) {/
 */
#include "model.h"

#include "runtime/inbox.h"
#include "runtime/world.h"

#define POSTERS 2
#define EACH 2

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
    unsigned count = 0;
    for (unsigned round = 0; count < POSTERS * EACH; round++) {
        if (weft__inbox_empty(&inbox)) weft__world_relax(round);
        for (struct weft__item *link = weft__inbox_take_all(&inbox); link; link = link->next) {
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
}

const struct model model = {
    .threads = POSTERS + 1, .rounds = 500000, .before = before, .thread = thread, .after = after};
