/* What the tests of the combinators share: loops of every sort, tasks that mark, sleep, fail, clean up. */
#ifndef WEFT_TESTS_COMBINE_SUPPORT_H
#define WEFT_TESTS_COMBINE_SUPPORT_H

#include "api_support.h"

#include "runtime/task.h"

/* Strict order, one worker, two workers. */
__attribute__((unused)) static void on_each_loop(weft_fn *fn) {
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, fn, NULL), 0);
}

/* Until the task waits for something: from then on it decides itself what a cancel request does. */
__attribute__((unused)) static void let_begin(weft_task *task) {
    struct weft__task *self = weft__task_of(task);
    while (!weft_done(task) && !atomic_load(&self->wait)) must_equal(weft_sleep(0), 0);
}

/* Waits for `future`, a plain one mostly: a task that ends when the test says so. */
weft_async(awaits_one, (weft_future *, future)) { return weft_await(future); }

/* `value` after `ms`; if it is cancelled, -ECANCELED after `cleanup_ms`. */
weft_async(after, (int, ms), (intptr_t, value)) {
    int r = weft_sleep(WEFT_MS(ms));
    return r < 0 ? r : value;
}

weft_async(cleans_up, (int, ms), (intptr_t, value)) {
    int r = weft_sleep(WEFT_SEC(1000));
    must_equal(r, -ECANCELED);
    must_equal(weft_sleep(WEFT_MS(ms)), 0);
    return value;
}

weft_async(forever) { return weft_sleep(WEFT_SEC(1000)); }

weft_async(never) {
    must(!"it was not to run");
    return 0;
}

/* Marks each turn of the loop with its number, so that a trace shows in which turn what happens. */
weft_async(ticker, (int, turns)) {
    for (int i = 0; i < turns; i++) {
        char number[12];
        snprintf(number, sizeof number, "%d", i);
        mark(number);
        must_equal(weft_sleep(0), 0);
    }
    return 0;
}

/* One turn, then a mark, then `value`. */
weft_async(marks, (const char *, what), (intptr_t, value)) {
    int r = weft_sleep(0);
    mark(what);
    return r < 0 ? r : value;
}

/* Sleeps until it is cancelled, and marks that. */
weft_async(marks_cancel, (const char *, what)) {
    int r = weft_sleep(WEFT_SEC(1000));
    mark(what);
    return r;
}

/* Runs `body` on a strict-order loop beside a ticker, as measured with CPython. */
static void (*traced_body)(void);
__attribute__((unused)) static intptr_t traced_main(void *arg) {
    (void)arg;
    weft_task *ticks = weft_create_task(ticker(9));
    traced_body();
    return weft_join(ticks);
}

#define assert_trace(body, expected)                                                                        \
    do {                                                                                                     \
        trace[0] = 0;                                                                                        \
        traced_body = body;                                                                                  \
        assert_int_equal(run_on(0, traced_main, NULL), 0);                                                   \
        assert_string_equal(trace, expected);                                                                \
    } while (0)

#endif
