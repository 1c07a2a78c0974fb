/* What every test program shares: cmocka, checks that read well, and a look at what leaked. */
#ifndef WEFT_TESTS_SUPPORT_H
#define WEFT_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

#include <weft/weft.h>

#include "runtime/sanitize.h"

#define SKIPPED 77

#ifdef WEFT__TSAN
#define TSAN true
#else
#define TSAN false
#endif

/* Rounds for a stress: `n` in a plain build, fewer where a sanitizer makes them slow. */
#ifdef WEFT__TSAN
#define ROUNDS(n) ((n) / 20 + 1)
#elif defined(WEFT__ASAN)
#define ROUNDS(n) ((n) / 10 + 1)
#else
#define ROUNDS(n) (n)
#endif

/* Where must() tells what it has found, and the sanitizers what they have; a test that catches stderr moves it. */
static inline int *failures_fd(void) {
    static int fd = STDERR_FILENO;
    return &fd;
}

/* For use inside tasks, where cmocka's longjmp would leave the stack: print and abort. */
#define must(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            dprintf(*failures_fd(), "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)
#define must_equal(a, b)                                                                                     \
    do {                                                                                                     \
        intptr_t a_ = (intptr_t)(a), b_ = (intptr_t)(b);                                                     \
        if (a_ != b_) {                                                                                      \
            dprintf(*failures_fd(), "%s:%d: %s is %ld (%s), %s is %ld (%s)\n", __FILE__, __LINE__, #a,       \
                    (long)a_, weft_strerror(a_), #b, (long)b_, weft_strerror(b_));                           \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* Open descriptors of this process. */
static inline int open_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory)) count++;
    if (directory) closedir(directory);
    return count;
}

/* An entry of a group, but not in a build in which `condition` holds: cmocka passes over an empty entry. */
#define test_unless(condition, test) {(condition) ? NULL : #test, (condition) ? NULL : (test), NULL, NULL, NULL}

/* Runs a group, and checks that it left no descriptor behind. Leaked memory is LeakSanitizer's. */
#define run_group(tests)                                                                                     \
    __extension__({                                                                                          \
        int before_ = open_descriptors(), failed_ = cmocka_run_group_tests(tests, NULL, NULL);               \
        int after_ = open_descriptors();                                                                     \
        if (after_ != before_) fprintf(stderr, "descriptors leaked: %d before, %d after\n", before_, after_); \
        failed_ != 0 || after_ != before_;                                                                   \
    })

/* Runs `fn` to its end on `workers` workers (0: strict order). */
static inline intptr_t run_on(unsigned workers, weft_fn *fn, void *arg) {
    weft_options options = {.workers = workers ? workers : 1, .fifo = workers == 0};
    return weft_run_fn_with(options, fn, arg);
}

#endif
