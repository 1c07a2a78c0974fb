/* Jobs that take their worker with them, or try to take more: each fails alone, and the pool lives on. */
#include "process_support.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "runtime/process_slot.h"

static _Atomic long *page; /* shared with all workers */

WEFT_JOB(own_pid) { return getpid(); }

static int *volatile nowhere = (int *)16;
WEFT_JOB(segfaults) { return *nowhere = 1; }
WEFT_JOB(aborts) { abort(); }
WEFT_JOB(kills_itself) { return kill(getpid(), SIGKILL); } /* as the kernel does when memory is short */
WEFT_JOB(exits) { exit(7); }
WEFT_JOB(exits_at_once) { _exit(0); }
WEFT_JOB(terminates) { return raise(SIGTERM); }
WEFT_JOB(divides) { return raise(SIGFPE); }

static volatile bool enough;
static int deeper(volatile char *above) {
    volatile char here[4096];
    here[0] = *above;
    return enough ? 0 : deeper(here) + here[0];
}
WEFT_JOB(overflows_its_stack) { return deeper(&(volatile char){0}); }

WEFT_JOB(spins) {
    atomic_fetch_add(&page[0], 1);
    for (;;) atomic_fetch_add(&page[1], 1);
    return 0;
}

/* Crashes until it has been run as often as its input says. */
WEFT_JOB(crashes_at_first) {
    const long *times = weft_job_input(job, sizeof *times);
    if (atomic_fetch_add(&page[0], 1) < *times) raise(SIGKILL);
    return atomic_load(&page[0]);
}

static void quiet_core(void) { setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); }

/* ---- kinds of death ---- */

static void expect_signal(weft_process_pool *pool, const weft_job_descriptor *job, int number) {
    weft_future *future = start_job(pool, job);
    must_equal(weft_await(future), -EOWNERDEAD);
    int status = weft_job_status(future);
    must(status >= 0 && WIFSIGNALED(status));
    must_equal(WTERMSIG(status), number);
    weft_release(future);
}

static void expect_exit(weft_process_pool *pool, const weft_job_descriptor *job, int code) {
    weft_future *future = start_job(pool, job);
    must_equal(weft_await(future), -EOWNERDEAD);
    int status = weft_job_status(future);
    must(status >= 0 && WIFEXITED(status));
    must_equal(WEXITSTATUS(status), code);
    weft_release(future);
}

static intptr_t kinds_of_death(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    expect_signal(pool, segfaults, SIGSEGV);
    expect_signal(pool, aborts, SIGABRT);
    expect_signal(pool, kills_itself, SIGKILL);
    expect_signal(pool, terminates, SIGTERM);
    expect_signal(pool, divides, SIGFPE);
    expect_signal(pool, overflows_its_stack, SIGSEGV);
    expect_exit(pool, exits, 7);
    expect_exit(pool, exits_at_once, 0);
    must(weft_join(start_job(pool, own_pid)) > 0);
    must_equal(weft_process_pool_get_stats(pool).restarts, 8);
    end_pool(pool);
    return 0;
}

static void test_kinds_of_death(void **state) {
    (void)state;
    on_all(kinds_of_death);
}

/* ---- time ---- */

static intptr_t timeouts(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2);
    weft_job_options limit = {.timeout_ns = WEFT_MS(30)};
    int64_t before = weft_time();
    weft_future *late = weft_process_pool_submit(pool, spins, NULL, 0, limit);
    must_equal(weft_await(late), -ETIMEDOUT);
    must(weft_time() - before >= WEFT_MS(30));
    must_equal(weft_job_status(late), SIGKILL);
    weft_release(late);
    long spun = atomic_load(&page[1]); /* it is dead, not only given up */
    must_equal(weft_sleep(WEFT_MS(5)), 0);
    must_equal(atomic_load(&page[1]), spun);
    limit.timeout_ns = WEFT_SEC(60);
    must(weft_join(weft_process_pool_submit(pool, own_pid, NULL, 0, limit)) > 0);

    /* Each has its own; time in the queue does not count; retries are for crashes. */
    weft_future *jobs[6];
    for (int i = 0; i < 6; i++) {
        limit = (weft_job_options){.timeout_ns = WEFT_MS(i % 2 ? 60000 : 20), .retries = 3};
        jobs[i] = weft_process_pool_submit(pool, i % 2 ? own_pid : spins, NULL, 0, limit);
    }
    for (int i = 0; i < 6; i++)
        if (i % 2) must(weft_join(jobs[i]) > 0);
        else must_equal(weft_join(jobs[i]), -ETIMEDOUT);
    weft_process_pool_stats stats = weft_process_pool_get_stats(pool);
    must_equal(stats.timed_out, 4);
    must_equal(stats.retried, 0);
    end_pool(pool);
    return 0;
}

static void test_timeouts(void **state) {
    (void)state;
    on_all(timeouts);
}

/* ---- again ---- */

static intptr_t retries(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    for (long times = 0; times <= 3; times++) {
        atomic_store(&page[0], 0);
        weft_job_options thrice = {.retries = 2};
        weft_future *job = weft_process_pool_submit(pool, crashes_at_first, &times, sizeof times, thrice);
        must_equal(weft_await(job), times < 3 ? times + 1 : -EOWNERDEAD);
        must_equal(weft_job_status(job), times == 0 ? -ENODATA : SIGKILL);
        weft_release(job);
    }
    must_equal(weft_process_pool_get_stats(pool).retried, 0 + 1 + 2 + 2);
    must_equal(weft_process_pool_get_stats(pool).restarts, 0 + 1 + 2 + 3);
    end_pool(pool);
    return 0;
}

static void test_retries(void **state) {
    (void)state;
    on_all(retries);
}

/* ---- poison ---- */

WEFT_JOB(closes_all) {
    syscall(SYS_close_range, 0, ~0U, 0);
    return 5;
}

WEFT_JOB(closes_all_and_opens) {
    syscall(SYS_close_range, 0, ~0U, 0);
    for (int i = 0; i < 2000; i++) open("/dev/zero", O_RDWR);
    return 6;
}

/* Over all of its slot, which begins a page before the input. */
WEFT_JOB(scribbles) {
    const int *what = weft_job_input(job, sizeof *what);
    int value = *what;
    memset((char *)(uintptr_t)job->input - 4096, value, 3 * 4096);
    return 0;
}
WEFT_JOB(scribbles_and_hangs) {
    memset((char *)(uintptr_t)job->input - 4096, 0xff, 3 * 4096);
    for (;;) pause();
    return 0;
}

/* Says that it is done, with an output that nobody can have, and dies. */
WEFT_JOB_OF(lies, uint64_t[2], int) {
    struct weft__slot *slot = weft__container_of(in, struct weft__slot, input);
    *out = 1;
    slot->output_in_region = (uint32_t)(*in)[0];
    slot->output_bytes = (*in)[1];
    slot->result = 1;
    atomic_store(&slot->done, atomic_load(&slot->command));
    _exit(0);
}

static void must_not_be_believed(weft_process_pool *pool, uint64_t in_region, uint64_t bytes) {
    int output;
    uint64_t lie[2] = {in_region, bytes};
    must_equal(weft_process_pool_call(pool, lies, lie, sizeof lie, &output, sizeof output), -EBADMSG);
}

static intptr_t liars(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    must_not_be_believed(pool, 0, WEFT__SLOT_INLINE + 1);
    must_not_be_believed(pool, 0, UINT64_MAX);
    must_not_be_believed(pool, 1, ((uint64_t)64 << 20) + 1);
    must_not_be_believed(pool, 1, UINT64_MAX);
    must(weft_join(start_job(pool, own_pid)) > 0);
    end_pool(pool);
    return 0;
}

static void test_liars(void **state) {
    (void)state;
    on_all(liars);
}

WEFT_JOB(blocks_signals) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
    for (;;) pause();
    return 0;
}

static intptr_t poison(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2);
    weft_job_options limit = {.timeout_ns = WEFT_MS(50)};
    for (int round = 0; round < 20; round++) {
        must_equal(weft_join(start_job(pool, closes_all)), 5);
        must_equal(weft_join(start_job(pool, closes_all_and_opens)), 6);
        int value = round * 37 % 256;
        /* What the worker makes of its slot after that is the worker's: the job has its result, or an error. */
        intptr_t result = weft_join(weft_process_pool_submit(pool, scribbles, &value, sizeof value, limit));
        must(result == 0 || result == -EBADMSG || result == -ETIMEDOUT || result == -EOWNERDEAD);
        must(weft_join(start_job(pool, own_pid)) > 0);
    }
    must_equal(weft_join(weft_process_pool_submit(pool, scribbles_and_hangs, NULL, 0, limit)), -ETIMEDOUT);
    must_equal(weft_join(weft_process_pool_submit(pool, blocks_signals, NULL, 0, limit)), -ETIMEDOUT);
    must(weft_join(start_job(pool, own_pid)) > 0);
    end_pool(pool);
    return 0;
}

static void test_poison(void **state) {
    (void)state;
    on_all(poison);
}

/* ---- processes that a job starts ---- */

#define BOMB 40

/* Forks children that fork; each in a session of its own, so that no group holds them, and all count
 * themselves. */
static void fork_bomb(int depth) {
    for (int i = 0; i < 3 && depth < 3; i++)
        if (fork() == 0) {
            setsid();
            fork_bomb(depth + 1);
        }
    atomic_fetch_add(&page[0], 1);
    while (!enough) pause();
}
WEFT_JOB(bombs) {
    fork_bomb(0);
    return 0;
}

/* Leaves behind a process whose parent is gone. */
WEFT_JOB(leaves_a_daemon) {
    if (fork() == 0) {
        if (fork() == 0) {
            setsid();
            atomic_store(&page[2], getpid());
            for (;;) pause();
        }
        _exit(0);
    }
    while (atomic_load(&page[2]) == 0) sched_yield();
    return atomic_load(&page[2]);
}

WEFT_JOB(has_children) {
    int status;
    pid_t child = fork();
    if (child == 0) _exit(3);
    if (waitpid(child, &status, 0) != child) return -ECHILD;
    if (fork() == 0) _exit(4); /* nobody waits for it */
    return WEXITSTATUS(status);
}

static intptr_t offspring(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2);
    atomic_store(&page[0], 0);
    weft_future *job = start_job(pool, bombs);
    while (atomic_load(&page[0]) < BOMB) must_equal(weft_sleep(0), 0);
    must(weft_cancel(job));
    must_equal(weft_join(job), -ECANCELED);
    pid_t children[100];
    must(children_of(fork_server(), children, 100) <= 2); /* the workers: all 40 are dead and buried */

    atomic_store(&page[2], 0);
    intptr_t daemon = weft_join(start_job(pool, leaves_a_daemon));
    must(daemon > 0);
    must_equal(weft_join(start_job(pool, has_children)), 3);
    while (is_alive((pid_t)daemon)) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must(weft_join(start_job(pool, own_pid)) > 0);
    end_pool(pool);
    return 0;
}

static void test_offspring_dies(void **state) {
    (void)state;
    on_all(offspring);
}

/* ---- the fork server ---- */

static intptr_t no_server(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(2), *other = pool_of(1);
    atomic_store(&page[0], 0);
    weft_future *jobs[5];
    for (int i = 0; i < 5; i++) jobs[i] = start_job(pool, spins);
    while (atomic_load(&page[0]) < 2) must_equal(weft_sleep(0), 0);
    must_equal(kill(fork_server(), SIGKILL), 0);
    for (int i = 0; i < 5; i++) must_equal(weft_join(jobs[i]), -EOWNERDEAD);
    must_equal(weft_process_pool_error(pool), -EOWNERDEAD);
    must_equal(weft_join(start_job(pool, own_pid)), -EOWNERDEAD);
    while (weft_process_pool_error(other) == 0) must_equal(weft_sleep(WEFT_MS(1)), 0);
    end_pool(other);
    end_pool(pool);
    weft_process_pool *late = weft_process_pool_new((weft_process_pool_options){0});
    while (weft_process_pool_error(late) == 0) must_equal(weft_sleep(WEFT_MS(1)), 0); /* it was still dying */
    must_equal(weft_process_pool_error(late), -EOWNERDEAD);
    must_equal(weft_process_pool_release(late), 0);
    return 0;
}

static void test_without_a_server(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, no_server, NULL), 0);
        while (waitpid(-1, NULL, 0) > 0) continue; /* its orphans have come to us */
    }
}

int main(void) {
    quiet_core();
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_of_death),  cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_retries),         cmocka_unit_test(test_poison),
        cmocka_unit_test(test_liars),           cmocka_unit_test(test_offspring_dies),
        cmocka_unit_test(test_without_a_server)};
    return run_process_group(tests);
}
