/* What is posted to a host, runtime/crowding.c itself: one thread posts three runnables to a worker, who serves them; or
 * he is stuck for good, or only thought to be, and the watchman hands them to another worker meanwhile. Each must be run
 * exactly once, by one who sees it as it was written. (That a sleeping worker is woken for it is park.pml's.)
 *
 * Code: runtime/crowding.c
 *
 * Mutants, each of which must be rejected:
 *     POST_UNORDERED    runtime/crowding.c weft__crowding_post  s/!cas_weak_acq_rel\((.*)\)\);/!atomic_compare_exchange_weak_explicit(\1, memory_order_relaxed, memory_order_relaxed));/
 *     PUSH_WITHOUT_CAS  runtime/crowding.c weft__crowding_post  s/while \(!cas.*\);/while (store_release(\&host->posted, \&runnable->link), false);/
 *     TAKE_UNORDERED    runtime/crowding.c take_all   s/exchange_acq_rel\((.*), NULL\), /atomic_exchange_explicit(\1, NULL, memory_order_relaxed), /
 *     TAKEN_TWICE       runtime/crowding.c take_all   s/exchange_acq_rel\((.*), NULL\), /({ struct weft__item *all = load_acquire(\1); store_release(\1, NULL); all; }), /
 *     ONLY_THE_FIRST    runtime/crowding.c take_all   s/last_first = next;/last_first = NULL;/
 *     NOT_HANDED_OVER   runtime/crowding.c settle     /hand_over/d
 *     TO_THE_STUCK      runtime/crowding.c next_host  /watch.stuck/d
 */
#include "model.h"

#include <string.h>

#include "runtime/worker.h"

#define WORKERS 2
#define EACH 3

enum { HOST, OTHER, POSTER, WATCHMAN };

struct errand {
    struct weft__runnable runnable;
    bool written, run;
};

static struct weft__runtime runtime;
static struct weft__worker workers[WORKERS];
static struct errand errands[EACH];
static _Atomic uint32_t runs;
static bool really_stuck;

/* ---- the rest of the runtime ---- */

void weft__idle_notify_worker(struct weft__worker *worker) { (void)worker; }
int weft__world_thread_open_delays(pid_t thread) { return -1; }
int64_t weft__world_thread_delay(int delays) { return 0; }
void weft__world_thread_close(int thread) { (void)thread; }

/* ---- the threads ---- */

static void run_errand(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct errand *self = weft__container_of(runnable, struct errand, runnable);
    model_assert(self->written && !self->run);
    model_assert(worker == &workers[OTHER] || !really_stuck);
    self->run = true;
    fetch_add_relaxed(&runs, 1);
}

static void before(void) {
    memset(&runtime, 0, sizeof runtime);
    memset(workers, 0, sizeof workers);
    memset(errands, 0, sizeof errands);
    runtime.workers = workers;
    runtime.worker_count = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].runtime = &runtime;
        workers[i].index = i;
    }
    runs = 0;
    really_stuck = model_choose(2);
    workers[HOST].watch.stuck = really_stuck || model_choose(2);
}

static void post(void) {
    for (unsigned i = 0; i < EACH; i++) {
        errands[i].runnable.run = run_errand;
        errands[i].written = true;
        weft__crowding_post(&workers[HOST], &errands[i].runnable);
    }
}

static void thread(unsigned index) {
    if (index == POSTER) {
        post();
    } else if (index != HOST || !really_stuck) {
        for (unsigned round = 0; load_relaxed(&runs) < EACH; round++) {
            if (index == WATCHMAN) weft__crowding_look(&runtime, 0);
            else weft__crowding_serve(&workers[index]);
            weft__world_relax(round);
        }
    }
}

static void after(void) {
    for (unsigned i = 0; i < EACH; i++) model_assert(errands[i].run);
    for (unsigned i = 0; i < WORKERS; i++) model_assert(!load_relaxed(&workers[i].posted));
}

const struct model model = {.threads = 4, .rounds = 200000, .before = before, .thread = thread, .after = after};
