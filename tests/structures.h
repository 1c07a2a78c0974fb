/* For the tests of the runtime's structures: threads that start together, a record of who took what, and
 * chance that can be repeated. */
#ifndef WEFT_TESTS_STRUCTURES_H
#define WEFT_TESTS_STRUCTURES_H

#include <pthread.h>
#include <sched.h>

#include "support.h"

#include "runtime/atomics.h"
#include "runtime/world.h"

#define CREW_MOST 16

struct crew_member {
    void (*run)(unsigned index, void *arg);
    void *arg;
    unsigned index;
    pthread_barrier_t *start;
};

static inline void *crew_main(void *arg) {
    struct crew_member *member = arg;
    pthread_barrier_wait(member->start);
    member->run(member->index, member->arg);
    return NULL;
}

/* Calls run(0 .. count - 1, arg), each in a thread of its own but for 0, which is the caller's; they start
 * together. Returns when all have. */
static inline void run_together(unsigned count, void (*run)(unsigned index, void *arg), void *arg) {
    pthread_t threads[CREW_MOST];
    struct crew_member members[CREW_MOST];
    pthread_barrier_t start;
    must(count >= 1 && count <= CREW_MOST);
    must_equal(pthread_barrier_init(&start, NULL, count), 0);
    for (unsigned i = 0; i < count; i++) {
        members[i] = (struct crew_member){run, arg, i, &start};
        if (i > 0) must_equal(pthread_create(&threads[i], NULL, crew_main, &members[i]), 0);
    }
    crew_main(&members[0]);
    for (unsigned i = 1; i < count; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

/* One round of waiting for another thread: on few CPUs that thread needs ours. */
static inline void wait_a_little(unsigned round) {
    if (round % 16 == 15) sched_yield();
    else weft__world_relax(0);
}

/* Who took what: every one of `count` things is to be taken exactly once. */
struct tally {
    size_t count;
    _Atomic size_t taken;
    _Atomic uint8_t *times;
};

static inline void tally_init(struct tally *tally, size_t count) {
    tally->count = count;
    atomic_init(&tally->taken, 0);
    tally->times = calloc(count, sizeof *tally->times);
    must(tally->times);
}

/* Thread: any. */
static inline void tally_take(struct tally *tally, size_t thing) {
    must(thing < tally->count);
    must_equal(fetch_add_relaxed(&tally->times[thing], 1), 0); /* 1: taken twice */
    atomic_fetch_add_explicit(&tally->taken, 1, memory_order_release);
}

/* Thread: any. */
static inline bool tally_complete(struct tally *tally) { return load_acquire(&tally->taken) == tally->count; }

static inline void tally_fini(struct tally *tally) {
    must_equal(load_acquire(&tally->taken), tally->count);
    for (size_t i = 0; i < tally->count; i++) must_equal(load_relaxed(&tally->times[i]), 1);
    free(tally->times);
}

/* Marsaglia, "Xorshift RNGs" (2003). The seed is the test's own, so that a failure comes back. */
static inline uint64_t chance(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

#endif
