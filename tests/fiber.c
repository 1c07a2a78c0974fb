/* Switching between fibers: each comes back to where it was, with the registers and the floating-point
 * mode that it had, from any thread; and a backtrace ends where the fiber began. */
#include "structures.h"

#include <execinfo.h>

#include "runtime/fiber.h"

#define STACK_BYTES ((size_t)64 * 1024)

struct strand {
    struct weft__fiber fiber; /* first: entry gets its address */
    struct weft__fiber *back; /* whom to switch to */
    char *memory;
    void (*body)(struct strand *strand);
    int turns;
    int result;
};

static void leave(struct strand *strand) { weft__fiber_switch(&strand->fiber, strand->back); }

static void entry(struct weft__fiber *fiber) {
    struct strand *strand = (struct strand *)fiber;
    strand->body(strand);
    leave(strand); /* for the last time */
    must(!"a finished fiber was continued");
}

/* `off`: by how much the stack's upper end is out of alignment. */
static void strand_init(struct strand *strand, struct weft__fiber *back, void (*body)(struct strand *strand),
                        size_t off) {
    *strand = (struct strand){.back = back, .body = body, .memory = aligned_alloc(64, STACK_BYTES)};
    must(strand->memory);
    weft__fiber_init(&strand->fiber, strand->memory, strand->memory + STACK_BYTES - off, entry);
}

static void strand_fini(struct strand *strand) {
    weft__fiber_fini(&strand->fiber);
    free(strand->memory);
}

static void ping_pong(struct strand *strand) {
    char mine[100];
    memset(mine, strand->turns, sizeof mine);
    for (int i = 0; i < strand->turns; i++) {
        must_equal(mine[i % 100], (char)strand->turns);
        strand->result = i;
        leave(strand);
    }
}

static void test_ping_pong(void **state) {
    (void)state;
    struct weft__fiber here;
    struct strand strand;
    weft__fiber_adopt_thread(&here);
    strand_init(&strand, &here, ping_pong, 0);
    strand.turns = ROUNDS(1000000);
    for (int i = 0; i < strand.turns; i++) {
        weft__fiber_switch(&here, &strand.fiber);
        assert_int_equal(strand.result, i);
    }
    weft__fiber_switch(&here, &strand.fiber);
    strand_fini(&strand);
}

/* Both sides are left, and come back, deep inside other calls each time. */
static void descend(struct strand *strand, int depth) {
    volatile char frame[200];
    memset((char *)(uintptr_t)frame, depth, sizeof frame);
    strand->result = depth;
    leave(strand);
    if (depth < strand->turns) descend(strand, depth + 1);
    must_equal(frame[199], (char)depth);
    leave(strand);
}

static void dive(struct strand *strand) { descend(strand, 0); }

static void climb(struct weft__fiber *here, struct strand *strand, int depth) {
    volatile char frame[300];
    memset((char *)(uintptr_t)frame, depth, sizeof frame);
    weft__fiber_switch(here, &strand->fiber);
    if (depth > 0) climb(here, strand, depth - 1);
    weft__fiber_switch(here, &strand->fiber);
    must_equal(frame[299], (char)depth);
}

static void test_any_depth(void **state) {
    (void)state;
    struct weft__fiber here;
    struct strand strand;
    weft__fiber_adopt_thread(&here);
    strand_init(&strand, &here, dive, 0);
    strand.turns = 49;
    climb(&here, &strand, 49); /* 100 switches there, 100 leaves here */
    assert_int_equal(strand.result, 49);
    strand_fini(&strand);
}

/* A fiber that is never run, or that is left half-way, can be finished. */
static void test_destruction(void **state) {
    (void)state;
    struct weft__fiber here;
    struct strand never, halfway;
    weft__fiber_adopt_thread(&here);
    strand_init(&never, &here, ping_pong, 0);
    strand_fini(&never);
    strand_init(&halfway, &here, ping_pong, 0);
    halfway.turns = 10;
    weft__fiber_switch(&here, &halfway.fiber);
    strand_fini(&halfway);
}

/* The upper end of the stack need not be aligned: the ABI's alignment is made. */
static void aligned_work(struct strand *strand) {
    _Alignas(16) volatile char buffer[64];
    volatile double x = strand->turns;
    char text[64];
    must_equal((uintptr_t)buffer % 16, 0);
    must_equal((uintptr_t)__builtin_frame_address(0) % 16, 0);
    snprintf(text, sizeof text, "%.3f", x / 3); /* libc saves SSE registers with aligned moves */
    strand->result = atoi(text);
}

static void test_any_end(void **state) {
    (void)state;
    struct weft__fiber here;
    weft__fiber_adopt_thread(&here);
    for (size_t off = 0; off < 130; off++) {
        struct strand strand;
        strand_init(&strand, &here, aligned_work, off);
        strand.turns = 30;
        weft__fiber_switch(&here, &strand.fiber);
        assert_int_equal(strand.result, 10);
        strand_fini(&strand);
    }
}

/* A ring of fibers: each continues the next, the last one comes back to the thread. */
static struct strand *ring;
static size_t ring_count;

static void pass_on(struct strand *strand) {
    size_t next = (size_t)(strand - ring) + 1;
    for (strand->result = 0; strand->result < strand->turns; strand->result++)
        weft__fiber_switch(&strand->fiber, next < ring_count ? &ring[next].fiber : strand->back);
}

static void test_many(void **state) {
    (void)state;
    struct weft__fiber here;
    ring_count = 1000;
    ring = calloc(ring_count, sizeof *ring);
    weft__fiber_adopt_thread(&here);
    for (size_t i = 0; i < ring_count; i++) {
        strand_init(&ring[i], &here, pass_on, 0);
        ring[i].turns = 50;
    }
    for (int turn = 0; turn < 50; turn++) {
        weft__fiber_switch(&here, &ring[0].fiber);
        for (size_t i = 0; i < ring_count; i++) assert_int_equal(ring[i].result, turn);
    }
    for (size_t i = 0; i < ring_count; i++) weft__fiber_switch(&here, &ring[i].fiber); /* each to its end */
    for (size_t i = 0; i < ring_count; i++) strand_fini(&ring[i]);
    free(ring);
}

/* Fills every callee-saved register with `pattern` + 0, 1, …, switches, and returns whether all are still
 * what they were. */
#if defined(__x86_64__)
void switch_out_of_line(struct weft__fiber *from, struct weft__fiber *to);
void switch_out_of_line(struct weft__fiber *from, struct weft__fiber *to) { weft__fiber_switch(from, to); }

int switch_with_pattern(struct weft__fiber *from, struct weft__fiber *to, uint64_t pattern);
__asm__(".text\n"
        ".type switch_with_pattern, @function\n"
        "switch_with_pattern:\n"
        "    pushq %rbx\n    pushq %rbp\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    pushq %rdx\n"
        "    movq %rdx, %rbx\n"
        "    leaq 1(%rdx), %rbp\n    leaq 2(%rdx), %r12\n    leaq 3(%rdx), %r13\n"
        "    leaq 4(%rdx), %r14\n    leaq 5(%rdx), %r15\n"
        "    call switch_out_of_line@PLT\n"
        "    popq %rdx\n"
        "    xorl %eax, %eax\n"
        "    cmpq %rdx, %rbx\n    jne 1f\n"
        "    incq %rdx\n    cmpq %rdx, %rbp\n    jne 1f\n"
        "    incq %rdx\n    cmpq %rdx, %r12\n    jne 1f\n"
        "    incq %rdx\n    cmpq %rdx, %r13\n    jne 1f\n"
        "    incq %rdx\n    cmpq %rdx, %r14\n    jne 1f\n"
        "    incq %rdx\n    cmpq %rdx, %r15\n    jne 1f\n"
        "    incl %eax\n"
        "1:  popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbp\n    popq %rbx\n"
        "    ret\n"
        ".size switch_with_pattern, .-switch_with_pattern\n");
#else
/* Elsewhere: more live values than there are registers to keep them in. */
static int switch_with_pattern(struct weft__fiber *from, struct weft__fiber *to, uint64_t pattern) {
    uint64_t a = pattern * 3, b = pattern ^ 5, c = pattern + 7, d = pattern - 11, e = ~pattern, f = pattern << 1;
    weft__fiber_switch(from, to);
    return a == pattern * 3 && b == (pattern ^ 5) && c == pattern + 7 && d == pattern - 11 && e == ~pattern &&
           f == pattern << 1;
}
#endif

static void keep_registers(struct strand *strand) {
    for (int i = 0; i < strand->turns; i++)
        strand->result += switch_with_pattern(&strand->fiber, strand->back, 0x5555000000000000 + (uint64_t)i * 16);
}

static void test_registers(void **state) {
    (void)state;
    struct weft__fiber here;
    struct strand strand;
    weft__fiber_adopt_thread(&here);
    strand_init(&strand, &here, keep_registers, 0);
    strand.turns = 1000;
    for (int i = 0; i <= strand.turns; i++)
        assert_true(switch_with_pattern(&here, &strand.fiber, 0xaaaa000000000000 + (uint64_t)i * 16));
    assert_int_equal(strand.result, strand.turns);
    strand_fini(&strand);
}

/* The rounding mode, which lives in two places: the x87 control word and MXCSR. 0 is to nearest. */
#if defined(__x86_64__)
static void set_rounding(unsigned mode) {
    uint16_t control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    control = (uint16_t)((control & ~0x0c00u) | mode << 10);
    __asm__ volatile("fldcw %0" : : "m"(control));
    __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~0x6000u) | mode << 13);
}

static bool rounding_is(unsigned mode) {
    uint16_t control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return (control >> 10 & 3) == mode && (__builtin_ia32_stmxcsr() >> 13 & 3) == mode;
}
#else
static void set_rounding(unsigned mode) { (void)mode; }
static bool rounding_is(unsigned mode) { return (void)mode, true; }
#endif

static void keep_rounding(struct strand *strand) {
    unsigned mode = (unsigned)strand->turns;
    set_rounding(mode);
    for (int i = 0; i < 100; i++) {
        leave(strand);
        must(rounding_is(mode));
    }
    strand->result = 1;
}

static void test_floating_point_mode(void **state) {
    (void)state;
    struct weft__fiber here;
    struct strand strands[4];
    weft__fiber_adopt_thread(&here);
    for (int mode = 0; mode < 4; mode++) {
        strand_init(&strands[mode], &here, keep_rounding, 0);
        strands[mode].turns = mode;
    }
    for (unsigned turn = 0; turn <= 100; turn++) {
        for (unsigned i = 0; i < 4; i++) {
            weft__fiber_switch(&here, &strands[i].fiber);
            assert_true(rounding_is(0));
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(strands[i].result, 1);
        strand_fini(&strands[i]);
    }
}

/* A fiber's frames, and nothing of who switched to it: profilers and debuggers must find the end. */
static void look_back(struct strand *strand) {
    void *frames[64];
    strand->result = backtrace(frames, 64);
}

static void test_backtrace(void **state) {
    (void)state;
    struct weft__fiber here;
    struct strand strand;
    weft__fiber_adopt_thread(&here);
    strand_init(&strand, &here, look_back, 0);
    weft__fiber_switch(&here, &strand.fiber);
    assert_in_range(strand.result, 2, 6);
    strand_fini(&strand);
}

/* A fiber goes on in whatever thread continues it. Two threads take turns with a few fibers each. */
#define WANDERERS 8
#define TRIPS ROUNDS(20000)

struct journey {
    struct strand strands[WANDERERS];
    _Atomic int stop[WANDERERS]; /* how many trips this one has made: even ones are for thread 0 */
};

static void wander(struct strand *strand) {
    volatile int trips = 0; /* on the stack, whichever thread it is */
    while (trips < strand->turns) {
        strand->result = trips++;
        leave(strand);
    }
}

static void travel(unsigned index, void *arg) {
    struct journey *journey = arg;
    struct weft__fiber here;
    weft__fiber_adopt_thread(&here);
    for (int trip = (int)index; trip < (int)TRIPS; trip += 2) {
        for (unsigned i = 0; i < WANDERERS; i++) {
            for (unsigned round = 0; load_acquire(&journey->stop[i]) != trip; round++) wait_a_little(round);
            journey->strands[i].back = &here;
            weft__fiber_switch(&here, &journey->strands[i].fiber);
            must_equal(journey->strands[i].result, trip);
            store_release(&journey->stop[i], trip + 1);
        }
    }
}

static void test_threads(void **state) {
    (void)state;
    static struct journey journey;
    for (unsigned i = 0; i < WANDERERS; i++) {
        strand_init(&journey.strands[i], NULL, wander, 0);
        journey.strands[i].turns = TRIPS;
    }
    run_together(2, travel, &journey);
    for (unsigned i = 0; i < WANDERERS; i++) strand_fini(&journey.strands[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_pong), cmocka_unit_test(test_any_depth), cmocka_unit_test(test_destruction),
        cmocka_unit_test(test_any_end),   cmocka_unit_test(test_many),
        cmocka_unit_test(test_registers), cmocka_unit_test(test_floating_point_mode),
        cmocka_unit_test(test_backtrace), cmocka_unit_test(test_threads),
    };
    return run_group(tests);
}
