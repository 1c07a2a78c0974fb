/* Races in rounds: in each of them plain threads do one thing each, while who opened it does another. */
#ifndef WEFT_TESTS_RACE_SUPPORT_H
#define WEFT_TESTS_RACE_SUPPORT_H

#include "api_support.h"

enum { RIVALS_MOST = 3 };

struct race {
    long rounds;
    /* One round, from 1 on: prepares, race_open, does its part, race_close, and looks at what came of it. */
    void (*play)(struct race *race, long round);
    /* Each in a thread of its own, once in every open round; perhaps fewer. */
    void (*rivals[RIVALS_MOST])(long round);
    /* while it runs */
    unsigned rival_count;
    _Atomic long opened, done; /* rounds; deeds of rivals */
};

struct rival {
    struct race *race;
    void (*act)(long round);
    pthread_t thread;
};

static void *rival_main(void *arg) {
    struct rival *self = arg;
    for (long round = 1; round <= self->race->rounds; round++) {
        spin_until(&self->race->opened, round);
        self->act(round);
        atomic_fetch_add(&self->race->done, 1);
    }
    return NULL;
}

/* Lets the rivals act. */
static void race_open(struct race *race, long round) { atomic_store(&race->opened, round); }

/* Waits until all have. */
static void race_close(struct race *race, long round) { spin_until(&race->done, round * race->rival_count); }

/* All rounds: a task, or a plain call. */
static intptr_t run_race(void *arg) {
    struct race *race = arg;
    struct rival rivals[RIVALS_MOST];
    unsigned *count = &race->rival_count;
    atomic_store(&race->opened, 0);
    atomic_store(&race->done, 0);
    for (*count = 0; *count < RIVALS_MOST && race->rivals[*count]; ++*count) {
        struct rival *rival = &rivals[*count];
        *rival = (struct rival){.race = race, .act = race->rivals[*count]};
        rival->thread = thread_start(rival_main, rival);
    }
    for (long round = 1; round <= race->rounds; round++) race->play(race, round);
    for (unsigned i = 0; i < *count; i++) thread_join(rivals[i].thread);
    return 0;
}

#endif
