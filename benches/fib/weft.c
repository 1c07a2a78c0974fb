#include "harness/weft_timing.h"

#include "fib.h"

static intptr_t fib(void *arg) {
    intptr_t n = (intptr_t)arg;
    if (n < 2) return n;
    weft_task *task = weft_spawn(fib, (void *)(n - 1));
    intptr_t b = fib((void *)(n - 2));
    return weft_join(task) + b;
}

static intptr_t parallel_fib(void *arg) {
    intptr_t n = (intptr_t)arg;
    if (n < 2) return n;
    weft_parallel call;
    weft_parallel_start(&call, parallel_fib, (void *)(n - 1));
    intptr_t b = parallel_fib((void *)(n - 2));
    return weft_parallel_join(&call) + b;
}

static void fibs(long count) {
    for (long i = 0; i < count; i++) fib((void *)FIB_N);
}

static void parallel_fibs(long count) {
    for (long i = 0; i < count; i++) parallel_fib((void *)FIB_N);
}

static double fib_tasks(unsigned workers) { return weft_each_ns(workers, fibs) / FIB_CALLS; }
static double fib_parallel(unsigned workers) { return weft_each_ns(workers, parallel_fibs) / FIB_CALLS; }

BENCH_MAIN({"fib_tasks", fib_tasks}, {"fib_parallel", fib_parallel})
