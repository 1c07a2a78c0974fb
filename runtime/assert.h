/* Invariants of our own: broken ones abort, in every build. Misuse by a user returns -EINVAL instead. */
#ifndef WEFT_RUNTIME_ASSERT_H
#define WEFT_RUNTIME_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define weft__assert(condition)                                                                              \
    (__builtin_expect(!!(condition), 1) ? (void)0 : weft__assert_failed(#condition, __FILE__, __LINE__))

/* The costlier checks, in debug builds only. */
#ifdef NDEBUG
#define weft__debug_assert(condition) ((void)0)
#else
#define weft__debug_assert(condition) weft__assert(condition)
#endif

__attribute__((noreturn, cold, noinline, unused)) static void weft__assert_failed(const char *condition,
                                                                                  const char *file, int line) {
    fprintf(stderr, "weft: broken invariant: %s (%s:%d)\n", condition, file, line);
    abort();
}

#endif
