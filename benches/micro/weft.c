/* What the small things cost, in nanoseconds each: the best and the median of `REPETITIONS` runs.
 *
 *     build/release/benches/bench_micro [CASE…] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define REPETITIONS 7

static const int yields = 1000000, spawns = 1000000, pings = 500000, sleeps = 1000000, fib_n = 27;

/* ---- yield: two tasks take turns ---- */

static intptr_t yielder(void *arg) {
    for (int i = 0; i < yields / 2; i++) weft_yield();
    return (intptr_t)arg;
}

static long bench_yield(void) {
    weft_task *a = weft_spawn(yielder, NULL), *b = weft_spawn(yielder, NULL);
    weft_join(a);
    weft_join(b);
    return yields;
}

/* ---- spawn: one task after the other, joined at once; or all, then joined ---- */

static intptr_t nothing(void *arg) { return (intptr_t)arg; }

static long bench_spawn_join(void) {
    for (int i = 0; i < spawns; i++) weft_join(weft_spawn(nothing, NULL));
    return spawns;
}

static long bench_spawn_many(void) {
    weft_task **tasks = malloc((size_t)spawns * sizeof *tasks);
    if (!tasks) return 1;
    for (int i = 0; i < spawns; i++) tasks[i] = weft_spawn(nothing, NULL);
    for (int i = 0; i < spawns; i++) weft_join(tasks[i]);
    free(tasks);
    return spawns;
}

/* ---- fib: a task, or a parallel call, per inner call ---- */

static long fib_calls(int n) { return n < 2 ? 0 : 1 + fib_calls(n - 1) + fib_calls(n - 2); }

static intptr_t fib(void *arg) {
    intptr_t n = (intptr_t)arg;
    if (n < 2) return n;
    weft_task *task = weft_spawn(fib, (void *)(n - 1));
    intptr_t b = fib((void *)(n - 2));
    return weft_join(task) + b;
}

static intptr_t fib_parallel(void *arg) {
    intptr_t n = (intptr_t)arg;
    if (n < 2) return n;
    weft_parallel call;
    weft_parallel_start(&call, fib_parallel, (void *)(n - 1));
    intptr_t b = fib_parallel((void *)(n - 2));
    return weft_parallel_join(&call) + b;
}

static long bench_fib(void) {
    fib((void *)(intptr_t)fib_n);
    return fib_calls(fib_n);
}

static long bench_fib_parallel(void) {
    fib_parallel((void *)(intptr_t)fib_n);
    return fib_calls(fib_n);
}

/* ---- ping-pong: two tasks wake each other through futures ---- */

static weft_future *ping[2];

static intptr_t ponger(void *arg) {
    (void)arg;
    for (int i = 0; i < pings; i++) {
        weft_join(ping[0]);
        ping[0] = weft_future_new();
        weft_future_set_result(ping[1], i);
    }
    return 0;
}

static long bench_ping_pong(void) {
    ping[0] = weft_future_new();
    ping[1] = weft_future_new();
    weft_task *task = weft_spawn(ponger, NULL);
    weft_yield();
    for (int i = 0; i < pings; i++) {
        weft_future *reply = ping[1];
        weft_future_set_result(ping[0], i);
        weft_join(reply);
        ping[1] = weft_future_new();
    }
    weft_join(task);
    weft_release(ping[0]);
    weft_release(ping[1]);
    return pings;
}

/* ---- a timeout scope that does not fire: a timer inserted and cancelled ---- */

static long bench_timeout(void) {
    for (int i = 0; i < sleeps; i++) {
        weft_timeout limit;
        weft_timeout_enter(&limit, WEFT_SEC(10));
        weft_timeout_exit(&limit, 0);
    }
    return sleeps;
}

/* ---- gather of 1000 tasks, per task; wait_for that does not fire, of a coroutine and of a task ---- */

enum { GATHERED = 1000 };

static long bench_gather(void) {
    static weft_future *all[GATHERED];
    static intptr_t results[GATHERED];
    for (int i = 0; i < spawns / GATHERED; i++) {
        for (int k = 0; k < GATHERED; k++) all[k] = weft_coroutine(nothing, NULL);
        weft_await(weft_gather(all, GATHERED, (weft_gather_options){.results = results}));
    }
    return spawns;
}

static long bench_wait_for(void) {
    for (int i = 0; i < sleeps; i++) weft_wait_for(weft_coroutine(nothing, NULL), WEFT_SEC(10));
    return sleeps;
}

static long bench_wait_for_task(void) {
    for (int i = 0; i < sleeps; i++) {
        weft_task *task = weft_spawn(nothing, NULL);
        weft_wait_for(task, WEFT_SEC(10));
        weft_release(task);
    }
    return sleeps;
}

/* ---- a task group of 1000 members, per member ---- */

static long bench_group(void) {
    for (int i = 0; i < spawns / GATHERED; i++) {
        weft_task_group group;
        weft_task_group_enter(&group);
        for (int k = 0; k < GATHERED; k++) weft_task_group_create_task(&group, weft_coroutine(nothing, NULL));
        weft_task_group_exit(&group, 0);
    }
    return spawns;
}

/* ---- the runner ---- */

static const struct {
    const char *name;
    long (*run)(void);
} cases[] = {
    {"yield", bench_yield},         {"spawn_join", bench_spawn_join}, {"spawn_many", bench_spawn_many},
    {"fib_tasks", bench_fib},       {"fib_parallel", bench_fib_parallel}, {"ping_pong", bench_ping_pong},
    {"timeout_scope", bench_timeout}, {"gather_1000", bench_gather}, {"wait_for", bench_wait_for},
    {"wait_for_task", bench_wait_for_task}, {"group_1000", bench_group},
};

static intptr_t timed(void *arg) {
    long (*run)(void) = *(long (**)(void))arg;
    int64_t start = weft_time();
    long count = run();
    return (intptr_t)((weft_time() - start) * 100 / count);
}

static int by_value(const void *a, const void *b) {
    intptr_t x = *(const intptr_t *)a, y = *(const intptr_t *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, long (*run)(void), unsigned workers) {
    intptr_t ns[REPETITIONS];
    for (int i = 0; i < REPETITIONS; i++)
        ns[i] = weft_run_fn_with((weft_options){.workers = workers}, timed, &run);
    qsort(ns, REPETITIONS, sizeof ns[0], by_value);
    printf("%-14s %u worker%s  best %8.2f ns  median %8.2f ns\n", name, workers, workers > 1 ? "s" : " ",
           (double)ns[0] / 100, (double)ns[REPETITIONS / 2] / 100);
    fflush(stdout);
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool wanted = argc == 1;
        for (int j = 1; j < argc; j++) wanted |= strcmp(argv[j], cases[i].name) == 0;
        for (unsigned workers = 1; wanted && workers <= 2; workers++) measure(cases[i].name, cases[i].run, workers);
    }
    return 0;
}
