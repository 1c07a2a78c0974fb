/* Plain calls, on one core. */
#include "harness/timing.h"

#include "fib.h"

static volatile long result;

static long fib(long n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static void fibs(long count) {
    for (long i = 0; i < count; i++) result = fib(FIB_N);
}

static double serial(unsigned workers) {
    (void)workers;
    return each_ns(fibs) / FIB_CALLS;
}

BENCH_MAIN({"fib_tasks", serial}, {"fib_parallel", serial})
