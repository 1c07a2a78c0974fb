#include "harness/weft_timing.h"

#include "expire.h"

static void nothing(void *arg) { (void)arg; }

static void inserted_and_cancelled(long count) {
    weft_loop *loop = weft_get_running_loop();
    for (long i = 0; i < count; i++) weft_handle_cancel(weft_loop_call_later(loop, WEFT_SEC(10), nothing, NULL));
}

static void scopes(long count) {
    for (long i = 0; i < count; i++) {
        weft_timeout limit;
        weft_timeout_enter(&limit, WEFT_SEC(10));
        weft_timeout_exit(&limit, weft_yield());
    }
}

static weft_event gate = WEFT_EVENT_INIT; /* opens when every task has its memory */
static long waiting;

static intptr_t sleeper(void *i) {
    waiting++;
    weft_event_wait(&gate);
    weft_sleep_until((int64_t)expire_when_ns((long)(intptr_t)i));
    expired((long)(intptr_t)i);
    return 0;
}

static intptr_t sleep_all(void *arg) {
    for (long i = 0; i < SLEEPS; i++)
        if (weft_go(sleeper, (void *)(intptr_t)i) < 0) return -ENOMEM;
    while (waiting < SLEEPS) weft_sleep(WEFT_MS(10));
    expire_plan(10);
    weft_event_set(&gate);
    weft_sleep_until((int64_t)expire_begin_ns());
    expire_begin();
    while (expire_count < SLEEPS) weft_sleep(WEFT_MS(10));
    *(double *)arg = expire_finish();
    return 0;
}

static double insert_cancel(unsigned workers) { return weft_each_ns(workers, inserted_and_cancelled); }
static double timeout_scope(unsigned workers) { return weft_each_ns(workers, scopes); }

static double expire(unsigned workers) {
    double each;
    if (weft_run_fn_with((weft_options){.workers = workers}, sleep_all, &each) < 0) exit(1);
    return each;
}

BENCH_MAIN({"insert_cancel", insert_cancel}, {"timeout_scope", timeout_scope}, {"expire", expire})
