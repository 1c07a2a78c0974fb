#include "harness/weft_timing.h"

enum { MANY = 1000000 };

static intptr_t nothing(void *arg) { return (intptr_t)arg; }

static void one_by_one(long count) {
    for (long i = 0; i < count; i++) weft_join(weft_spawn(nothing, NULL));
}

static void all_at_once(long rounds) {
    static weft_task *tasks[MANY];
    for (; rounds > 0; rounds--) {
        for (int i = 0; i < MANY; i++) tasks[i] = weft_spawn(nothing, NULL);
        for (int i = 0; i < MANY; i++) weft_join(tasks[i]);
    }
}

static double spawn_join(unsigned workers) { return weft_each_ns(workers, one_by_one); }
static double spawn_many(unsigned workers) { return weft_each_ns(workers, all_at_once) / MANY; }

BENCH_MAIN({"spawn_join", spawn_join}, {"spawn_many", spawn_many})
