/* delay.h: the notes' util.delay, and the second that every listing here sleeps by.
 *
 * WEFT_SEED_SCALE in the environment scales that second: with 0.1 it lasts 100 ms. What is printed always
 * speaks of the listing's own seconds. */
#ifndef WEFT_SEEDS_DELAY_H
#define WEFT_SEEDS_DELAY_H

#include <stdio.h>
#include <stdlib.h>

#include <weft/weft.h>

/* How long a second of the listings lasts, in seconds. */
static inline double seed_scale(void) {
    const char *text = getenv("WEFT_SEED_SCALE");
    double scale = text ? strtod(text, NULL) : 1;

    return scale > 0 ? scale : 1;
}

/* `seconds` of the listing as a duration for weft. */
static inline int64_t seed_seconds(int seconds) { return (int64_t)(seconds * seed_scale() * 1e9 + 0.5); }

/* A duration as weft measured it, in seconds of the listing. */
static inline double seed_elapsed(int64_t duration_ns) { return (double)duration_ns / 1e9 / seed_scale(); }

weft_async(delay, (int, delay_seconds)) {
    printf("sleeping for %d second(s)\n", delay_seconds);
    int error = weft_sleep(seed_seconds(delay_seconds));
    if (error < 0)
        return error;
    printf("finished sleeping for %d second(s)\n", delay_seconds);
    return delay_seconds;
}

#endif
