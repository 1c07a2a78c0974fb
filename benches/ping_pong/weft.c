#include <stdatomic.h>

#include "harness/weft_timing.h"

/* ---- futures: each side makes the one that it waits for next ---- */

static weft_future *there, *back;

static intptr_t answers(void *count) {
    for (long i = 0; i < (long)(intptr_t)count; i++) {
        weft_join(there);
        there = weft_future_new();
        weft_future_set_result(back, i);
    }
    return 0;
}

static void future_round_trips(long count) {
    there = weft_future_new();
    back = weft_future_new();
    weft_task *task = weft_spawn(answers, (void *)(intptr_t)count);
    for (long i = 0; i < count; i++) {
        weft_future *answer = back;
        weft_future_set_result(there, i);
        weft_join(answer);
        back = weft_future_new();
    }
    weft_join(task);
    weft_release(there);
    weft_release(back);
}

/* ---- queues ---- */

static weft_queue questions, replies;

static intptr_t echoes(void *arg) {
    intptr_t item;
    while (weft_queue_get(&questions, &item) == 0) weft_queue_put(&replies, item);
    return (intptr_t)arg;
}

static void queue_round_trips(weft_task *echo, long count) {
    intptr_t item;
    for (long i = 0; i < count; i++) {
        weft_queue_put(&questions, i);
        weft_queue_get(&replies, &item);
    }
    weft_queue_shutdown(&questions, false);
    weft_join(echo);
    weft_queue_fini(&questions);
    weft_queue_fini(&replies);
}

static void make_queues(void) {
    weft_queue_init(&questions, 0);
    weft_queue_init(&replies, 0);
}

static void unpinned(long count) {
    make_queues();
    queue_round_trips(weft_spawn(echoes, NULL), count);
}

/* ---- queues between two workers ---- */

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

static intptr_t asks_across(void *count) {
    make_queues();
    weft_task_options there_pinned = {.loop = another_loop()};
    queue_round_trips(weft_create_task_with(there_pinned, weft_coroutine(echoes, NULL)), (long)(intptr_t)count);
    return 0;
}

static void pinned(long count) {
    weft_task_options here_pinned = {.pinned = true};
    weft_join(weft_create_task_with(here_pinned, weft_coroutine(asks_across, (void *)(intptr_t)count)));
}

static double futures(unsigned workers) { return weft_each_ns(workers, future_round_trips); }
static double queues(unsigned workers) { return weft_each_ns(workers, unpinned); }
static double queues_across(unsigned workers) { return weft_each_ns(workers, pinned); }

BENCH_MAIN({"futures", futures}, {"queues", queues}, {"queues_across", queues_across})
