/* The stack pool: stacks do not overlap, a caller who runs over the end dies in the guard (of each kind),
 * and memory that a burst took goes back to the kernel without the stacks being lost. */
#include "structures.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "runtime/stack.h"

#define SLOT_BYTES ((size_t)64 * 1024)
#define BIG_SLOT_BYTES ((size_t)256 * 1024)
#define WARM 1024   /* POOL_WARM_MOST in stack.c */
#define PAGE ((size_t)4096)
#ifdef WEFT__TSAN
#define MANY 1300   /* TSan has room for 8128 threads and fibers in all, and needs long for each */
#else
#define MANY 5000
#endif

enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL, which older headers lack */

/* A kernel that lacks things: see CMake's WRAP. */
static bool no_memory, no_markers, no_mprotect;
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_madvise(void *address, size_t bytes, int advice);
int __wrap_madvise(void *address, size_t bytes, int advice);
int __real_mprotect(void *address, size_t bytes, int protection);
int __wrap_mprotect(void *address, size_t bytes, int protection);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return no_memory ? MAP_FAILED : __real_mmap(address, bytes, protection, flags, fd, offset);
}
int __wrap_madvise(void *address, size_t bytes, int advice) {
    if (no_markers && advice == GUARD_INSTALL) return -1;
    return __real_madvise(address, bytes, advice);
}
int __wrap_mprotect(void *address, size_t bytes, int protection) {
    return no_mprotect ? -1 : __real_mprotect(address, bytes, protection);
}

/* ---- running something on a stack ---- */

struct job {
    void (*run)(struct weft__stack *stack, void *arg);
    void *arg;
    struct weft__fiber *back;
};

/* As the scheduler does: a fiber is made once, and runs one job after the other. */
static void entry(struct weft__fiber *fiber) {
    struct weft__stack *stack = weft__container_of(fiber, struct weft__stack, fiber);
    for (;;) {
        struct job *job = stack->task;
        job->run(stack, job->arg);
        weft__fiber_switch(fiber, job->back);
    }
}

static void run_on_stack(struct weft__stack *stack, void (*run)(struct weft__stack *stack, void *arg), void *arg) {
    static _Thread_local struct weft__fiber here;
    static _Thread_local bool adopted; /* once a thread: under ASan it reads /proc/self/maps */
    if (!adopted) weft__fiber_adopt_thread(&here);
    adopted = true;
    struct job job = {run, arg, &here};
    stack->task = &job;
    weft__fiber_switch(&here, &stack->fiber);
}

static void add_one(struct weft__stack *stack, void *arg) {
    char local;
    must(&local > stack->fiber.low && &local < stack->fiber.high);
    ++*(int *)arg;
}

/* Runs a little on the stack; fails if that does not come back. */
static void use(struct weft__stack *stack) {
    int calls = 0;
    run_on_stack(stack, add_one, &calls);
    must_equal(calls, 1);
}

static struct weft__stack *take(struct weft__stack_pool *pool, struct weft__stack_cache *cache) {
    struct weft__stack *stack = weft__stack_take(pool, cache);
    must(stack);
    must((char *)stack >= stack->base && (char *)(stack + 1) <= stack->base + pool->slot_bytes);
    must(stack->fiber.low == stack->base + pool->guard_bytes && stack->fiber.high <= (char *)stack);
    return stack;
}

/* What a child that runs `die` ends with: the signal, or 0. */
static int signal_of(void (*die)(struct weft__stack_pool *pool, struct weft__stack *stack),
                     struct weft__stack_pool *pool, struct weft__stack *stack) {
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL); /* the sanitizers have handlers of their own */
        signal(SIGABRT, SIG_DFL);
        fclose(stderr);
        die(pool, stack);
        _exit(0);
    }
    int status;
    must_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* ---- plain use ---- */

static void test_smoke(void **state) {
    (void)state;
    struct weft__stack_pool pool;
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    assert_true(pool.guard_bytes >= SLOT_BYTES / 4 && pool.guard_bytes % PAGE == 0);
    struct weft__stack *stack = take(&pool, NULL);
    use(stack);
    use(stack);
    weft__stack_give(&pool, NULL, stack);
    assert_ptr_equal(take(&pool, NULL), stack);
    use(stack);
    weft__stack_give(&pool, NULL, stack);
    weft__stack_pool_fini(&pool);
}

static void test_empty(void **state) {
    (void)state;
    struct weft__stack_pool pool;
    struct weft__stack_cache cache = {0};
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    assert_false(weft__stack_trim(&pool));
    weft__stack_flush(&pool, &cache);
    weft__stack_pool_fini(&pool);
}

/* The worker's cache gives back the warmest; the pool gives back the coldest. */
static void test_cache(void **state) {
    (void)state;
    enum { COUNT = 100 };
    struct weft__stack *stacks[COUNT];
    struct weft__stack_pool pool;
    struct weft__stack_cache cache = {0};
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    for (unsigned i = 0; i < COUNT; i++) stacks[i] = take(&pool, &cache);
    assert_int_equal(load_relaxed(&cache.hits), 0);
    assert_int_equal(load_relaxed(&cache.misses), COUNT);
    for (unsigned i = 0; i < COUNT; i++) weft__stack_give(&pool, &cache, stacks[i]);
    unsigned kept = cache.count;
    assert_in_range(kept, 1, COUNT - 1); /* it is bounded */
    assert_int_equal(pool.free.count, COUNT - kept);
    for (unsigned i = kept; i-- > 0;) assert_ptr_equal(take(&pool, &cache), stacks[i]);
    assert_int_equal(load_relaxed(&cache.hits), kept);
    for (unsigned i = kept; i < COUNT; i++) assert_ptr_equal(take(&pool, &cache), stacks[i]);
    assert_int_equal(cache.count, 0);
    for (unsigned i = 0; i < 10; i++) weft__stack_give(&pool, &cache, stacks[i]);
    weft__stack_flush(&pool, &cache);
    assert_null(cache.free);
    assert_int_equal(cache.count, 0);
    assert_int_equal(pool.free.count, 10);
    for (unsigned i = 10; i < COUNT; i++) weft__stack_give(&pool, NULL, stacks[i]);
    weft__stack_pool_fini(&pool);
}

static int by_address(const void *a, const void *b) {
    const struct weft__stack *const *x = a, *const *y = b;
    return ((*x)->base > (*y)->base) - ((*x)->base < (*y)->base);
}

/* Over several mappings: no two slots overlap, nor does a slot lie over a mapping's own record. */
static void test_distinct(void **state) {
    (void)state;
    struct weft__stack **stacks = calloc(MANY, sizeof *stacks);
    struct weft__stack_pool pool;
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    for (size_t i = 0; i < MANY; i++) stacks[i] = take(&pool, NULL);
    qsort(stacks, MANY, sizeof stacks[0], by_address);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(stacks[i]->base >= (char *)stacks[i]->mapping + SLOT_BYTES);
        if (i > 0) assert_true(stacks[i]->base >= stacks[i - 1]->base + SLOT_BYTES);
        weft__stack_give(&pool, NULL, stacks[i]);
    }
    weft__stack_pool_fini(&pool);
    free(stacks);
}

/* The hot ends of neighbours lie at different offsets, all within half a page or so. */
static void test_colours(void **state) {
    (void)state;
    enum { COUNT = 16 };
    struct weft__stack *stacks[COUNT];
    struct weft__stack_pool pool;
    uint64_t seen = 0;
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    for (unsigned i = 0; i < COUNT; i++) {
        stacks[i] = take(&pool, NULL);
        size_t off = (size_t)(stacks[i]->base + SLOT_BYTES - stacks[i]->fiber.high);
        assert_true(off < PAGE);
        assert_int_equal(seen >> off / 64 & 1, 0); /* a colour that nobody had */
        seen |= UINT64_C(1) << off / 64;
    }
    for (unsigned i = 0; i < COUNT; i++) weft__stack_give(&pool, NULL, stacks[i]);
    weft__stack_pool_fini(&pool);
}

/* All that lies between the guard and the top can be used. */
static void fill_down(struct weft__stack *stack, void *arg) {
    size_t bytes = (size_t)(stack->fiber.high - stack->fiber.low) / 64;
    volatile char here[bytes];
    size_t left = (size_t)((char *)(uintptr_t)here - stack->fiber.low);
    (void)arg;
    for (size_t i = 0; i < bytes; i++) here[i] = 1;
    if (left > 2 * bytes + 4096) fill_down(stack, arg);
    must(here[0] == 1 && here[bytes - 1] == 1);
}

static void test_deep(void **state) {
    (void)state;
    static const size_t slots[] = {WEFT__STACK_LEAST_BYTES, SLOT_BYTES, BIG_SLOT_BYTES, (size_t)64 << 20};
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        struct weft__stack_pool pool;
        weft__stack_pool_init(&pool, slots[i], entry);
        struct weft__stack *stacks[5];
        for (unsigned k = 0; k < 5; k++) run_on_stack(stacks[k] = take(&pool, NULL), fill_down, NULL);
        for (unsigned k = 0; k < 5; k++) {
            use(stacks[k]);
            weft__stack_give(&pool, NULL, stacks[k]);
        }
        weft__stack_pool_fini(&pool);
    }
}

static void test_without_memory(void **state) {
    (void)state;
    struct weft__stack_pool pool;
    struct weft__stack_cache cache = {0};
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    no_memory = true;
    struct weft__stack *nothing = weft__stack_take(&pool, NULL), *nothing_cached = weft__stack_take(&pool, &cache);
    no_memory = false;
    assert_null(nothing);
    assert_null(nothing_cached);
    struct weft__stack *stack = take(&pool, &cache);
    use(stack);
    weft__stack_give(&pool, &cache, stack);
    weft__stack_flush(&pool, &cache);
    weft__stack_pool_fini(&pool);
}

/* ---- guards ---- */

static void write_guard_top(struct weft__stack_pool *pool, struct weft__stack *stack) {
    *(volatile char *)(stack->base + pool->guard_bytes - 1) = 1;
}
static void write_guard_bottom(struct weft__stack_pool *pool, struct weft__stack *stack) {
    (void)pool;
    *(volatile char *)stack->base = 1;
}
static void write_lowest_usable(struct weft__stack_pool *pool, struct weft__stack *stack) {
    (void)pool;
    *(volatile char *)stack->fiber.low = 1;
}
#if !defined(WEFT__TSAN) /* which keeps a shadow of every fiber's stack, and that overflows first */
static void recurse(struct weft__stack *stack, void *arg) {
    volatile char here[512];
    here[0] = 1;
    if (here[0]) recurse(stack, arg);
    must(here[0] == 1);
}
static void overflow(struct weft__stack_pool *pool, struct weft__stack *stack) {
    (void)pool;
    run_on_stack(stack, recurse, NULL);
}
#endif

static void assert_guarded(struct weft__stack_pool *pool, struct weft__stack *stack) {
    assert_int_equal(signal_of(write_guard_top, pool, stack), SIGSEGV);
    assert_int_equal(signal_of(write_guard_bottom, pool, stack), SIGSEGV);
    assert_int_equal(signal_of(write_lowest_usable, pool, stack), 0);
#if !defined(WEFT__TSAN)
    assert_int_equal(signal_of(overflow, pool, stack), SIGSEGV);
#endif
}

/* A pool that is to make guards of kind `asked` makes those of kind `kind`, and they hold. */
static void guard_holds(enum weft__guard asked, enum weft__guard kind) {
    struct weft__stack_pool pool;
    struct weft__stack *stacks[3];
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    pool.guard = asked;
    for (unsigned i = 0; i < 3; i++) stacks[i] = take(&pool, NULL);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(stacks[i]->guard, kind);
        assert_guarded(&pool, stacks[i]);
        use(stacks[i]);
        assert_true(weft__stack_overflowed(&pool, stacks[i], stacks[i]->base));
        assert_true(weft__stack_overflowed(&pool, stacks[i], stacks[i]->base + pool.guard_bytes - 1));
        assert_false(weft__stack_overflowed(&pool, stacks[i], stacks[i]->base + pool.guard_bytes));
        assert_false(weft__stack_overflowed(&pool, stacks[i], stacks[i]->base - 1));
    }
    for (unsigned i = 0; i < 3; i++) weft__stack_give(&pool, NULL, stacks[i]);
    weft__stack_pool_fini(&pool);
}

/* The best guard that this kernel has. */
static enum weft__guard best_guard(void) {
    char *page = __real_mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool has_markers = __real_madvise(page, PAGE, GUARD_INSTALL) == 0;
    munmap(page, PAGE);
    return has_markers ? WEFT__GUARD_MARKER : WEFT__GUARD_MPROTECT;
}

static void test_guard_marker(void **state) {
    (void)state;
    guard_holds(WEFT__GUARD_MARKER, best_guard());
}

static void test_guard_mprotect(void **state) {
    (void)state;
    guard_holds(WEFT__GUARD_MPROTECT, WEFT__GUARD_MPROTECT);
}

static void give_back(struct weft__stack_pool *pool, struct weft__stack *stack) {
    weft__stack_give(pool, NULL, stack);
}
static void overwrite_and_give_back(struct weft__stack_pool *pool, struct weft__stack *stack) {
    memset(stack->base, 0, 16); /* how far an overflow must come to be seen */
    weft__stack_give(pool, NULL, stack);
}

static void test_guard_canary(void **state) {
    (void)state;
    struct weft__stack_pool pool;
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    pool.guard = WEFT__GUARD_CANARY;
    struct weft__stack *stack = take(&pool, NULL);
    assert_int_equal(stack->guard, WEFT__GUARD_CANARY);
    use(stack);
    assert_int_equal(signal_of(give_back, &pool, stack), 0);
    assert_int_equal(signal_of(overwrite_and_give_back, &pool, stack), SIGABRT);
    weft__stack_give(&pool, NULL, stack);
    weft__stack_pool_fini(&pool);
}

/* On an older kernel, and where the VMAs run out: the next best guard, for the stacks from then on. */
static void test_guards_degrade(void **state) {
    (void)state;
    struct weft__stack_pool pool;
    struct weft__stack *stacks[3];
    weft__stack_pool_init(&pool, SLOT_BYTES, entry);
    stacks[0] = take(&pool, NULL);
    no_markers = true;
    stacks[1] = take(&pool, NULL);
    no_mprotect = true;
    stacks[2] = take(&pool, NULL);
    no_markers = no_mprotect = false;
    assert_int_equal(stacks[0]->guard, best_guard());
    assert_int_equal(stacks[1]->guard, WEFT__GUARD_MPROTECT);
    assert_int_equal(stacks[2]->guard, WEFT__GUARD_CANARY);
    assert_guarded(&pool, stacks[0]);
    assert_guarded(&pool, stacks[1]);
    assert_int_equal(signal_of(overwrite_and_give_back, &pool, stacks[2]), SIGABRT);
    for (unsigned i = 0; i < 3; i++) {
        use(stacks[i]);
        weft__stack_give(&pool, NULL, stacks[i]);
    }
    weft__stack_pool_fini(&pool);
}

/* ---- trimming ---- */

static size_t resident_pages(struct weft__stack_pool *pool, char *base) {
    static unsigned char pages[BIG_SLOT_BYTES / 4096];
    size_t count = 0, bytes = pool->slot_bytes - pool->guard_bytes;
    must_equal(mincore(base + pool->guard_bytes, bytes, pages), 0);
    for (size_t i = 0; i < bytes / PAGE; i++) count += pages[i] & 1;
    return count;
}

struct burst {
    struct weft__stack_pool pool;
    struct weft__stack *stacks[MANY];
    char *bases[MANY];
};

/* MANY stacks, each with some pages of memory, given back. */
static void burst_begin(struct burst *burst, enum weft__guard kind) {
    weft__stack_pool_init(&burst->pool, SLOT_BYTES, entry);
    burst->pool.guard = kind;
    for (size_t i = 0; i < MANY; i++) {
        burst->stacks[i] = take(&burst->pool, NULL);
        burst->bases[i] = burst->stacks[i]->base;
        memset(burst->stacks[i]->fiber.low, 1, 2 * PAGE);
        use(burst->stacks[i]);
    }
    for (size_t i = 0; i < MANY; i++) weft__stack_give(&burst->pool, NULL, burst->stacks[i]);
}

static void trim_all(struct weft__stack_pool *pool) {
    size_t calls = 0;
    for (size_t before = pool->free.count; weft__stack_trim(pool); before = pool->free.count) {
        assert_true(pool->free.count < before); /* each call gets somewhere */
        calls++;
    }
    assert_true(calls > 1); /* and is a small piece of work */
    assert_int_equal(pool->free.count, WARM);
    assert_false(weft__stack_trim(pool));
    assert_int_equal(pool->free.count, WARM);
}

static size_t resident_stacks(struct burst *burst) {
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) count += resident_pages(&burst->pool, burst->bases[i]) > 0;
    return count;
}

/* Takes MANY stacks again: the trimmed ones too are whole, and no address space was needed. */
static void take_again(struct burst *burst) {
    char *next_slot = burst->pool.next_slot;
    for (size_t i = 0; i < MANY; i++) {
        burst->stacks[i] = take(&burst->pool, NULL);
        use(burst->stacks[i]);
        run_on_stack(burst->stacks[i], fill_down, NULL);
    }
    assert_ptr_equal(burst->pool.next_slot, next_slot);
    qsort(burst->stacks, MANY, sizeof burst->stacks[0], by_address);
    for (size_t i = 1; i < MANY; i++)
        assert_true(burst->stacks[i]->base >= burst->stacks[i - 1]->base + SLOT_BYTES);
}

static void give_all(struct burst *burst) {
    for (size_t i = 0; i < MANY; i++) weft__stack_give(&burst->pool, NULL, burst->stacks[i]);
}

static void trim_and_take_again(enum weft__guard kind) {
    struct burst *burst = calloc(1, sizeof *burst);
    burst_begin(burst, kind);
    assert_int_equal(resident_stacks(burst), MANY);
    trim_all(&burst->pool);
    assert_int_equal(resident_stacks(burst), WARM);
    for (unsigned round = 0; round < 2; round++) {
        take_again(burst);
        if (kind != WEFT__GUARD_CANARY)
            for (size_t i = 0; i < MANY; i += MANY / 4) assert_guarded(&burst->pool, burst->stacks[i]);
        give_all(burst);
        trim_all(&burst->pool);
        assert_int_equal(resident_stacks(burst), WARM);
    }
    weft__stack_pool_fini(&burst->pool);
    free(burst);
}

static void test_trim(void **state) {
    (void)state;
    trim_and_take_again(WEFT__GUARD_MARKER);
    trim_and_take_again(WEFT__GUARD_CANARY);
}

static void test_trim_mprotect(void **state) {
    (void)state;
    trim_and_take_again(WEFT__GUARD_MPROTECT);
}

/* Slots are trimmed while they have guards, and taken again when the pool has stopped making any: a guard
 * outlives the trimming, so the canary must not be written over it. */
static void test_trim_then_degrade(void **state) {
    (void)state;
    for (unsigned kind = WEFT__GUARD_MARKER; kind <= WEFT__GUARD_MPROTECT; kind++) {
        struct burst *burst = calloc(1, sizeof *burst);
        burst_begin(burst, (enum weft__guard)kind);
        trim_all(&burst->pool);
        burst->pool.guard = WEFT__GUARD_CANARY;
        take_again(burst);
        give_all(burst);
        weft__stack_pool_fini(&burst->pool);
        free(burst);
    }
}

/* ---- threads ---- */

struct crowd {
    struct weft__stack_pool pool;
    size_t rounds;
    _Atomic unsigned busy;
    _Atomic size_t trims;
};

static void hold(struct weft__stack *stack, void *arg) {
    volatile char *top = stack->fiber.high - 2048; /* if another had this stack too, it would write here */
    (void)arg;
    volatile unsigned mine = (unsigned)(uintptr_t)stack ^ (unsigned)(uintptr_t)pthread_self();
    unsigned before = mine;
    if (mine % 64 == 0) sched_yield();
    must_equal(mine, before);
    must(top > stack->fiber.low);
}

static void take_and_give(unsigned index, void *arg) {
    struct crowd *crowd = arg;
    struct weft__stack *held[32] = {0};
    struct weft__stack_cache own = {0}, *cache = index % 2 ? &own : NULL;
    uint64_t random = 29 + index;
    if (index == 0) {
        while (load_acquire(&crowd->busy) > 0) {
            weft__stack_trim(&crowd->pool);
            fetch_add_relaxed(&crowd->trims, 1);
            sched_yield();
        }
        return;
    }
    for (size_t i = 0; i < crowd->rounds; i++) {
        struct weft__stack **place = &held[(chance(&random) >> 20) % 32];
        if (*place) {
            must((*place)->task == place); /* nobody else had it meanwhile */
            weft__stack_give(&crowd->pool, cache, *place);
            *place = NULL;
        } else {
            *place = take(&crowd->pool, cache);
            run_on_stack(*place, hold, NULL);
            (*place)->task = place;
        }
        if (i % 1000 == 0) weft__stack_flush(&crowd->pool, &own);
    }
    for (unsigned i = 0; i < 32; i++)
        if (held[i]) weft__stack_give(&crowd->pool, cache, held[i]);
    weft__stack_flush(&crowd->pool, &own);
    fetch_sub_acq_rel(&crowd->busy, 1);
}

static void test_stress(void **state) {
    (void)state;
    enum { COUNT = WARM + 100 };
    static struct weft__stack *stacks[COUNT];
    struct crowd crowd = {.rounds = ROUNDS(100000), .busy = 4};
    weft__stack_pool_init(&crowd.pool, SLOT_BYTES, entry);
    for (unsigned i = 0; i < COUNT; i++) stacks[i] = take(&crowd.pool, NULL);
    for (unsigned i = 0; i < COUNT; i++)
        weft__stack_give(&crowd.pool, NULL, stacks[i]); /* there is something to trim */
    run_together(5, take_and_give, &crowd);
    assert_true(load_relaxed(&crowd.trims) > 0);
    weft__stack_pool_fini(&crowd.pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),          cmocka_unit_test(test_empty),
        cmocka_unit_test(test_cache),          cmocka_unit_test(test_distinct),
        cmocka_unit_test(test_colours),        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_without_memory), cmocka_unit_test(test_guard_marker),
        cmocka_unit_test(test_guard_mprotect), cmocka_unit_test(test_guard_canary),
        cmocka_unit_test(test_guards_degrade), cmocka_unit_test(test_trim),
        cmocka_unit_test(test_trim_mprotect),  cmocka_unit_test(test_trim_then_degrade),
        cmocka_unit_test(test_stress),
    };
    return run_group(tests);
}
