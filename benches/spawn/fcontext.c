/* A stack is set up, entered and left. */
#include "harness/fcontext.h"
#include "harness/timing.h"

static char stack[65536];

static void once(struct transfer from) { jump_fcontext(from.context, NULL); }

static void enter_and_leave(long count) {
    for (long i = 0; i < count; i++) jump_fcontext(make_fcontext(stack + sizeof stack, sizeof stack, once), NULL);
}

static double each(unsigned workers) {
    (void)workers;
    return each_ns(enter_and_leave);
}

BENCH_MAIN({"spawn_join", each}, {"spawn_many", each})
