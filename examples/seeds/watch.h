/* watch.h: what a piece of work does to the loop that it runs on. */
#ifndef WEFT_SEEDS_WATCH_H
#define WEFT_SEEDS_WATCH_H

#include "delay.h"

weft_async(count_ticks, (int *, ticks)) {
    for (int error; (error = weft_sleep(seed_seconds(1) / 10)) == 0;)
        ++*ticks;
    return -ECANCELED;
}

/* Awaits `work`, of two seconds, and tells whether a clock went on ticking beside it. */
weft_async(watch, (const char *, how), (weft_future *, work)) {
    int ticks = 0;
    weft_task *clock = weft_create_task(count_ticks(&ticks));
    intptr_t result = weft_join(weft_create_task(work));
    weft_cancel(clock);
    weft_join(clock);
    printf("%s: %ld, meanwhile the loop was %s\n", how, (long)result, ticks >= 5 ? "alive" : "stalled");
    return 0;
}

#endif
