/* weft_yield. */
#include "harness/weft_timing.h"

static intptr_t yielder(void *count) {
    for (long i = 0; i < (long)(intptr_t)count / 2; i++) weft_yield();
    return 0;
}

static void take_turns(long count) {
    weft_task *a = weft_spawn(yielder, (void *)(intptr_t)count), *b = weft_spawn(yielder, (void *)(intptr_t)count);
    weft_join(a);
    weft_join(b);
}

static double yields(unsigned workers) { return weft_each_ns(workers, take_turns); }

BENCH_MAIN({"yield", yields})
