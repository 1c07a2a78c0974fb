/* Wake-up moderation (runtime/moderation.h): when it begins and ends, and whom it concerns. */
#define _GNU_SOURCE
#include "structures.h"

#include <sched.h>
#include <sys/wait.h>

#include "runtime/worker.h"

/* ---- when ---- */

enum { WORKERS = 2, ON_FROM = 20, OFF_BELOW = 10 }; /* completions per worker and millisecond: see moderation.c */

/* `rate`: of both workers together, per millisecond. */
static bool decided(struct weft__runtime *runtime, unsigned rate) {
    enum { MILLISECONDS = 4 };
    struct weft__driver *driver = runtime->workers[1].driver;
    counter_add(&driver->counters.completions, rate * MILLISECONDS);
    weft__moderation_look(runtime, runtime->moderation.since_ns + WEFT_MS(MILLISECONDS));
    return load_relaxed(&runtime->moderation.on);
}

static void test_begins_under_load_and_ends_later(void **state) {
    struct weft__driver drivers[WORKERS] = {0};
    struct weft__worker *workers = calloc(WORKERS, sizeof *workers);
    struct weft__runtime *runtime = calloc(1, sizeof *runtime);
    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) workers[i].driver = &drivers[i];
    runtime->workers = workers;
    runtime->worker_count = WORKERS;
    assert_false(decided(runtime, WORKERS * ON_FROM - 1));
    assert_true(decided(runtime, WORKERS * ON_FROM));
    assert_true(decided(runtime, WORKERS * OFF_BELOW));
    assert_false(decided(runtime, WORKERS * OFF_BELOW - 1));
    assert_false(decided(runtime, WORKERS * OFF_BELOW));
    free(workers);
    free(runtime);
}

/* ---- who ---- */

static void thread_class(void *class) { *(int *)class = sched_getscheduler(0); }

static int class_of_new_thread(void) {
    weft__thread thread;
    int class = -1;
    must_equal(weft__world_thread_start(&thread, thread_class, &class), 0);
    weft__world_thread_join(&thread);
    return class;
}

static int class_of_new_child(void) {
    int status;
    pid_t child = fork();
    if (child == 0) _exit(sched_getscheduler(0));
    must(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The worker's class once it has slept; a single worker has no watchman, who would change what is set here. */
static int class_after(bool on) {
    store_relaxed(&weft__world_worker()->runtime->moderation.on, on);
    must_equal(weft_sleep(WEFT_MS(1)), 0);
    return sched_getscheduler(0);
}

static intptr_t scene(void *arg) {
    must_equal(class_after(false), SCHED_OTHER);
    must_equal(class_after(true), SCHED_BATCH);
    must_equal(class_of_new_thread(), SCHED_OTHER);
    must_equal(class_of_new_child(), SCHED_OTHER);
    must_equal(sched_getscheduler(0), SCHED_BATCH);
    must_equal(class_after(false), SCHED_OTHER);
    must_equal(class_after(true), SCHED_BATCH);
    return (intptr_t)arg;
}

static void test_concerns_workers_alone(void **state) {
    (void)state;
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 1}, scene, NULL), 0);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

/* Whoever has chosen a class for the thread keeps it. */
static intptr_t chosen(void *arg) {
    must_equal(class_after(true), SCHED_IDLE);
    must_equal(class_after(false), SCHED_IDLE);
    return (intptr_t)arg;
}

static void chooses(unsigned index, void *arg) {
    static const struct sched_param none;
    (void)arg;
    if (index == 0) return; /* it could not go back to its own */
    must_equal(sched_setscheduler(0, SCHED_IDLE, &none), 0);
    must_equal(weft_run_fn_with((weft_options){.workers = 1}, chosen, NULL), 0);
    must_equal(sched_getscheduler(0), SCHED_IDLE);
}

static void test_leaves_a_chosen_class_alone(void **state) {
    (void)state;
    run_together(2, chooses, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_under_load_and_ends_later),
        cmocka_unit_test(test_concerns_workers_alone),
        cmocka_unit_test(test_leaves_a_chosen_class_alone),
    };
    return run_group(tests);
}
