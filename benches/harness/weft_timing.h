/* For weft's subjects: timing.h inside a runtime. */
#ifndef BENCHES_WEFT_TIMING_H
#define BENCHES_WEFT_TIMING_H

#include <weft/weft.h>

#include "harness/timing.h"

struct weft_timed {
    void (*body)(long count);
    double each;
};

static inline intptr_t weft_timed_main(void *arg) {
    struct weft_timed *timed = (struct weft_timed *)arg;
    timed->each = each_ns(timed->body);
    return 0;
}

/* each_ns of a body that runs in a task of a runtime with so many workers. */
static inline double weft_each_ns(unsigned workers, void (*body)(long count)) {
    struct weft_timed timed = {body, 0};
    weft_options options = {0};
    options.workers = workers;
    intptr_t result = weft_run_fn_with(options, weft_timed_main, &timed);
    if (result < 0) {
        fprintf(stderr, "%s\n", weft_strerror(result));
        exit(1);
    }
    return timed.each;
}

#endif
