/* Out of memory: whichever allocation of the program fails, a submission ends with its result or with -ENOMEM, and
 * nothing leaks. The fork server and the workers are not touched: they have been forked before. */
#include "process_support.h"

#include <limits.h>

static _Atomic long countdown = LONG_MAX; /* allocations until the first failure */
static _Atomic bool only_one;             /* only that one fails; else all from there on */

static bool fails(void) {
    if (atomic_load(&countdown) == LONG_MAX) return false;
    long left = atomic_fetch_sub(&countdown, 1);
    return atomic_load(&only_one) ? left == 0 : left <= 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __real_ftruncate(int fd, off_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __wrap_ftruncate(int fd, off_t bytes);

static bool fails_with(int error) {
    if (!fails()) return false;
    *__errno_location() = error;
    return true;
}

void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return fails() ? NULL : __real_calloc(count, bytes); }
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return fails_with(ENOMEM) ? MAP_FAILED : __real_mmap(address, bytes, protection, flags, fd, offset);
}
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes) {
    return fails_with(ENOMEM) ? -1 : __real_fallocate(fd, mode, offset, bytes);
}
int __wrap_ftruncate(int fd, off_t bytes) { return fails_with(ENOMEM) ? -1 : __real_ftruncate(fd, bytes); }

WEFT_JOB(echo) {
    char *output = weft_job_reply(job, job->input_bytes);
    if (!output) return -ENOMEM;
    memcpy(output, job->input, job->input_bytes);
    return 1;
}

/* Jobs of three sizes, on a pool of its own, from a plain thread: the sum of their results, or the first error. */
static intptr_t program(void) {
    static char input[100000], output[100000];
    static const size_t sizes[] = {8, 4096, 100000};
    intptr_t sum = 0;
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 2});
    for (int i = 0; i < 6; i++) {
        intptr_t result = weft_process_pool_call(pool, echo, input, sizes[i % 3], output, sizes[i % 3]);
        if (sum >= 0) sum = result < 0 ? result : sum + result;
    }
    int error = weft_process_pool_close(pool, WEFT_SEC(10));
    if (error) sum = error;
    weft_process_pool_release(pool);
    return sum;
}

static void every_allocation(bool one) {
    int failures = 0;
    atomic_store(&only_one, one);
    for (long n = 0;; n++) {
        int descriptors = open_descriptors();
        atomic_store(&countdown, n);
        intptr_t result = program();
        bool reached = atomic_exchange(&countdown, LONG_MAX) <= (one ? -1 : 0);
        if (result != 6) must_equal(result, -ENOMEM);
        must(result == 6 || reached);
        must_equal(open_descriptors(), descriptors);
        failures += result != 6;
        if (!reached) break;
        must(n < 1000);
    }
    assert_true(failures > 10); /* else it failed nothing */
}

static void test_one_allocation_fails(void **state) {
    (void)state;
    every_allocation(true);
}

static void test_all_fail_from_there_on(void **state) {
    (void)state;
    every_allocation(false);
}

int main(void) {
    must_equal(weft_process_pool_prepare(), 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_allocation_fails),
                                       cmocka_unit_test(test_all_fail_from_there_on)};
    return run_process_group(tests);
}
