/* Out of memory: whichever allocation fails, weft_run returns -ENOMEM or succeeds; nothing leaks, nothing
 * crashes. Each round is a process of its own, since the slab keeps its memory between runs. The allocations
 * of other libraries (liburing, pthreads) are not ours to fail. */
#include "api_support.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define ROUND_NOT_REACHED 3
#define ROUND_WRONG 4

static _Atomic long countdown = LONG_MAX; /* allocations until the first failure */
static _Atomic bool once;                 /* only that one fails; else all from there on */

static bool fails(void) {
    if (atomic_load(&countdown) == LONG_MAX) return false;
    long left = atomic_fetch_sub(&countdown, 1);
    return once ? left == 0 : left <= 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return fails() ? NULL : __real_calloc(count, bytes); }
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return fails() ? MAP_FAILED : __real_mmap(address, bytes, protection, flags, fd, offset);
}

/* ---- a small program that allocates everything that there is to allocate ---- */

#define MANY 1500 /* records of several slab chunks, and a deque that grows */

struct large {
    char bytes[200];
};

weft_async(one) { return 1; }
weft_async(with_large, (struct large, large)) { return large.bytes[199]; }
weft_async(parked, (weft_future *, gate)) { return weft_await(gate); }
static intptr_t wait_at(void *gate) { return weft_await(gate); }
static void open_gate(void *gate) { weft_future_set_result(gate, 1); }

static intptr_t worse(intptr_t a, intptr_t b) { return weft_is_error(a) ? a : weft_is_error(b) ? b : a + b; }

static weft_task *tasks[MANY];

static intptr_t many_tasks(void) {
    intptr_t sum = 0;
    for (int i = 0; i < MANY; i++) tasks[i] = weft_create_task(one());
    for (int i = 0; i < MANY; i++) sum = worse(sum, weft_join(tasks[i]));
    return sum;
}

/* Suspended calls that were taken from the deque need stacks of their own, more than one mapping holds. */
static intptr_t many_stacks(void) {
    weft_future *gate = weft_future_new();
    intptr_t sum = 0;
    weft_parallel calls[8];
    for (int i = 0; i < 8; i++) tasks[i] = weft_create_task(parked(gate));
    if (weft_done(gate)) open_gate(gate);
    else if (weft_loop_call_soon_threadsafe(weft_get_running_loop(), open_gate, gate).error) open_gate(gate);
    for (int i = 0; i < 8; i++) weft_parallel_start(&calls[i], wait_at, gate);
    for (int i = 0; i < 8; i++) sum = worse(sum, weft_parallel_join(&calls[i])); /* in the wrong order */
    for (int i = 0; i < 8; i++) sum = worse(sum, weft_join(tasks[i]));
    weft_release(gate);
    return sum;
}

weft_async(program) {
    intptr_t sum = many_tasks();
    sum = worse(sum, weft_await(with_large((struct large){{0}})));
    sum = worse(sum, weft_join(weft_create_task(with_large((struct large){{0}}))));
    sum = worse(sum, many_stacks());
    weft_task *deep = weft_create_task_with((weft_task_options){.stack_bytes = 64 << 20}, one());
    return worse(sum, weft_join(deep));
}

/* In a child: 0, ROUND_NOT_REACHED, ROUND_WRONG, or what a sanitizer says. */
static int round_of(weft_options options, long n, bool only_one) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        once = only_one;
        atomic_store(&countdown, n);
        intptr_t result = weft_run_with(options, program());
        bool reached = atomic_exchange(&countdown, LONG_MAX) < 0;
        bool right = result == MANY + 17 || (reached && result == -ENOMEM);
        if (!right) fprintf(stderr, "allocation %ld failed: %s (%ld)\n", n, weft_strerror(result), (long)result);
        exit(!right ? ROUND_WRONG : reached ? 0 : ROUND_NOT_REACHED);
    }
    int status = 0;
    must_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) fprintf(stderr, "allocation %ld failed: signal %d\n", n, WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void every_allocation(weft_options options) {
    for (int only_one = 0; only_one <= 1; only_one++) {
        long n = 0;
        int status;
        while ((status = round_of(options, n, only_one)) == 0 && n < 500) n++;
        assert_int_equal(status, ROUND_NOT_REACHED);
        assert_true(n > 5); /* else it failed nothing */
    }
}

static void test_strict(void **state) {
    (void)state;
    every_allocation((weft_options){.fifo = true, .stack_bytes = 16 << 20});
}

static void test_one_worker(void **state) {
    (void)state;
    every_allocation((weft_options){.workers = 1, .stack_bytes = 16 << 20});
}

static void test_two_workers(void **state) {
    (void)state;
    every_allocation((weft_options){.workers = 2, .stack_bytes = 16 << 20, .driver = "epoll"});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_strict), cmocka_unit_test(test_one_worker),
                                       cmocka_unit_test(test_two_workers)};
    return run_group(tests);
}
