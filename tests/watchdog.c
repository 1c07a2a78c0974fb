/* Debug mode's report of a slow step, made while the step still runs: the step does not end before it is there. */
#define _GNU_SOURCE
#include "stderr_support.h"

#include <poll.h>

#define PATIENCE_NS WEFT_SEC(30)

/* ---- slow steps ---- */

static const char *awaited; /* what must be said before the step ends */

static intptr_t compute(void *arg) {
    (void)arg;
    for (int64_t end = weft_time() + PATIENCE_NS; times_said(awaited) == 0;) {
        for (volatile unsigned i = 0; i < 10000000; i++) {}
        must(weft_time() < end);
    }
    return 0;
}

/* In a system call, for long enough each time. */
static intptr_t block(void *arg) {
    (void)arg;
    for (int64_t end = weft_time() + PATIENCE_NS; times_said(awaited) == 0;) {
        must_equal(poll(NULL, 0, 300), 0);
        must(weft_time() < end);
    }
    return 0;
}

struct step {
    weft_fn *fn;
    const char *name;
};

static intptr_t run_step(void *arg) {
    struct step *step = arg;
    weft_task_options options = {.name = step->name};
    weft_task *task = weft_create_task_with(options, weft_coroutine(step->fn, NULL));
    must_equal(weft_sleep(WEFT_MS(1)), 0); /* so that it is not run in place, as a part of our step */
    return weft_join(task);
}

static void expect_report(struct step step, const char *report, const char *end, bool stack,
                          weft_options options) {
    int before = stderr_begin();
    options.debug = 1;
    awaited = report;
    intptr_t result = weft_run_fn_with(options, run_step, &step);
    unsigned reports = times_said(report), sites = times_said("made at"), ends = times_said(end);
    bool has_stack = times_said("weft:   #0 ") > 0;
    stderr_end(before);
    assert_int_equal(result, 0);
    assert_int_equal(reports, 1);
    assert_int_equal(ends, 1);
    assert_true(sites >= 2);
    if (stack) assert_true(has_stack);
}

static void test_slow_step_is_reported_while_it_runs(void **state) {
    (void)state;
    static const weft_options options[] = {
        {.workers = 2}, {.workers = 1}, {.fifo = true}, {.workers = 2, .no_rescue = true}};
    bool stack = !TSAN; /* it defers the signal, which reads the stack, while the thread computes */
    for (unsigned i = 0; i < sizeof options / sizeof options[0]; i++) {
        expect_report((struct step){compute, "cruncher"}, "weft: task 'cruncher'",
                      "executing task 'cruncher' took", stack, options[i]);
        expect_report((struct step){block, "blocker"}, "weft: task 'blocker'", "executing task 'blocker' took",
                      false, options[i]);
    }
}

static intptr_t compute_a_while(void *arg) {
    (void)arg;
    for (int64_t end = weft_time() + WEFT_MS(200); weft_time() < end;) {}
    return 0;
}

static void test_silent_without_debug_mode(void **state) {
    (void)state;
    int before = stderr_begin();
    struct step step = {compute_a_while, "cruncher"};
    intptr_t result = weft_run_fn_with((weft_options){.workers = 2, .debug = -1}, run_step, &step);
    unsigned lines = times_said("weft");
    stderr_end(before);
    assert_int_equal(result, 0);
    assert_int_equal(lines, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slow_step_is_reported_while_it_runs),
                                       cmocka_unit_test(test_silent_without_debug_mode)};
    return run_group(tests);
}
