/* Pools begin and end: where they can be made, how they are closed, and what is left when the program is killed.
 * Most tests run in a child, whose fork server and threads are its own. */
#include "process_support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

static _Atomic long *page; /* shared with all processes */

WEFT_JOB(own_pid) { return getpid(); }
WEFT_JOB(nothing) { return 1; }
WEFT_JOB(spins) {
    atomic_fetch_add(&page[0], 1);
    for (;;) atomic_fetch_add(&page[1], 1);
    return 0;
}

/* Runs fn in a child, and waits for all that it leaves behind, which comes to us. The child's status. */
static int in_child(void (*fn)(void)) {
    fflush(NULL);
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        alarm(100);
        fn();
        _exit(0);
    }
    must_equal(waitpid(child, &status, 0), child);
    while (waitpid(-1, NULL, 0) > 0) continue;
    return status;
}

static bool has_no_children(void) {
    int status;
    return waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD;
}

/* ---- where pools can be made ---- */

/* Without any loop: the caller blocks where a task suspends. */
static void on_plain_threads(void) {
    int descriptors = open_descriptors();
    weft_process_pool *pool = pool_of(2);
    must_equal(weft_process_pool_call(pool, nothing, NULL, 0, NULL, 0), 1);
    must(weft_join(start_job(pool, own_pid)) > 0);
    weft_future *job = start_job(pool, spins);
    must_equal(weft_wait_blocking(job, WEFT_MS(10)), -ETIMEDOUT);
    must_equal(weft_wait_for(job, WEFT_MS(10)), -ETIMEDOUT);
    must_equal(weft_join(job), -ECANCELED);
    end_pool(pool);
    must(has_no_children());
    must_equal(open_descriptors(), descriptors);
}

static void test_on_plain_threads(void **state) {
    (void)state;
    assert_int_equal(in_child(on_plain_threads), 0);
}

static _Atomic bool thread_may_end;
static void *idle_thread(void *arg) {
    while (!atomic_load(&thread_may_end)) sched_yield();
    return arg;
}

static intptr_t find_it_busy(void *arg) {
    (void)arg;
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){0});
    must_equal(weft_process_pool_error(pool), -EBUSY);
    must_equal(weft_join(start_job(pool, nothing)), -EBUSY);
    must_equal(weft_process_pool_call(pool, nothing, NULL, 0, NULL, 0), -EBUSY);
    must_equal(weft_process_pool_close(pool, 0), 0);
    must_equal(weft_process_pool_release(pool), 0);
    return 0;
}

static intptr_t find_it_working(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    must_equal(weft_join(start_job(pool, nothing)), 1);
    end_pool(pool);
    return 0;
}

/* Not in a child: there TSan has up to two threads of its own, and weft__world_threads cannot tell. */
static void test_with_threads(void **state) {
    (void)state;
    pthread_t thread = thread_start(idle_thread, NULL);
    struct capture capture = capture_begin();
    must_equal(weft_process_pool_prepare(), -EBUSY);
    for (unsigned workers = 0; workers <= 2; workers++) must_equal(run_on(workers, find_it_busy, NULL), 0);
    must_equal(capture_end(capture, "call weft_process_pool_prepare() before that"), 1);
    atomic_store(&thread_may_end, true);
    thread_join(thread);
    must_equal(run_on(2, find_it_working, NULL), 0);
    atomic_store(&thread_may_end, false);
}

static void prepared(void) {
    must_equal(weft_process_pool_prepare(), 0);
    must_equal(weft_process_pool_prepare(), 0);
    pid_t server = fork_server();
    pthread_t thread = thread_start(idle_thread, NULL);
    for (unsigned workers = 0; workers <= 2; workers++) must_equal(run_on(workers, find_it_working, NULL), 0);
    find_it_working(NULL);
    must_equal(weft_process_pool_prepare(), 0);
    must_equal(fork_server(), server); /* the same for all, and still there */
    atomic_store(&thread_may_end, true);
    thread_join(thread);
}

static void test_prepared(void **state) {
    (void)state;
    assert_int_equal(in_child(prepared), 0);
}

/* On a loop of one's own nothing has started the fork server, and a task's stack is no place for it. */
static void on_a_loop_of_ones_own(void) {
    weft_loop *loop = weft_new_event_loop();
    struct capture capture = capture_begin();
    must_equal(weft_loop_run_until_complete(loop, weft_coroutine(find_it_busy, NULL)), 0);
    must_equal(capture_end(capture, "weft_process_pool_prepare"), 1);
    must_equal(weft_process_pool_prepare(), 0);
    must_equal(weft_loop_run_until_complete(loop, weft_coroutine(find_it_working, NULL)), 0);
    must_equal(weft_loop_close(loop), 0);
    weft_loop_release(loop);
}

static void test_on_a_loop_of_ones_own(void **state) {
    (void)state;
    assert_int_equal(in_child(on_a_loop_of_ones_own), 0);
}

/* A pool may live longer than the run in which it was made. */
static intptr_t make_pool(void *arg) {
    *(weft_process_pool **)arg = pool_of(1);
    return 0;
}

static intptr_t use_pool(void *arg) { return weft_join(start_job(*(weft_process_pool **)arg, nothing)); }

static void test_over_several_runs(void **state) {
    (void)state;
    weft_process_pool *pool;
    assert_int_equal(run_on(2, make_pool, &pool), 0);
    assert_int_equal(weft_join(start_job(pool, nothing)), 1);
    assert_int_equal(run_on(0, use_pool, &pool), 1);
    assert_int_equal(run_on(2, use_pool, &pool), 1);
    end_pool(pool);
    assert_true(has_no_children());
}

/* ---- several ---- */

static intptr_t two_pools(void *arg) {
    enum { JOBS = 40 };
    (void)arg;
    weft_process_pool *pools[2] = {pool_of(1), pool_of(2)};
    weft_future *jobs[JOBS];
    for (int i = 0; i < JOBS; i++) jobs[i] = start_job(pools[i % 2], own_pid);
    intptr_t pid = weft_await(jobs[0]);
    for (int i = 0; i < JOBS; i++) {
        intptr_t result = weft_join(jobs[i]);
        must(result > 0 && (result == pid) == (i % 2 == 0)); /* one pool has one worker: always the same */
    }
    end_pool(pools[0]);
    must(weft_join(start_job(pools[1], own_pid)) > 0);
    end_pool(pools[1]);
    return 0;
}

static void test_two_pools(void **state) {
    (void)state;
    on_all(two_pools);
}

#define THREADS 3

static void *submit_from_thread(void *pool) {
    for (long i = 0; i < ROUNDS(500); i++) {
        weft_future *job = weft_process_pool_submit_wait(pool, nothing, NULL, 0, no_options);
        must_equal(weft_join(job), 1);
    }
    return NULL;
}

static intptr_t many_submitters(void *arg) {
    (void)arg;
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 2, .queue_length = 1});
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) threads[i] = thread_start(submit_from_thread, pool);
    submit_from_thread(pool); /* a task, too */
    for (int i = 0; i < THREADS; i++) thread_join(threads[i]);
    must_equal(weft_process_pool_get_stats(pool).completed, (THREADS + 1) * ROUNDS(500));
    end_pool(pool);
    return 0;
}

static void test_many_submitters(void **state) {
    (void)state;
    on_all(many_submitters);
}

/* ---- closing ---- */

weft_async(close_it, (weft_process_pool *, pool), (int64_t, timeout_ns)) {
    return weft_process_pool_close(pool, timeout_ns);
}

weft_async(wait_for_room, (weft_process_pool *, pool)) {
    return weft_join(weft_process_pool_submit_wait(pool, nothing, NULL, 0, no_options));
}

static intptr_t closing(void *arg) {
    (void)arg;
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 1, .queue_length = 2});
    weft_future *running = start_job(pool, spins), *queued[2];
    for (int i = 0; i < 2; i++) queued[i] = start_job(pool, nothing);
    weft_task *waiting = weft_create_task(wait_for_room(pool));
    must_equal(weft_sleep(WEFT_MS(1)), 0);

    weft_task *closer = weft_create_task(close_it(pool, WEFT_FOREVER)); /* cancelled: jobs go on */
    while (weft_process_pool_error(pool) == 0) must_equal(weft_sleep(0), 0);
    must_equal(weft_join(start_job(pool, nothing)), -ESHUTDOWN);
    must_equal(weft_join(waiting), -ESHUTDOWN);
    must(weft_cancel(closer));
    must_equal(weft_join(closer), -ECANCELED);
    must(!weft_done(running) && !weft_done(queued[0]));

    int64_t before = weft_time();
    must_equal(weft_process_pool_close(pool, WEFT_MS(20)), -ETIMEDOUT);
    must(weft_time() - before >= WEFT_MS(20));
    must_equal(weft_join(running), -ESHUTDOWN);
    for (int i = 0; i < 2; i++) must_equal(weft_join(queued[i]), -ESHUTDOWN);
    must_equal(weft_process_pool_get_stats(pool).abandoned, 3);
    end_pool(pool);

    pool = pool_of(1); /* release closes, too */
    running = start_job(pool, spins);
    must_equal(weft_process_pool_release(pool), -ETIMEDOUT);
    must_equal(weft_join(running), -ESHUTDOWN);

    pool = pool_of(2); /* graceful: what is queued is done */
    weft_future *jobs[50];
    for (int i = 0; i < 50; i++) jobs[i] = start_job(pool, nothing);
    must_equal(weft_process_pool_close(pool, WEFT_SEC(60)), 0);
    for (int i = 0; i < 50; i++) must_equal(weft_join(jobs[i]), 1);
    must_equal(weft_process_pool_release(pool), 0);
    return 0;
}

static void test_closing(void **state) {
    (void)state;
    on_all(closing);
}

/* What is queued behind a job whose worker is being killed is no orphan when the pool is closed. */
static intptr_t closing_upon_a_death(void *arg) {
    (void)arg;
    for (long round = 0; round < ROUNDS(200); round++) {
        weft_process_pool *pool = pool_of(1);
        weft_future *running = start_job(pool, spins), *queued = start_job(pool, nothing);
        must(weft_cancel(running));
        weft_process_pool_release(pool);
        must_equal(weft_join(running), -ECANCELED);
        intptr_t result = weft_join(queued);
        must(result == -ESHUTDOWN || result == 1); /* 1: the next worker was quick */
    }
    return 0;
}
static void test_closing_upon_a_death(void **state) {
    (void)state;
    on_all(closing_upon_a_death);
}

static void close_in_callback(void *pool) {
    must_equal(weft_process_pool_close(pool, 0), -EDEADLK);
    must_equal(weft_process_pool_release(pool), -EDEADLK);
    must_equal(weft_join(weft_process_pool_submit_wait(pool, nothing, NULL, 0, no_options)), -EDEADLK);
}

static intptr_t callbacks(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    must_equal(weft_loop_call_soon(weft_get_running_loop(), close_in_callback, pool).error, 0);
    must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(weft_join(start_job(pool, nothing)), 1);
    end_pool(pool);
    return 0;
}

static void test_closing_in_a_callback(void **state) {
    (void)state;
    on_all(callbacks);
}

/* ---- forked programs ---- */

static intptr_t program_forks(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    int status;
    pid_t child = fork();
    if (child == 0) {
        must_equal(weft_process_pool_error(pool), -EPERM);
        must_equal(weft_join(start_job(pool, nothing)), -EPERM);
        must_equal(weft_process_pool_close(pool, 0), -EPERM);
        must_equal(weft_process_pool_release(pool), -EPERM);
        must_equal(weft_process_pool_get_stats(pool).workers, 0);
#ifndef WEFT__TSAN /* which does not support threads in the child of a process with threads */
        find_it_working(NULL); /* and it has one of its own */
        must_equal(run_on(2, find_it_working, NULL), 0);
#endif
        _exit(0);
    }
    must(child > 0);
    while (waitpid(child, &status, WNOHANG) == 0) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(status, 0);
    must_equal(weft_join(start_job(pool, nothing)), 1);
    end_pool(pool);
    return 0;
}

static void test_program_forks(void **state) {
    (void)state;
    on_all(program_forks);
}

/* ---- the program is killed ---- */

WEFT_JOB(spins_with_offspring) {
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            setsid();
            atomic_fetch_add(&page[0], 1);
            for (;;) pause();
        }
    atomic_fetch_add(&page[0], 1);
    for (;;) pause();
    return 0;
}

static intptr_t work_until_killed(void *arg) {
    (void)arg;
    weft_process_pool *pools[2] = {pool_of(2), pool_of(1)};
    for (int i = 0; i < 2; i++) start_job(pools[i % 2], spins_with_offspring);
    while (atomic_load(&page[0]) < 8) weft_sleep(WEFT_MS(1));
    pid_t server = fork_server();
    if (fork() == 0) { /* it has the control channel open, and lives on */
        atomic_store(&page[2], getpid());
        for (;;) pause();
    }
    while (atomic_load(&page[2]) == 0) weft_sleep(WEFT_MS(1));
    atomic_store(&page[3], server);
    return weft_sleep(WEFT_FOREVER);
}

static void killed_program(unsigned workers) {
    for (int i = 0; i < 4; i++) atomic_store(&page[i], 0);
    fflush(NULL);
    pid_t program = fork();
    if (program == 0) _exit(run_on(workers, work_until_killed, NULL) != 0);
    wait_for_it(atomic_load(&page[3]));
    must_equal(kill(program, SIGKILL), 0);
    /* Its orphans come to us: the helper, and the fork server, which ends when it has buried all others. */
    pid_t helper = (pid_t)atomic_load(&page[2]), server = (pid_t)atomic_load(&page[3]);
    int status;
    must_equal(waitpid(program, &status, 0), program);
    must_equal(waitpid(server, &status, 0), server);
    must_equal(status, 0);
    pid_t children[16];
    must_equal(children_of(0, children, 16), 1);
    must_equal(children[0], helper);
    must_equal(kill(helper, SIGKILL), 0);
    must_equal(waitpid(helper, &status, 0), helper);
    must(has_no_children());
}

static void test_killed_program(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) killed_program(workers);
}

/* ---- what there is not enough of ---- */

static void few_descriptors(void) {
    int descriptors = open_descriptors(), successes = 0, failures = 0;
    struct rlimit limit;
    must_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int more = -2; more < 24; more++) {
        struct rlimit few = {(rlim_t)(descriptors + more), limit.rlim_max};
        must_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 2});
        int error = weft_process_pool_error(pool);
        must_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (error == 0 && weft_join(start_job(pool, nothing)) == 1) successes++;
        else failures++;
        must(error == 0 || error == -EMFILE);
        weft_process_pool_release(pool);
        must(has_no_children());
        must_equal(open_descriptors(), descriptors);
    }
    must(successes > 3 && failures > 3);
}

static void test_few_descriptors(void **state) {
    (void)state;
    assert_int_equal(in_child(few_descriptors), 0);
}

static void no_processes(void) {
    if (getuid() == 0) must_equal(setuid(65534), 0); /* the limit is not for root */
    weft_process_pool *pool = pool_of(1);
    must_equal(weft_join(start_job(pool, nothing)), 1);
    must_equal(weft_process_pool_release(pool), 0);
    must_equal(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 0}), 0);
    pool = weft_process_pool_new((weft_process_pool_options){.workers = 1});
    must_equal(weft_process_pool_error(pool), -EAGAIN);
    must_equal(weft_process_pool_release(pool), 0);
}

static void test_no_processes(void **state) {
    (void)state;
    assert_int_equal(in_child(no_processes), 0);
}

int main(void) {
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_plain_threads),
        cmocka_unit_test(test_on_a_loop_of_ones_own), /* before the next one: a process is told only once */
        cmocka_unit_test(test_with_threads),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_over_several_runs),
        cmocka_unit_test(test_two_pools),
        cmocka_unit_test(test_many_submitters),
        cmocka_unit_test(test_closing),
        cmocka_unit_test(test_closing_upon_a_death),
        cmocka_unit_test(test_closing_in_a_callback),
        cmocka_unit_test(test_program_forks),
        cmocka_unit_test(test_killed_program),
        cmocka_unit_test(test_few_descriptors),
        cmocka_unit_test(test_no_processes)};
    return run_process_group(tests);
}
