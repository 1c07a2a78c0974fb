#include "harness/weft_timing.h"

static intptr_t nothing(void *arg) { return (intptr_t)arg; }

/* ---- what nobody else wants ---- */

static void locks(long count) {
    weft_lock lock = WEFT_LOCK_INIT;
    for (long i = 0; i < count; i++) {
        weft_lock_acquire(&lock);
        weft_lock_release(&lock);
    }
}

static void events(long count) {
    weft_event event = WEFT_EVENT_INIT;
    for (long i = 0; i < count; i++) {
        weft_event_set(&event);
        weft_event_wait(&event);
        weft_event_clear(&event);
    }
}

static void semaphores(long count) {
    weft_semaphore semaphore = WEFT_SEMAPHORE_INIT(3);
    for (long i = 0; i < count; i++) {
        weft_semaphore_acquire(&semaphore);
        weft_semaphore_release(&semaphore);
    }
}

static void puts_and_gets(long count) {
    weft_queue queue = WEFT_QUEUE_INIT(0);
    intptr_t item;
    for (long i = 0; i < count; i++) {
        weft_queue_put(&queue, i);
        weft_queue_get(&queue, &item);
    }
    weft_queue_fini(&queue);
}

/* ---- a lock that goes from one task to the other: each release hands it over ---- */

static long times_each;

static intptr_t hands_over(void *arg) {
    weft_lock *lock = arg;
    for (long i = 0; i < times_each; i++) {
        weft_lock_acquire(lock);
        weft_yield(); /* the other one gets in line meanwhile */
        weft_lock_release(lock);
    }
    return 0;
}

static void lock_hand_offs(long count) {
    weft_lock lock = WEFT_LOCK_INIT;
    times_each = count / 2;
    weft_task *a = weft_spawn(hands_over, &lock), *b = weft_spawn(hands_over, &lock);
    weft_join(a);
    weft_join(b);
}

/* ---- a thousand tasks, by gather and by a group; wait_for of a coroutine and of a task that are in time ---- */

enum { TOGETHER = 1000 };

static void gathers(long count) {
    static weft_future *all[TOGETHER];
    static intptr_t results[TOGETHER];
    for (long i = 0; i < count; i++) {
        for (int k = 0; k < TOGETHER; k++) all[k] = weft_coroutine(nothing, NULL);
        weft_await(weft_gather(all, TOGETHER, (weft_gather_options){.results = results}));
    }
}

static void groups(long count) {
    for (long i = 0; i < count; i++) {
        weft_task_group group;
        weft_task_group_enter(&group);
        for (int k = 0; k < TOGETHER; k++) weft_task_group_create_task(&group, weft_coroutine(nothing, NULL));
        weft_task_group_exit(&group, 0);
    }
}

static void waits_for_coroutines(long count) {
    for (long i = 0; i < count; i++) weft_wait_for(weft_coroutine(nothing, NULL), WEFT_SEC(10));
}

static void waits_for_tasks(long count) {
    for (long i = 0; i < count; i++) {
        weft_task *task = weft_spawn(nothing, NULL);
        weft_wait_for(task, WEFT_SEC(10));
        weft_release(task);
    }
}

/* ---- the cases ---- */

static double lock(unsigned workers) { return weft_each_ns(workers, locks); }
static double lock_hand_off(unsigned workers) { return weft_each_ns(workers, lock_hand_offs); }
static double event(unsigned workers) { return weft_each_ns(workers, events); }
static double semaphore(unsigned workers) { return weft_each_ns(workers, semaphores); }
static double queue(unsigned workers) { return weft_each_ns(workers, puts_and_gets); }
static double gather(unsigned workers) { return weft_each_ns(workers, gathers) / TOGETHER; }
static double task_group(unsigned workers) { return weft_each_ns(workers, groups) / TOGETHER; }
static double wait_for(unsigned workers) { return weft_each_ns(workers, waits_for_coroutines); }
static double wait_for_task(unsigned workers) { return weft_each_ns(workers, waits_for_tasks); }

BENCH_MAIN({"lock", lock}, {"lock_hand_off", lock_hand_off}, {"event", event}, {"semaphore", semaphore},
           {"queue", queue}, {"gather", gather}, {"task_group", task_group}, {"wait_for", wait_for},
           {"wait_for_task", wait_for_task})
