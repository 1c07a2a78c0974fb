/* Rules EX1, EX4 to EX8 and R12: blocking functions in threads. */
#define _GNU_SOURCE
#include "api_support.h"

#include "runtime/future.h"

static intptr_t add_one(void *arg) { return (intptr_t)arg + 1; }
static intptr_t fails(void *arg) {
    (void)arg;
    return -ENOENT;
}
static intptr_t thread_of(void *arg) {
    *(pthread_t *)arg = pthread_self();
    return weft_get_running_loop() || weft_current_task() ? -EINVAL : 0;
}

static void everywhere(weft_fn *fn) {
    for (unsigned workers = 0; workers <= 2; workers++) must_equal(run_on(workers, fn, NULL), 0);
}

/* ---- EX1 ---- */

static intptr_t open_after_ten_ticks(void *gate) {
    for (int i = 0; i < 10; i++) must_equal(weft_sleep(WEFT_MS(2)), 0);
    gate_open(gate);
    return 0;
}
/* A job blocks its thread until the loop has ticked ten times. */
static intptr_t stays_responsive(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    pthread_t thread;
    weft_task *ticker = weft_spawn(open_after_ten_ticks, &gate);
    must_equal(weft_join(weft_run_in_executor(NULL, NULL, pass_gate, &gate)), 7);
    must_equal(weft_join(ticker), 0);
    must_equal(weft_join(weft_to_thread(add_one, (void *)41)), 42);
    must_equal(weft_join(weft_to_thread(fails, NULL)), -ENOENT);
    must_equal(weft_join(weft_to_thread(thread_of, &thread)), 0);
    must(!pthread_equal(thread, pthread_self()));
    return 0;
}
static void test_EX1_the_loop_stays_responsive(void **state) {
    (void)state;
    everywhere(stays_responsive);
}

static intptr_t overlap(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    weft_future *first = weft_to_thread(pass_gate, &gate), *second = weft_to_thread(pass_gate, &gate);
    while (atomic_load(&gate.arrived) < 2) must_equal(weft_sleep(WEFT_MS(1)), 0); /* both run at once */
    gate_open(&gate);
    must_equal(weft_join(first) + weft_join(second), 14);
    return 0;
}
static void test_EX1_jobs_overlap(void **state) {
    (void)state;
    everywhere(overlap);
}

/* weft_to_thread is a temporary, as the coroutine that it is in asyncio: who takes it gives it back. */
static unsigned references(weft_future *future) {
    return (unsigned)(atomic_load(&future->state) / WEFT__REFERENCE);
}
static void must_be_ours_alone(weft_future *future) {
    while (references(future) > 1) must_equal(weft_sleep(WEFT_MS(1)), 0); /* the thread's goes a moment later */
    must_equal(references(future), 1);
    weft_release(future);
}
static intptr_t take_temporaries(void *none) {
    (void)none;
    intptr_t results[2];
    weft_future *kept[6];
    for (int i = 0; i < 6; i++) kept[i] = weft_ref(weft_to_thread(add_one, (void *)1));
    must_equal(weft_await(kept[0]), 2);
    must_equal(weft_join(kept[1]), 2);
    must_equal(weft_wait_for(kept[2], WEFT_SEC(60)), 2);
    must_equal(weft_await(weft_shield(kept[3])), 2);
    must_equal(weft_await(weft_gather_into(results, kept[4], kept[5])), 0);
    must(results[0] == 2 && results[1] == 2);
    for (int i = 0; i < 6; i++) must_be_ours_alone(kept[i]);
    weft_future *handle = weft_run_in_executor(NULL, NULL, add_one, (void *)1); /* is none */
    must_equal(weft_await(handle), 2);
    must_be_ours_alone(handle);
    return 0;
}
static void test_EX1_to_thread_is_consumed(void **state) {
    (void)state;
    everywhere(take_temporaries);
}

static void *submit_from_thread(void *loop) {
    weft_future *future = weft_run_in_executor(loop, NULL, add_one, (void *)1);
    must(weft_future_get_loop(future) == loop);
    return (void *)weft_join(future);
}
static intptr_t join_thread(void *thread) { return (intptr_t)thread_join(*(pthread_t *)thread); }
static intptr_t host_a_thread(void *none) {
    (void)none;
    pthread_t thread = thread_start(submit_from_thread, weft_get_running_loop());
    must_equal(weft_join(weft_to_thread(join_thread, &thread)), 2);
    return 0;
}
static void test_EX1_from_a_plain_thread(void **state) {
    (void)state;
    everywhere(host_a_thread);
}

static void test_EX1_without_a_loop(void **state) {
    (void)state;
    assert_int_equal(weft_join(weft_to_thread(add_one, NULL)), -EPERM);
    assert_int_equal(weft_join(weft_run_in_executor(NULL, NULL, add_one, NULL)), -EPERM);
    assert_int_equal(weft_set_default_executor(NULL, NULL), -EINVAL);
    assert_int_equal(weft_shutdown_default_executor(NULL, 0), -EPERM);
    assert_int_equal(weft_enter_blocking(), -EPERM);
    assert_int_equal(weft_leave_blocking(), -EPERM);
}

/* ---- EX4: cancelling ---- */

static intptr_t count_call(void *calls) {
    atomic_fetch_add((_Atomic long *)calls, 1);
    return 0;
}
static intptr_t await_job(void *job) { return weft_await(job); }

static intptr_t cancel_queued(void *none) {
    (void)none;
    _Atomic long calls = 0;
    struct gate gate = GATE_INIT;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.threads = 1});
    weft_future *running = weft_run_in_executor(NULL, pool, pass_gate, &gate);
    weft_future *queued = weft_run_in_executor(NULL, pool, count_call, &calls);
    while (atomic_load(&gate.arrived) < 1) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must(weft_cancel(queued));
    must(weft_cancelled(queued));
    /* the running one: its awaiter learns at once, it goes on, and its result is dropped */
    weft_task *awaiter = weft_spawn(await_job, running);
    must_equal(weft_sleep(WEFT_MS(1)), 0);
    must(weft_cancel(awaiter));
    must_equal(weft_join(awaiter), -ECANCELED);
    must(weft_cancelled(running));
    must(!gate.open);
    gate_open(&gate);
    must_equal(weft_thread_pool_close(pool, WEFT_SEC(20)), 0);
    must_equal(weft_result(running), -ECANCELED);
    must_equal(calls, 0);
    weft_release(running);
    weft_release(queued);
    weft_thread_pool_release(pool);
    return 0;
}
static void test_EX4_a_cancelled_job_that_is_queued_never_runs(void **state) {
    (void)state;
    everywhere(cancel_queued);
}

/* ---- EX5 ---- */

static intptr_t name_of_thread(void *name) { return pthread_getname_np(pthread_self(), name, 16); }
static intptr_t use_default(void *none) {
    (void)none;
    char name[16];
    enum { MANY = 80 };
    struct gate gate = GATE_INIT;
    weft_future *jobs[MANY];
    for (int i = 0; i < MANY; i++) jobs[i] = weft_to_thread(pass_gate, &gate);
    cpu_set_t set;
    must_equal(sched_getaffinity(0, sizeof set, &set), 0);
    long most = CPU_COUNT(&set) + 4 < 32 ? CPU_COUNT(&set) + 4 : 32;
    while (atomic_load(&gate.arrived) < most) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(weft_sleep(WEFT_MS(20)), 0);
    must_equal(atomic_load(&gate.arrived), most); /* and no more */
    gate_open(&gate);
    for (int i = 0; i < MANY; i++) must_equal(weft_join(jobs[i]), 7);
    weft_thread_pool *mine = weft_thread_pool_new((weft_thread_pool_options){.name = "mine", .threads = 1});
    must_equal(weft_set_default_executor(NULL, mine), 0);
    must_equal(weft_join(weft_to_thread(name_of_thread, name)), 0);
    must_equal(strcmp(name, "mine"), 0);
    weft_thread_pool_release(mine);
    must_equal(weft_join(weft_to_thread(add_one, NULL)), -ESHUTDOWN);
    return 0;
}
static void test_EX5_the_default_pool(void **state) {
    (void)state;
    everywhere(use_default);
}

/* ---- EX6 ---- */

static intptr_t shut_down(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    _Atomic long calls = 0;
    weft_future *stuck = weft_to_thread(pass_gate, &gate);
    must_equal(weft_join(weft_to_thread(count_call, &calls)), 0);
    while (atomic_load(&gate.arrived) < 1) must_equal(weft_sleep(WEFT_MS(1)), 0);
    struct capture capture = capture_begin();
    int64_t began = weft_time();
    must_equal(weft_shutdown_default_executor(NULL, WEFT_MS(50)), -ETIMEDOUT);
    must(weft_time() - began >= WEFT_MS(50));
    must_equal(capture_end(capture, "default executor"), 1);
    must_equal(weft_join(weft_to_thread(count_call, &calls)), -ESHUTDOWN);
    must_equal(weft_join(weft_run_in_executor(NULL, NULL, count_call, &calls)), -ESHUTDOWN);
    gate_open(&gate);
    must_equal(weft_shutdown_default_executor(NULL, WEFT_SEC(20)), 0); /* again: waits again */
    must_equal(weft_join(stuck), 7);
    must_equal(calls, 1);
    return 0;
}
static void test_EX6_shutting_down_the_default_executor(void **state) {
    (void)state;
    everywhere(shut_down);
}

static intptr_t shut_down_in_job(void *loop) { return weft_shutdown_default_executor(loop, WEFT_FOREVER); }
static void shut_down_in_callback(void *result) {
    *(_Atomic long *)result = weft_shutdown_default_executor(NULL, WEFT_FOREVER);
}
/* Who could only wait for himself is refused, and nothing happens. */
static intptr_t shut_down_badly(void *none) {
    (void)none;
    _Atomic long in_callback = 0;
    weft_loop *loop = weft_get_running_loop();
    must_equal(weft_join(weft_to_thread(shut_down_in_job, loop)), -EDEADLK);
    weft_loop_call_soon(loop, shut_down_in_callback, &in_callback);
    while (in_callback == 0) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(in_callback, -EDEADLK);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_shutdown_default_executor(loop, WEFT_FOREVER), -EPERM);
    must_equal(weft_leave_blocking(), 0);
    must_equal(weft_join(weft_to_thread(add_one, NULL)), 1);
    return 0;
}
static void test_EX6_nobody_waits_for_himself(void **state) {
    (void)state;
    everywhere(shut_down_badly);
}

/* Jobs that end once the run's main task is over and its thread sleeps: because it waits for them. */
struct left_jobs {
    struct gate gate;
    pid_t caller;
    _Atomic bool left;
    _Atomic long calls;
};

static intptr_t count_behind_gate(void *arg) {
    struct left_jobs *self = arg;
    pass_gate(&self->gate);
    return count_call(&self->calls);
}
static void *open_when_waited_for(void *arg) {
    struct left_jobs *self = arg;
    while (!atomic_load(&self->left) || !thread_sleeps(self->caller)) sched_yield();
    gate_open(&self->gate);
    return NULL;
}
/* Returns the thread that opens the gate. */
static pthread_t left_jobs_init(struct left_jobs *self) {
    *self = (struct left_jobs){.gate = GATE_INIT, .caller = gettid()};
    return thread_start(open_when_waited_for, self);
}
static intptr_t leave_jobs(void *arg) {
    struct left_jobs *self = arg;
    for (int i = 0; i < 20; i++) weft_release(weft_to_thread(count_behind_gate, self));
    atomic_store(&self->left, true);
    return 5;
}
/* RN3: the run waits for its default executor, queued jobs included. */
static void test_EX6_run_waits_at_its_end(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++) {
        static struct left_jobs self;
        pthread_t opener = left_jobs_init(&self);
        assert_int_equal(run_on(workers, leave_jobs, &self), 5);
        assert_int_equal(self.calls, 20);
        pthread_join(opener, NULL);
    }
}

static intptr_t leave_stuck(void *gate) {
    weft_release(weft_to_thread(pass_gate, gate));
    while (atomic_load(&((struct gate *)gate)->arrived) < 1) must_equal(weft_sleep(WEFT_MS(1)), 0);
    return 5;
}
static void test_EX6_run_gives_up_at_the_deadline(void **state) {
    (void)state;
    static struct gate gates[6]; /* the jobs outlive their runs */
    for (unsigned workers = 0; workers <= 2; workers++) {
        struct gate *gate = &gates[2 * workers];
        gate[0] = gate[1] = (struct gate)GATE_INIT;
        weft_options options = {
            .workers = workers ? workers : 1, .fifo = workers == 0, .executor_ns = WEFT_MS(40)};
        struct capture capture = capture_begin();
        int64_t began = weft_time();
        assert_int_equal(weft_run_fn_with(options, leave_stuck, &gate[0]), 5);
        assert_true(weft_time() - began >= WEFT_MS(40));
        assert_true(weft_time() - began < WEFT_SEC(20));
        assert_int_equal(capture_end(capture, "default executor"), 1);
        options.executor_ns = -1; /* does not wait at all */
        assert_int_equal(weft_run_fn_with(options, leave_stuck, &gate[1]), 5);
        gate_open(&gate[0]);
        gate_open(&gate[1]);
    }
}

/* ---- EX7 ---- */

static weft_context_var variable = WEFT_CONTEXT_VAR("variable", "default");

static intptr_t see_and_set(void *wanted) {
    bool same = weft_context_var_get(&variable) == wanted;
    must_equal(weft_context_var_set(&variable, "of the job", NULL), 0);
    return same;
}
static intptr_t carry_context(void *none) {
    (void)none;
    static char mine[] = "mine";
    must_equal(weft_context_var_set(&variable, mine, NULL), 0);
    for (int i = 0; i < 20; i++) {
        must_equal(weft_join(weft_to_thread(see_and_set, mine)), 1);
        must_equal(weft_join(weft_run_in_executor(NULL, NULL, see_and_set, variable.default_value)), 1);
    }
    must(weft_context_var_get(&variable) == mine);
    return 0;
}
static void test_EX7_to_thread_carries_the_context(void **state) {
    (void)state;
    everywhere(carry_context);
}

/* ---- EX8 ---- */

weft_async(a_coroutine) { return 0; }
static weft_fn *as_function(weft_coroutine_function function) { return (weft_fn *)function; }
static intptr_t pass_a_coroutine(void *none) {
    (void)none;
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){0});
    weft_loop_set_debug(weft_get_running_loop(), true);
    weft_fn *wrong = as_function((weft_coroutine_function)a_coroutine);
    must_equal(weft_join(weft_to_thread(wrong, NULL)), -EINVAL);
    must_equal(weft_join(weft_run_in_executor(NULL, pool, wrong, NULL)), -EINVAL);
    must_equal(weft_join(weft_thread_pool_submit(pool, wrong, NULL)), -EINVAL);
    must_equal(weft_join(weft_to_thread(NULL, NULL)), -EINVAL);
    must_equal(weft_join(weft_to_thread(add_one, NULL)), 1);
    weft_coroutine_close(a_coroutine());
    weft_thread_pool_release(pool);
    return 0;
}
static void test_EX8_a_coroutine_function_is_refused(void **state) {
    (void)state;
    everywhere(pass_a_coroutine);
}

/* ---- R12 ---- */

static void not_called(weft_future *future, void *arg) {
    (void)future;
    (void)arg;
    must(!"a callback of a closed loop");
}
static void test_R12_close_does_not_wait(void **state) {
    (void)state;
    struct gate gate = GATE_INIT;
    weft_loop *loop = weft_new_event_loop();
    weft_future *left = weft_run_in_executor(loop, NULL, pass_gate, &gate); /* the loop does not run yet */
    assert_int_equal(weft_add_done_callback(left, not_called, NULL), 0);
    spin_until(&gate.arrived, 1);
    assert_int_equal(weft_loop_close(loop), 0);
    assert_false(weft_done(left));
    assert_int_equal(weft_join(weft_run_in_executor(loop, NULL, add_one, NULL)), -ESHUTDOWN);
    gate_open(&gate);
    assert_int_equal(weft_await(left), 7); /* it touches no loop */
    assert_null(weft_future_get_loop(left));
    weft_release(left);
    weft_loop_release(loop);
}

static void test_R12_a_runner_waits(void **state) {
    (void)state;
    static struct left_jobs self;
    pthread_t opener = left_jobs_init(&self);
    weft_runner *runner = weft_runner_new((weft_options){0});
    assert_int_equal(weft_runner_run(runner, weft_coroutine(leave_jobs, &self)), 5);
    assert_int_equal(weft_runner_close(runner), 0);
    assert_int_equal(self.calls, 20);
    pthread_join(opener, NULL);
    weft_runner_release(runner);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_EX1_the_loop_stays_responsive),
        cmocka_unit_test(test_EX1_jobs_overlap),
        cmocka_unit_test(test_EX1_to_thread_is_consumed),
        cmocka_unit_test(test_EX1_from_a_plain_thread),
        cmocka_unit_test(test_EX1_without_a_loop),
        cmocka_unit_test(test_EX4_a_cancelled_job_that_is_queued_never_runs),
        cmocka_unit_test(test_EX5_the_default_pool),
        cmocka_unit_test(test_EX6_shutting_down_the_default_executor),
        cmocka_unit_test(test_EX6_nobody_waits_for_himself),
        cmocka_unit_test(test_EX6_run_waits_at_its_end),
        cmocka_unit_test(test_EX6_run_gives_up_at_the_deadline),
        cmocka_unit_test(test_EX7_to_thread_carries_the_context),
        cmocka_unit_test(test_EX8_a_coroutine_function_is_refused),
        cmocka_unit_test(test_R12_close_does_not_wait),
        cmocka_unit_test(test_R12_a_runner_waits),
    };
    return run_group(tests);
}
