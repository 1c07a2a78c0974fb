#include "harness/onetbb.hpp"

#include "fib.h"

static volatile long result;

static long fib(long n) {
    if (n < 2) return n;
    long a;
    tbb::task_group group;
    group.run([&a, n] { a = fib(n - 1); });
    long b = fib(n - 2);
    group.wait();
    return a + b;
}

static void fibs(long count) {
    for (long i = 0; i < count; i++) result = fib(FIB_N);
}

static double each(unsigned workers) { return tbb_each_ns(workers, fibs) / FIB_CALLS; }

BENCH_MAIN({"fib_tasks", each}, {"fib_parallel", each})
