/* IO3: after fork the child has no loop and no workers, and may run its own. */
#include "support.h"

#include <dirent.h>
#include <sched.h>
#include <sys/wait.h>

weft_async(answer) {
    weft_sleep(WEFT_MS(1));
    return 42;
}

static void nothing(void *arg) { (void)arg; }

/* In the child of a task: the parent's loop is out of reach, a loop of its own works. */
static int look_around(weft_loop *parents) {
    if (weft_get_running_loop() || weft_current_task()) return 1;
    if (weft_loop_call_soon_threadsafe(parents, nothing, NULL).error != -EPERM) return 2;
    weft_future *task = weft_run_coroutine_threadsafe(answer(), parents);
    if (weft_result(task) != -EPERM) return 3;
    task = weft_spawn((weft_fn *)(uintptr_t)nothing, NULL);
    if (weft_result(task) != -EPERM) return 4;
    return weft_run(answer()) == 42 ? 0 : 5;
}

/* The state letter of a thread, as the kernel has it. */
static char state_of(const char *thread) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", thread);
    FILE *file = fopen(path, "r");
    must(file && fgets(text, sizeof text, file));
    fclose(file);
    return strrchr(text, ')')[2];
}

static int threads_that_run(void) {
    DIR *threads = opendir("/proc/self/task");
    int running = 0;
    must(threads);
    for (struct dirent *entry; (entry = readdir(threads));)
        if (entry->d_name[0] != '.' && state_of(entry->d_name) != 'S') running++;
    closedir(threads);
    return running;
}

/* Waits until all others sleep: gcc 12's ASan does not hold its allocator's locks over a fork, and the child of a
 * process in which another thread allocates at that moment may wait for it for ever. */
static void wait_until_others_sleep(void) {
    for (int looks = 0; looks < 3;) {
        looks = threads_that_run() == 1 ? looks + 1 : 0;
        sched_yield();
    }
}

static int run_child(weft_loop *parents) {
    int status = -1;
    wait_until_others_sleep();
    pid_t child = fork();
    if (child == 0) _exit(look_around(parents));
    must(child > 0 && waitpid(child, &status, 0) == child);
    return status;
}

weft_async(fork_here) {
    must_equal(run_child(weft_get_running_loop()), 0);
    must_equal(weft_await(answer()), 42); /* and the parent goes on as if nothing had happened */
    return 0;
}

static void test_fork_in_a_task(void **state) {
    (void)state;
    assert_int_equal(weft_run_with((weft_options){.workers = 2}, fork_here()), 0);
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, fork_here()), 0);
}

static void test_fork_between_runs(void **state) {
    (void)state;
    assert_int_equal(weft_run(answer()), 42);
    pid_t child = fork();
    if (child == 0) _exit(weft_run(answer()) != 42);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fork_in_a_task),
                                       cmocka_unit_test(test_fork_between_runs)};
    return run_group(tests);
}
