/* The physical limits beside weft's figures: bare fcontext switches, without a scheduler.
 *
 *     build/release/benches/bench_micro_limit */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JUMPS 20000000
#define STACK_BYTES 65536
#define REPETITIONS 7

struct transfer {
    void *context, *data;
};
extern struct transfer jump_fcontext(void *to, void *data);
extern void *make_fcontext(void *stack_top, size_t bytes, void (*entry)(struct transfer));

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void back_and_forth(struct transfer from) {
    for (;;) from = jump_fcontext(from.context, NULL);
}

static void once(struct transfer from) { jump_fcontext(from.context, NULL); }

int main(void) {
    char *stack = malloc(STACK_BYTES);
    double jump = 1e9, start = 1e9;
    if (!stack) return 1;
    for (int r = 0; r < REPETITIONS; r++) {
        struct transfer other = {make_fcontext(stack + STACK_BYTES, STACK_BYTES, back_and_forth), NULL};
        double begin = now_ns();
        for (int i = 0; i < JUMPS / 2; i++) other = jump_fcontext(other.context, NULL);
        double each = (now_ns() - begin) / JUMPS;
        if (each < jump) jump = each;
        begin = now_ns();
        for (int i = 0; i < JUMPS / 4; i++)
            jump_fcontext(make_fcontext(stack + STACK_BYTES, STACK_BYTES, once), NULL);
        each = (now_ns() - begin) / (JUMPS / 4);
        if (each < start) start = each;
    }
    printf("%-22s best %8.2f ns\n%-22s best %8.2f ns\n", "a bare jump", jump, "make, enter and leave", start);
    free(stack);
    return 0;
}
