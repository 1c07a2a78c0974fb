/* Thread pools: how they grow and shrink, what a full queue does, how they end. */
#define _GNU_SOURCE
#include "api_support.h"

#include <signal.h>
#include <sys/wait.h>

#include "runtime/thread_pool.h"
#include "runtime/worker.h"

static intptr_t add_one(void *arg) { return (intptr_t)arg + 1; }
static intptr_t count_call(void *calls) {
    atomic_fetch_add((_Atomic long *)calls, 1);
    return 0;
}

static weft_thread_pool_stats stats_of(weft_thread_pool *pool) {
    weft_thread_pool_stats stats;
    must_equal(weft_thread_pool_get_stats(pool, &stats), 0);
    return stats;
}

/* ---- options ---- */

static void test_options(void **state) {
    (void)state;
    weft_thread_pool_stats stats;
    assert_null(weft_thread_pool_new((weft_thread_pool_options){.threads = 100000}));
    assert_null(weft_thread_pool_new((weft_thread_pool_options){.idle_ns = -1}));
    assert_int_equal(weft_join(weft_thread_pool_submit(NULL, add_one, NULL)), -EINVAL);
    assert_int_equal(weft_thread_pool_close(NULL, 0), -EINVAL);
    assert_int_equal(weft_thread_pool_get_stats(NULL, &stats), -EINVAL);
    weft_thread_pool_release(NULL);
    weft_thread_pool *pool =
        weft_thread_pool_new((weft_thread_pool_options){.name = "a name that is too long for it"});
    assert_int_equal(weft_thread_pool_get_stats(pool, NULL), -EINVAL);
    assert_int_equal(stats_of(pool).threads, 0);
    assert_int_equal(weft_join(weft_thread_pool_submit(pool, NULL, NULL)), -EINVAL);
    assert_int_equal(weft_join(weft_thread_pool_submit(pool, add_one, (void *)1)), 2);
    assert_int_equal(weft_thread_pool_close(pool, WEFT_FOREVER), 0);
    assert_int_equal(weft_thread_pool_close(pool, 0), 0);
    assert_int_equal(weft_join(weft_thread_pool_submit(pool, add_one, NULL)), -ESHUTDOWN);
    weft_thread_pool_release(pool);
}

/* ---- elastic ---- */

static void test_threads_come_and_go(void **state) {
    (void)state;
    enum { MOST = 6 };
    weft_thread_pool *pool =
        weft_thread_pool_new((weft_thread_pool_options){.threads = MOST, .idle_ns = WEFT_MS(30)});
    for (long wanted = 1; wanted <= MOST + 2; wanted++) {
        struct gate gate = GATE_INIT;
        weft_future *jobs[MOST + 2];
        for (long i = 0; i < wanted; i++) jobs[i] = weft_thread_pool_submit(pool, pass_gate, &gate);
        long running = wanted < MOST ? wanted : MOST;
        spin_until(&gate.arrived, running);
        assert_int_equal(stats_of(pool).queued, wanted - running);
        assert_true(stats_of(pool).threads >= running && stats_of(pool).threads <= MOST);
        gate_open(&gate);
        for (long i = 0; i < wanted; i++) assert_int_equal(weft_join(jobs[i]), 7);
    }
    while (stats_of(pool).threads > 0) sched_yield(); /* all retire */
    assert_int_equal(stats_of(pool).idle, 0);
    assert_int_equal(weft_join(weft_thread_pool_submit(pool, add_one, NULL)), 1);
    assert_int_equal(weft_thread_pool_close(pool, WEFT_SEC(20)), 0);
    assert_int_equal(stats_of(pool).threads, 0);
    weft_thread_pool_release(pool);
}

/* A thread that retires just as a job comes: none is lost. */
static void test_retiring_as_a_job_comes(void **state) {
    (void)state;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 2, .idle_ns = 1});
    for (long i = 0; i < ROUNDS(5000); i++) {
        weft_future *job = weft_thread_pool_submit(pool, add_one, (void *)i);
        assert_int_equal(weft_wait_blocking(job, WEFT_SEC(60)), i + 1);
        weft_release(job);
        for (long spins = i % 200; spins > 0; spins--) atomic_thread_fence(memory_order_seq_cst);
    }
    weft_thread_pool_release(pool); /* unclosed: it ends by itself */
}

/* ---- many ---- */

#define MANY 10000

static intptr_t submit_many(void *pool) {
    weft_future **jobs = calloc(MANY, sizeof *jobs);
    for (intptr_t i = 0; i < MANY; i++) jobs[i] = weft_run_in_executor(NULL, pool, add_one, (void *)i);
    for (intptr_t i = 0; i < MANY; i++) must_equal(weft_join(jobs[i]), i + 1);
    free(jobs);
    return 0;
}
static void test_ten_thousand_jobs(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, submit_many, NULL), 0);
}

static intptr_t one_each(void *arg) { return weft_join(weft_to_thread(add_one, arg)); }
static intptr_t thousand_tasks(void *none) {
    (void)none;
    enum { TASKS = 1000 };
    static weft_task *tasks[TASKS];
    for (int rounds = 0; rounds < ROUNDS(20); rounds++) {
        for (intptr_t i = 0; i < TASKS; i++) tasks[i] = weft_spawn(one_each, (void *)i);
        for (intptr_t i = 0; i < TASKS; i++) must_equal(weft_join(tasks[i]), i + 1);
    }
    return 0;
}
static void test_a_thousand_tasks(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, thousand_tasks, NULL), 0);
}

/* One pool for plain threads and for several runtimes at once. */
static void *submit_as_thread(void *pool) {
    for (intptr_t i = 0; i < ROUNDS(5000); i++)
        must_equal(weft_join(weft_thread_pool_submit(pool, add_one, (void *)i)), i + 1);
    return NULL;
}
static void *submit_as_runtime(void *pool) {
    for (int i = 0; i < ROUNDS(5); i++) must_equal(run_on((unsigned)i % 3, submit_many, pool), 0);
    return NULL;
}
static void test_one_pool_for_all(void **state) {
    (void)state;
    pthread_t threads[4];
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 4, .queue = 100});
    for (int i = 0; i < 4; i++) threads[i] = thread_start(i % 2 ? submit_as_thread : submit_as_runtime, pool);
    for (int i = 0; i < 4; i++) thread_join(threads[i]);
    assert_int_equal(weft_thread_pool_close(pool, WEFT_SEC(60)), 0);
    weft_thread_pool_release(pool);
}

/* ---- back-pressure ---- */

struct pressed {
    weft_thread_pool *pool;
    struct gate gate;
    _Atomic long submitted;
    _Atomic long in_callback; /* what the callback got; 0: not yet */
};

static void pressed_begin(struct pressed *self) {
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 1, .queue = 2});
    *self = (struct pressed){.pool = pool, .gate = GATE_INIT};
    weft_release(weft_thread_pool_submit(self->pool, pass_gate, &self->gate));
    spin_until(&self->gate.arrived, 1);
    for (int i = 0; i < 2; i++) weft_release(weft_thread_pool_submit(self->pool, add_one, NULL)); /* full */
}
static void pressed_end(struct pressed *self) {
    gate_open(&self->gate);
    must_equal(weft_thread_pool_close(self->pool, WEFT_SEC(60)), 0);
    weft_thread_pool_release(self->pool);
}

static intptr_t submit_one(void *arg) {
    struct pressed *self = arg;
    weft_future *job = weft_thread_pool_submit(self->pool, add_one, (void *)4);
    atomic_fetch_add(&self->submitted, 1);
    return weft_join(job);
}
static void *submit_one_as_thread(void *arg) { return (void *)submit_one(arg); }
static void submit_in_callback(void *arg) {
    struct pressed *self = arg;
    atomic_store(&self->in_callback, submit_one(self));
}
static intptr_t submit_from_own_job(void *arg) {
    struct pressed *self = arg;
    weft_future *job = NULL; /* the only thread is busy with this: it must not wait for itself */
    for (intptr_t result = -EINPROGRESS; result == -EINPROGRESS; result = weft_result(job)) {
        weft_release(job);
        job = weft_thread_pool_submit(self->pool, add_one, NULL);
    }
    return weft_join(job);
}

static intptr_t press(void *none) {
    (void)none;
    struct pressed self;
    pressed_begin(&self);
    weft_task *tasks[5];
    for (int i = 0; i < 5; i++) tasks[i] = weft_spawn(submit_one, &self);
    while (stats_of(self.pool).waiting < 5) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(self.submitted, 0);
    must(weft_cancel(tasks[2])); /* one of them is cancelled while it waits for its place */
    must_equal(weft_join(tasks[2]), -ECANCELED);
    must_equal(stats_of(self.pool).waiting, 4);
    weft_loop_call_soon(weft_get_running_loop(), submit_in_callback, &self);
    while (atomic_load(&self.in_callback) == 0) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(atomic_load(&self.in_callback), -EAGAIN);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_join(weft_thread_pool_submit(self.pool, add_one, NULL)), -EPERM);
    must_equal(weft_leave_blocking(), 0);
    gate_open(&self.gate);
    for (int i = 0; i < 5; i++)
        if (i != 2) must_equal(weft_join(tasks[i]), 5);
    must_equal(weft_join(weft_thread_pool_submit(self.pool, submit_from_own_job, &self)), -EAGAIN);
    pressed_end(&self);
    return 0;
}
static void test_a_full_queue(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, press, NULL), 0);
}

static void test_a_full_queue_blocks_a_thread(void **state) {
    (void)state;
    struct pressed self;
    pressed_begin(&self);
    pthread_t thread = thread_start(submit_one_as_thread, &self);
    while (stats_of(self.pool).waiting < 1) sched_yield();
    assert_int_equal(self.submitted, 0);
    gate_open(&self.gate);
    assert_int_equal((intptr_t)thread_join(thread), 5);
    pressed_end(&self);
}

static void test_closing_turns_away_who_waits(void **state) {
    (void)state;
    struct pressed self;
    pressed_begin(&self);
    pthread_t thread = thread_start(submit_one_as_thread, &self);
    while (stats_of(self.pool).waiting < 1) sched_yield();
    assert_int_equal(weft_thread_pool_close(self.pool, WEFT_MS(10)), -ETIMEDOUT);
    assert_int_equal((intptr_t)thread_join(thread), -ESHUTDOWN);
    pressed_end(&self);
}

/* ---- closing ---- */

static void test_closing_runs_what_is_queued(void **state) {
    (void)state;
    _Atomic long calls = 0;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 3});
    for (int i = 0; i < 1000; i++) weft_release(weft_thread_pool_submit(pool, count_call, &calls));
    assert_int_equal(weft_thread_pool_close(pool, WEFT_SEC(60)), 0);
    assert_int_equal(calls, 1000);
    weft_thread_pool_release(pool);
}

static intptr_t close_stuck(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    _Atomic long calls = 0;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 1});
    weft_future *stuck = weft_thread_pool_submit(pool, pass_gate, &gate);
    spin_until(&gate.arrived, 1);
    weft_future *queued = weft_thread_pool_submit(pool, count_call, &calls);
    int64_t began = weft_time();
    must_equal(weft_thread_pool_close(pool, WEFT_MS(40)), -ETIMEDOUT);
    must(weft_time() - began >= WEFT_MS(40) && weft_time() - began < WEFT_SEC(20));
    must_equal(weft_join(queued), -ECANCELED);
    must(!weft_done(stuck));
    gate_open(&gate);
    must_equal(weft_thread_pool_close(pool, WEFT_FOREVER), 0);
    must_equal(weft_join(stuck), 7);
    must_equal(calls, 0);
    weft_thread_pool_release(pool);
    return 0;
}
static void test_a_stuck_job_does_not_hold_up_close(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, close_stuck, NULL), 0);
    assert_int_equal(close_stuck(NULL), 0);
}

static intptr_t close_own(void *pool) { return weft_thread_pool_close(pool, WEFT_FOREVER); }
static void close_in_callback(void *pool) { must_equal(weft_thread_pool_close(pool, WEFT_FOREVER), -EDEADLK); }
static intptr_t cancelled_closer(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 1});
    must_equal(weft_join(weft_thread_pool_submit(pool, close_own, pool)), -EDEADLK);
    weft_loop_call_soon(weft_get_running_loop(), close_in_callback, pool);
    must_equal(weft_sleep(WEFT_MS(2)), 0);
    weft_future *job = weft_thread_pool_submit(pool, pass_gate, &gate);
    while (!atomic_load(&gate.arrived)) must_equal(weft_sleep(WEFT_MS(1)), 0);
    weft_task *closer = weft_spawn(close_own, pool);
    must_equal(weft_sleep(WEFT_MS(5)), 0);
    must(weft_cancel(closer));
    must_equal(weft_join(closer), -ECANCELED);
    must_equal(weft_join(weft_thread_pool_submit(pool, add_one, NULL)), -ESHUTDOWN); /* closed all the same */
    gate_open(&gate);
    must_equal(weft_join(job), 7);
    weft_thread_pool_release(pool);
    return 0;
}
static void test_closers(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, cancelled_closer, NULL), 0);
}

/* ---- lives ---- */

static struct {
    struct gate *gate;
    weft_thread_pool *pool;
    weft_future *job;
} left;

static void must_not_be_called(weft_future *future, void *none) {
    (void)future;
    (void)none;
    must(!"the loop has ended");
}
static intptr_t wait_for_job(void *job) {
    atomic_fetch_add(&left.gate->arrived, 1);
    return weft_await(job);
}
static intptr_t leave_job(void *none) {
    (void)none;
    left.job = weft_run_in_executor(NULL, left.pool, pass_gate, left.gate);
    must_equal(weft_add_done_callback(left.job, must_not_be_called, NULL), 0);
    weft_release(weft_spawn(wait_for_job, left.job)); /* is cancelled at the end, and the job's future with it */
    weft_future *second = weft_run_in_executor(NULL, left.pool, pass_gate, left.gate);
    must_equal(weft_add_done_callback(second, must_not_be_called, NULL), 0);
    weft_release(second);
    while (atomic_load(&left.gate->arrived) < 3) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must(weft_remove_done_callback(left.job, must_not_be_called, NULL) == 1);
    return 0;
}
static void test_a_job_outlives_its_runtime(void **state) {
    (void)state;
    static struct gate gates[] = {GATE_INIT, GATE_INIT, GATE_INIT}; /* the second job outlives the test */
    for (unsigned workers = 0; workers <= 2; workers++) {
        left.pool = weft_thread_pool_new((weft_thread_pool_options){0});
        left.gate = &gates[workers];
        assert_int_equal(run_on(workers, leave_job, NULL), 0);
        assert_true(weft_done(left.job));
        weft_thread_pool_release(left.pool); /* and its handle, too */
        gate_open(left.gate);
        assert_int_equal(weft_join(left.job), -ECANCELED);
    }
}

static intptr_t outlive_pool(void *none) {
    (void)none;
    weft_future *jobs[100];
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 2});
    for (intptr_t i = 0; i < 100; i++) jobs[i] = weft_thread_pool_submit(pool, add_one, (void *)i);
    weft_thread_pool_release(pool);
    for (intptr_t i = 0; i < 100; i++) must_equal(weft_join(jobs[i]), i + 1);
    return 0;
}
static void test_a_runtime_outlives_its_pool(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, outlive_pool, NULL), 0);
}

static intptr_t replace_default(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    weft_future *first = weft_to_thread(pass_gate, &gate); /* in the one that weft made */
    weft_thread_pool *mine = weft_thread_pool_new((weft_thread_pool_options){.threads = 1});
    weft_thread_pool *other = weft_thread_pool_new((weft_thread_pool_options){.threads = 1});
    must_equal(weft_set_default_executor(NULL, mine), 0);
    must_equal(weft_set_default_executor(NULL, mine), 0);
    must_equal(weft_join(weft_to_thread(add_one, NULL)), 1);
    must_equal(weft_set_default_executor(NULL, other), 0);
    must_equal(weft_join(weft_thread_pool_submit(mine, add_one, NULL)), 1); /* not shut */
    weft_thread_pool_release(mine);
    must_equal(weft_join(weft_to_thread(add_one, NULL)), 1);
    gate_open(&gate);
    must_equal(weft_join(first), 7);
    left.pool = other;
    return 0;
}
static void test_replacing_the_default(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        assert_int_equal(run_on(workers, replace_default, NULL), 0);
        assert_int_equal(weft_join(weft_thread_pool_submit(left.pool, add_one, NULL)), -ESHUTDOWN);
        weft_thread_pool_release(left.pool);
    }
}

/* ---- a pool of its own for names ---- */

static intptr_t resolve(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    weft_future *jobs[100];
    for (int i = 0; i < 100; i++) jobs[i] = weft_to_thread(pass_gate, &gate);
    int error = 0;
    weft_thread_pool *resolver = weft__resolver_pool(weft__world_worker()->runtime, &error);
    must_equal(error, 0);
    must_equal(weft_join(weft_run_in_executor(NULL, resolver, add_one, (void *)1)), 2);
    must(!gate.open);
    weft_stats stats;
    must_equal(weft_stats_get(&stats), 0);
    must(stats.pool_threads >= 2);
    must(stats.pool_queued >= 60);
    weft__pool_unref(resolver);
    gate_open(&gate);
    for (int i = 0; i < 100; i++) must_equal(weft_join(jobs[i]), 7);
    return 0;
}
static void test_names_do_not_wait_for_the_default_executor(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, resolve, NULL), 0);
}

/* ---- fork and signals ---- */

static intptr_t fork_with_pool(void *arg) {
    weft_thread_pool *pool = arg;
    weft_thread_pool_stats stats;
    must_equal(weft_join(weft_thread_pool_submit(pool, add_one, NULL)), 1);
    pid_t child = fork();
    if (child == 0) {
        must_equal(weft_join(weft_thread_pool_submit(pool, add_one, NULL)), -EPERM);
        must_equal(weft_thread_pool_close(pool, WEFT_FOREVER), -EPERM);
        must_equal(weft_thread_pool_get_stats(pool, &stats), -EPERM);
        weft_thread_pool_release(pool);
        _exit(0);
    }
    int status;
    must_equal(waitpid(child, &status, 0), child);
    must_equal(status, 0);
    return 0;
}
static void test_a_forked_child_has_no_pool(void **state) {
    (void)state;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){0});
    assert_int_equal(fork_with_pool(pool), 0);
    weft_thread_pool_release(pool);
}

static intptr_t sigpipe_is_blocked(void *none) {
    (void)none;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    return sigismember(&mask, SIGPIPE);
}
static void test_SIGPIPE_is_blocked(void **state) {
    (void)state;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){0});
    assert_int_equal(weft_join(weft_thread_pool_submit(pool, sigpipe_is_blocked, NULL)), 1);
    weft_thread_pool_release(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_threads_come_and_go),
        cmocka_unit_test(test_retiring_as_a_job_comes),
        cmocka_unit_test(test_ten_thousand_jobs),
        cmocka_unit_test(test_a_thousand_tasks),
        cmocka_unit_test(test_one_pool_for_all),
        cmocka_unit_test(test_a_full_queue),
        cmocka_unit_test(test_a_full_queue_blocks_a_thread),
        cmocka_unit_test(test_closing_turns_away_who_waits),
        cmocka_unit_test(test_closing_runs_what_is_queued),
        cmocka_unit_test(test_a_stuck_job_does_not_hold_up_close),
        cmocka_unit_test(test_closers),
        cmocka_unit_test(test_a_job_outlives_its_runtime),
        cmocka_unit_test(test_a_runtime_outlives_its_pool),
        cmocka_unit_test(test_replacing_the_default),
        cmocka_unit_test(test_names_do_not_wait_for_the_default_executor),
        test_unless(TSAN, test_a_forked_child_has_no_pool), /* which lets it start no threads */
        cmocka_unit_test(test_SIGPIPE_is_blocked),
    };
    return run_group(tests);
}
