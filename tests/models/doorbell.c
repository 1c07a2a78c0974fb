/* The doorbell of io/doorbell.c itself: two threads publish and ring, three times each; the owner sleeps, now on the
 * futex, now in the kernel, which may also let him go for no reason, until he has seen all. Every ring must end his sleep
 * or keep him from one, and show him what was published before; and one that is not needed writes nothing.
 *
 * Code: io/doorbell.c -Dread=model_read -Dwrite=model_write -Deventfd=model_eventfd -Dclose=model_close
 *
 * Mutants, each of which must be rejected:
 *     NO_WAKE         io/doorbell.c weft__doorbell_ring  s/weft__world_wake_all.*;/;/
 *     NO_WRITE        io/doorbell.c weft__doorbell_ring  s/ssize_t written = .*;/ssize_t written = 0;/
 *     ALWAYS_WRITES   io/doorbell.c weft__doorbell_ring  s/if \(found == ON_FD\)//
 *     RING_UNORDERED  io/doorbell.c weft__doorbell_ring  s/exchange_acq_rel\((.*)\);/atomic_exchange_explicit(\1, memory_order_relaxed);/
 *     NO_RING_KEPT    io/doorbell.c weft__doorbell_ring  s/exchange_acq_rel\(.*\);/load_acquire(\&self->sleeper); cas_acq_rel(\&self->sleeper, \&(uint32_t){found}, found == AWAKE ? AWAKE : RUNG);/
 *     SLEEPS_ANYWAY   io/doorbell.c fall_asleep          s/cas_acq_rel\(.*where\)/(store_release(\&self->sleeper, where), true)/
 *     STAYS_RUNG      io/doorbell.c fall_asleep          /weft__doorbell_end/d
 *     END_UNORDERED   io/doorbell.c weft__doorbell_end   s/exchange_acq_rel\((.*)\);/store_relaxed(\1);/
 */
#include "model.h"

#include <sys/types.h>

#include "io/doorbell.h"
#include "runtime/world.h"

#define RINGERS 2
#define EACH 3

static struct weft__doorbell bell;
static _Atomic uint32_t readable;     /* the eventfd */
static _Atomic uint32_t published[RINGERS];
static _Atomic uint32_t sleeps, writes; /* in the kernel; to the eventfd */
static unsigned refusals;               /* of a sleep in the kernel */

/* ---- the kernel ---- */

int model_eventfd(unsigned count, int flags) { return 3; }

int model_close(int fd) { return 0; }

ssize_t model_write(int fd, const void *bytes, size_t count) {
    fetch_add_relaxed(&writes, 1);
    store_release(&readable, 1);
    weft__world_wake_all(&readable);
    return (ssize_t)count;
}

ssize_t model_read(int fd, void *bytes, size_t count) {
    return exchange_acq_rel(&readable, 0) ? (ssize_t)count : -1;
}

/* ---- the threads ---- */

static void before(void) {
    weft__doorbell_open(&bell);
    readable = sleeps = writes = refusals = 0;
    for (unsigned i = 0; i < RINGERS; i++) published[i] = 0;
}

static void publish(unsigned ringer) {
    for (uint32_t i = 1; i <= EACH; i++) {
        store_relaxed(&published[ringer], i);
        weft__doorbell_ring(&bell);
    }
}

static bool seen_all(void) {
    bool all = true;
    for (unsigned i = 0; i < RINGERS; i++) all &= load_relaxed(&published[i]) == EACH;
    return all;
}

static void sleep_in_kernel(void) {
    if (!weft__doorbell_begin(&bell)) {
        model_assert(++refusals <= RINGERS * EACH);
        return;
    }
    fetch_add_relaxed(&sleeps, 1);
    bool another_event = model_choose(4) == 0;
    while (!another_event && load_acquire(&readable) == 0) weft__world_wait(&readable, 0, INT64_MAX);
    weft__doorbell_end(&bell);
    if (load_acquire(&readable) == 1) weft__doorbell_hear(&bell);
}

static void be_owner(void) {
    while (!seen_all())
        if (model_choose(2)) sleep_in_kernel();
        else weft__doorbell_wait(&bell, INT64_MAX);
}

static void thread(unsigned index) {
    if (index == RINGERS) be_owner();
    else publish(index);
}

static void after(void) { model_assert(load_relaxed(&writes) <= load_relaxed(&sleeps)); }

const struct model model = {
    .threads = RINGERS + 1, .rounds = 200000, .before = before, .thread = thread, .after = after};
