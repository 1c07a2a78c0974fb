/* What is said on stderr, caught for a test. */
#ifndef WEFT_TESTS_STDERR_SUPPORT_H
#define WEFT_TESTS_STDERR_SUPPORT_H

#include "support.h"

#include <sys/mman.h>
#if defined(WEFT__ASAN) || defined(WEFT__TSAN)
#include <sanitizer/common_interface_defs.h>
#endif

static int said; /* a file in memory */

static inline void show_failures_on(int fd) {
    *failures_fd() = fd;
#if defined(WEFT__ASAN) || defined(WEFT__TSAN)
    __sanitizer_set_report_fd((void *)(intptr_t)fd); /* NOLINT(performance-no-int-to-ptr): its signature */
#endif
}

/* From here on nothing is shown until the end, but for failures; returns what stderr_end needs. */
static inline int stderr_begin(void) {
    int before = dup(STDERR_FILENO);
    must((said = memfd_create("stderr", MFD_CLOEXEC)) >= 0 && before >= 0);
    must(dup2(said, STDERR_FILENO) >= 0);
    show_failures_on(before);
    return before;
}

/* Shows it after all. */
static inline void stderr_end(int before) {
    char text[4096];
    must(dup2(before, STDERR_FILENO) >= 0);
    show_failures_on(STDERR_FILENO);
    for (ssize_t at = 0, count; (count = pread(said, text, sizeof text, at)) > 0; at += count)
        if (write(before, text, (size_t)count) < 0) break;
    close(before);
    close(said);
}

/* How often `text` was said. Thread: one at a time. */
static inline unsigned times_said(const char *text) {
    static char all[1 << 16];
    ssize_t count = pread(said, all, sizeof all - 1, 0);
    unsigned times = 0;
    all[count > 0 ? count : 0] = '\0';
    for (const char *at = all; (at = strstr(at, text)); at++) times++;
    return times;
}

#endif
