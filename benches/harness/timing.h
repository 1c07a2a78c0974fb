/* For the subjects written in C and C++: `PROGRAM CASE WORKERS` prints one number. */
#ifndef BENCHES_TIMING_H
#define BENCHES_TIMING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline double took_ns(void (*body)(long count), long count) {
    double start = now_ns();
    body(count);
    return now_ns() - start;
}

/* Nanoseconds of body(count), over count. It runs with more and more, which warms it up, until that takes 50 ms;
 * then for 0.4 s, which count. */
static inline double each_ns(void (*body)(long count)) {
    long count = 1;
    double took;
    while ((took = took_ns(body, count)) < 50e6) count *= took < 5e6 ? 10 : 2;
    count = took < 400e6 ? (long)((double)count * 400e6 / took) : 1;
    return took_ns(body, count) / (double)count;
}

struct bench_case {
    const char *name;
    double (*run)(unsigned workers); /* returns the figure */
};

static inline int run_case(int argc, char **argv, const struct bench_case *cases, size_t count) {
    for (size_t i = 0; argc == 3 && i < count; i++) {
        if (strcmp(argv[1], cases[i].name) != 0) continue;
        printf("%.6g\n", cases[i].run((unsigned)atoi(argv[2])));
        return 0;
    }
    fprintf(stderr, "usage: %s CASE WORKERS\n", argv[0]);
    return 2;
}

/* A whole main() with these cases. */
#define BENCH_MAIN(...)                                                     \
    int main(int argc, char **argv) {                                       \
        static const struct bench_case cases[] = {__VA_ARGS__};             \
        return run_case(argc, argv, cases, sizeof cases / sizeof cases[0]); \
    }

#endif
