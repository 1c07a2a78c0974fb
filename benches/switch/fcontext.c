/* A bare jump. */
#include "harness/fcontext.h"
#include "harness/timing.h"

static char stack[65536];

static void back_and_forth(struct transfer from) {
    for (;;) from = jump_fcontext(from.context, NULL);
}

static void jumps(long count) {
    struct transfer other = {make_fcontext(stack + sizeof stack, sizeof stack, back_and_forth), NULL};
    for (long i = 0; i < count / 2; i++) other = jump_fcontext(other.context, NULL);
}

static double yields(unsigned workers) {
    (void)workers;
    return each_ns(jumps);
}

BENCH_MAIN({"yield", yields})
