/* What the tests of process pools share. */
#ifndef WEFT_TESTS_PROCESS_SUPPORT_H
#define WEFT_TESTS_PROCESS_SUPPORT_H

#include "api_support.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The children of a process, as the kernel lists them; `pid` has one thread, or is 0: ourselves. */
__attribute__((unused)) static unsigned children_of(pid_t pid, pid_t *children, unsigned most) {
    char path[64];
    if (pid) snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    else snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    unsigned count = 0;
    while (file && count < most && fscanf(file, "%d", &children[count]) == 1) count++;
    if (file) fclose(file);
    return count;
}

/* The fork server: the only child that a test has. */
__attribute__((unused)) static pid_t fork_server(void) {
    pid_t children[16];
    must_equal(children_of(0, children, 16), 1);
    return children[0];
}

__attribute__((unused)) static bool is_alive(pid_t pid) { return kill(pid, 0) == 0; }

/* Whether a process, of one thread, sleeps in the kernel. */
__attribute__((unused)) static bool is_asleep(pid_t pid) {
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    must(file && fscanf(file, "%*d %*s %c", &state) == 1);
    fclose(file);
    return state == 'S';
}

/* Gives the CPU away until `condition`; the test's own time limit ends it. */
#define wait_for_it(condition)                                                                               \
    do                                                                                                       \
        sched_yield();                                                                                       \
    while (!(condition))

#define no_options ((weft_job_options){0})

__attribute__((unused)) static weft_process_pool *pool_of(unsigned workers) {
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = workers});
    must_equal(weft_process_pool_error(pool), 0);
    return pool;
}

/* Submits without input or options. */
__attribute__((unused)) static weft_future *start_job(weft_process_pool *pool, const weft_job_descriptor *job) {
    return weft_process_pool_submit(pool, job, NULL, 0, no_options);
}

/* Closes the pool, and sees to it that it has nothing left to do. */
__attribute__((unused)) static void end_pool(weft_process_pool *pool) {
    must_equal(weft_process_pool_close(pool, WEFT_SEC(60)), 0);
    weft_process_pool_stats stats = weft_process_pool_get_stats(pool);
    must_equal(stats.workers, 0);
    must_equal(stats.running + stats.queued, 0);
    must_equal(stats.completed + stats.crashed + stats.timed_out + stats.cancelled + stats.abandoned,
               stats.submitted);
    must_equal(weft_process_pool_release(pool), 0);
}

/* Runs `fn` on a strict-order loop, on one worker and on two; no process may be left after that. */
__attribute__((unused)) static void on_all(weft_fn *fn) {
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, fn, NULL), 0);
        int status;
        assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
    }
}

/* Orphans of whatever the test has started become its own children, and would be found by on_all. */
#define run_process_group(tests)                                                                             \
    __extension__({                                                                                          \
        prctl(PR_SET_CHILD_SUBREAPER, 1);                                                                    \
        alarm(280);                                                                                          \
        run_group(tests);                                                                                    \
    })

#endif
