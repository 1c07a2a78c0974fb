/* What the small things cost, in nanoseconds each: the best and the median of `REPETITIONS` runs.
 *
 *     build/release/benches/bench_micro [CASE…] */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

#define REPETITIONS 7
#define CALLS 500000L

static const int yields = 1000000, spawns = 1000000, pings = 500000, sleeps = 1000000, operations = 2000000,
                 fib_n = 27;

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

/* ---- locks, events and semaphores that nobody else wants ---- */

static long bench_lock(void) {
    weft_lock lock = WEFT_LOCK_INIT;
    for (int i = 0; i < operations; i++) {
        weft_lock_acquire(&lock);
        weft_lock_release(&lock);
    }
    return operations;
}

static long bench_event(void) {
    weft_event event = WEFT_EVENT_INIT;
    for (int i = 0; i < operations; i++) {
        weft_event_set(&event);
        weft_event_wait(&event);
        weft_event_clear(&event);
    }
    return operations;
}

static long bench_semaphore(void) {
    weft_semaphore semaphore = WEFT_SEMAPHORE_INIT(3);
    for (int i = 0; i < operations; i++) {
        weft_semaphore_acquire(&semaphore);
        weft_semaphore_release(&semaphore);
    }
    return operations;
}

static long bench_queue(void) {
    weft_queue queue = WEFT_QUEUE_INIT(0);
    intptr_t item;
    for (int i = 0; i < operations; i++) {
        weft_queue_put(&queue, i);
        weft_queue_get(&queue, &item);
    }
    weft_queue_fini(&queue);
    return operations;
}

/* ---- a lock that goes from one task to the other: each release hands it over ---- */

static intptr_t hands_over(void *arg) {
    weft_lock *lock = arg;
    for (int i = 0; i < pings; i++) {
        weft_lock_acquire(lock);
        weft_yield(); /* the other one gets in line meanwhile */
        weft_lock_release(lock);
    }
    return 0;
}

static long bench_lock_hand_off(void) {
    weft_lock lock = WEFT_LOCK_INIT;
    weft_task *a = weft_spawn(hands_over, &lock), *b = weft_spawn(hands_over, &lock);
    weft_join(a);
    weft_join(b);
    return 2L * pings;
}

/* ---- queue ping-pong: a round trip between two tasks; and between two that stay on a worker each ---- */

static weft_queue there, back;

static intptr_t echoes(void *arg) {
    intptr_t item;
    while (weft_queue_get(&there, &item) == 0) weft_queue_put(&back, item);
    return (intptr_t)arg;
}

static long queue_round_trips(weft_task *echo, int count) {
    intptr_t item;
    for (int i = 0; i < count; i++) {
        weft_queue_put(&there, i);
        weft_queue_get(&back, &item);
    }
    weft_queue_shutdown(&there, false);
    weft_join(echo);
    weft_queue_fini(&there);
    weft_queue_fini(&back);
    return count;
}

static void make_queues(void) {
    weft_queue_init(&there, 0);
    weft_queue_init(&back, 0);
}

static long bench_queue_ping(void) {
    make_queues();
    return queue_round_trips(weft_spawn(echoes, NULL), pings);
}

static weft_loop *asker_loop;
static _Atomic(weft_loop *) other_loop;

static intptr_t reports_loop(void *arg) {
    weft_loop *loop = weft_get_running_loop();
    if (loop != asker_loop) other_loop = loop;
    return (intptr_t)arg;
}

/* A loop that is not ours: of tasks that wait while we are busy, one is stolen. */
static weft_loop *another_loop(void) {
    other_loop = NULL;
    asker_loop = weft_get_running_loop();
    while (!other_loop) {
        weft_go(reports_loop, NULL);
        weft_go(reports_loop, NULL);
        for (int64_t end = weft_time() + WEFT_US(200); !other_loop && weft_time() < end;) {}
        weft_yield();
    }
    return other_loop;
}

static intptr_t asks_across(void *arg) {
    (void)arg;
    make_queues();
    weft_task_options there_pinned = {.loop = another_loop()};
    return queue_round_trips(weft_create_task_with(there_pinned, weft_coroutine(echoes, NULL)), pings / 20);
}

static long bench_queue_across(void) {
    weft_task_options pinned = {.pinned = true};
    return weft_join(weft_create_task_with(pinned, weft_coroutine(asks_across, NULL)));
}

/* ---- the runner ---- */

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

/* ---- callbacks from other threads, per callback; all of them keep the loop busy ---- */

static _Atomic long called;
static void count_call(void *arg) {
    (void)arg;
    called++; /* one loop, one thread; the atomic is for the waiting task */
}

static void *produce(void *loop) {
    for (long i = 0; i < CALLS; i++) weft_loop_call_soon_threadsafe(loop, count_call, NULL);
    return NULL;
}

static long bench_calls_from(int threads) {
    pthread_t producers[4];
    weft_loop *loop = weft_get_running_loop();
    called = 0;
    for (int i = 0; i < threads; i++) pthread_create(&producers[i], NULL, produce, loop);
    while (called < threads * CALLS) weft_yield();
    for (int i = 0; i < threads; i++) pthread_join(producers[i], NULL);
    return threads * CALLS;
}

static long bench_calls_1(void) { return bench_calls_from(1); }
static long bench_calls_4(void) { return bench_calls_from(4); }

static const struct {
    const char *name;
    long (*run)(void);
    unsigned least_workers;
} cases[] = {
    {"yield", bench_yield, 1},
    {"spawn_join", bench_spawn_join, 1},
    {"spawn_many", bench_spawn_many, 1},
    {"fib_tasks", bench_fib, 1},
    {"fib_parallel", bench_fib_parallel, 1},
    {"ping_pong", bench_ping_pong, 1},
    {"timeout_scope", bench_timeout, 1},
    {"lock", bench_lock, 1},
    {"lock_hand_off", bench_lock_hand_off, 1},
    {"event", bench_event, 1},
    {"semaphore", bench_semaphore, 1},
    {"queue", bench_queue, 1},
    {"queue_ping", bench_queue_ping, 1},
    {"queue_across", bench_queue_across, 2},
    {"gather", bench_gather, 1},
    {"wait_for", bench_wait_for, 1},
    {"wait_for_task", bench_wait_for_task, 1},
    {"task_group", bench_group, 1},
    {"calls_1_thread", bench_calls_1, 1},
    {"calls_4_threads", bench_calls_4, 1},
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
    printf("%-16s %u worker%s  best %8.2f ns  median %8.2f ns\n", name, workers, workers > 1 ? "s" : " ",
           (double)ns[0] / 100, (double)ns[REPETITIONS / 2] / 100);
    fflush(stdout);
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool wanted = argc == 1;
        for (int j = 1; j < argc; j++) wanted |= strcmp(argv[j], cases[i].name) == 0;
        for (unsigned workers = cases[i].least_workers; wanted && workers <= 2; workers++)
            measure(cases[i].name, cases[i].run, workers);
    }
    return 0;
}
