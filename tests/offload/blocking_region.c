/* Blocking regions: what holds between weft_enter_blocking and weft_leave_blocking, and afterwards. */
#define _GNU_SOURCE
#include "api_support.h"

#include <sys/wait.h>
#include <time.h>

static void everywhere(weft_fn *fn) {
    for (unsigned workers = 0; workers <= 2; workers++) must_equal(run_on(workers, fn, NULL), 0);
}

static __attribute__((noinline)) pid_t thread(void) { return gettid(); }

/* ---- who one is ---- */

static weft_context_var variable = WEFT_CONTEXT_VAR("variable", "default");

static intptr_t keep_identity(void *none) {
    (void)none;
    char local[2000];
    memset(local, 'x', sizeof local);
    weft_task *self = weft_current_task();
    must_equal(weft_context_var_set(&variable, "outside", NULL), 0);
    for (int i = 0; i < 50; i++) {
        pid_t outside = thread();
        errno = i;
        must_equal(weft_enter_blocking(), 0);
        must_equal(errno, i);
        must(thread() != outside);
        must(weft_current_task() == self && !weft_get_running_loop());
        must_equal(strcmp(weft_context_var_get(&variable), "outside"), 0);
        must_equal(weft_context_var_set(&variable, "inside", NULL), 0);
        errno = i + 1;
        must_equal(weft_leave_blocking(), 0);
        must_equal(errno, i + 1);
        must(weft_current_task() == self && weft_get_running_loop());
        must_equal(strcmp(weft_context_var_get(&variable), "inside"), 0);
        must_equal(weft_context_var_set(&variable, "outside", NULL), 0);
        must(local[i] == 'x' && local[sizeof local - 1] == 'x');
    }
    return 0;
}
static void test_the_task_keeps_its_identity(void **state) {
    (void)state;
    everywhere(keep_identity);
}

static intptr_t open_after_ten_ticks(void *gate) {
    for (int i = 0; i < 10; i++) must_equal(weft_sleep(WEFT_MS(2)), 0);
    gate_open(gate);
    return 0;
}
static intptr_t block_inside(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    weft_task *ticker = weft_spawn(open_after_ten_ticks, &gate);
    must_equal(weft_enter_blocking(), 0);
    must_equal(pass_gate(&gate), 7); /* the loop goes on, or this never ends */
    must_equal(weft_leave_blocking(), 0);
    must_equal(weft_join(ticker), 0);
    return 0;
}
static void test_the_loop_stays_responsive(void **state) {
    (void)state;
    everywhere(block_inside);
}

static intptr_t nest(void *none) {
    (void)none;
    must_equal(weft_enter_blocking(), 0);
    pid_t inside = thread();
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_leave_blocking(), 0);
    must_equal(weft_leave_blocking(), 0);
    must(thread() == inside && !weft_get_running_loop());
    must_equal(weft_leave_blocking(), 0);
    must(weft_get_running_loop());
    must_equal(weft_leave_blocking(), -EPERM);
    return 0;
}
static void test_regions_nest(void **state) {
    (void)state;
    everywhere(nest);
}

/* ---- what is refused inside ---- */

static intptr_t nothing(void *none) {
    (void)none;
    return 0;
}
static void complete(void *future) { weft_future_set_result(future, 3); }
weft_async(coroutine) { return 0; }

static intptr_t refuse(void *none) {
    (void)none;
    weft_future *pending = weft_future_new(), *done = weft_future_new(), *next;
    weft_loop *loop = weft_get_running_loop();
    weft_lock free_lock = WEFT_LOCK_INIT, held = WEFT_LOCK_INIT;
    weft_timeout scope;
    weft_future_set_result(done, 5);
    must_equal(weft_lock_acquire(&held), 0);
    must_equal(weft_timeout_enter(&scope, WEFT_SEC(100)), 0);
    weft_as_completed each;
    must_equal(weft_as_completed_init(&each, &pending, 1, WEFT_FOREVER), 0);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_await(pending), -EPERM);
    must_equal(weft_await(done), 5);
    must_equal(weft_await(coroutine()), -EPERM);
    must_equal(weft_wait_for(pending, WEFT_MS(1)), -EPERM);
    must_equal(weft_wait(&pending, 1, WEFT_ALL_COMPLETED, WEFT_SEC(1)), -EPERM);
    must_equal(weft_as_completed_next(&each, &next), -EPERM);
    must_equal(weft_sleep(WEFT_MS(1)), -EPERM);
    must_equal(weft_sleep(0), -EPERM);
    must_equal(weft_yield(), -EPERM);
    must_equal(weft_lock_acquire(&free_lock), 0);
    must_equal(weft_lock_release(&free_lock), 0);
    must_equal(weft_lock_acquire(&held), -EPERM);
    must_equal(weft_timeout_exit(&scope, 0), -EPERM);
    must_equal(weft_timeout_reschedule(&scope, 0), -EPERM);
    must_equal(weft_go(nothing, NULL), -EPERM);
    must_equal(weft_join(weft_to_thread(nothing, NULL)), -EPERM);
    must_equal(weft_recv(0, &scope, 1, 0), -EPERM);
    must_equal(weft_wait_blocking(pending, WEFT_MS(1)), -ETIMEDOUT);
    must_equal(weft_loop_call_soon_threadsafe(loop, complete, pending).error, 0);
    must_equal(weft_wait_blocking(pending, WEFT_SEC(20)), 3);
    must_equal(weft_leave_blocking(), 0);
    must_equal(weft_timeout_exit(&scope, 0), 0);
    must_equal(weft_as_completed_next(&each, &next), 1);
    weft_as_completed_fini(&each);
    must_equal(weft_lock_release(&held), 0);
    weft_release(pending);
    weft_release(done);
    return 0;
}
static void test_what_would_suspend_is_refused(void **state) {
    (void)state;
    everywhere(refuse);
}

static void enter_in_callback(void *result) { *(_Atomic long *)result = weft_enter_blocking(); }
static intptr_t use_callback(void *none) {
    (void)none;
    _Atomic long result = 0;
    weft_loop_call_soon(weft_get_running_loop(), enter_in_callback, &result);
    while (result == 0) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(result, -EPERM);
    return 0;
}
static void test_a_callback_cannot_enter(void **state) {
    (void)state;
    everywhere(use_callback);
}

/* ---- cancelling ---- */

static intptr_t be_cancelled_inside(void *gate) {
    must_equal(weft_enter_blocking(), 0);
    must_equal(pass_gate(gate), 7);
    must_equal(weft_enter_blocking(), 0); /* nested: no await point */
    must_equal(weft_leave_blocking(), 0);
    must_equal(weft_leave_blocking(), 0);
    must_equal(weft_enter_blocking(), -ECANCELED); /* here it comes */
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_leave_blocking(), 0);
    return weft_sleep(WEFT_MS(1));
}
static intptr_t cancel_inside(void *none) {
    (void)none;
    struct gate gate = GATE_INIT;
    weft_task *task = weft_spawn(be_cancelled_inside, &gate);
    while (!atomic_load(&gate.arrived)) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must(weft_cancel(task));
    must_equal(weft_sleep(WEFT_MS(5)), 0);
    must(!weft_done(task));
    gate_open(&gate);
    must_equal(weft_join(task), 0);
    return 0;
}
static void test_a_cancel_stays_pending(void **state) {
    (void)state;
    everywhere(cancel_inside);
}

/* ---- ends in between ---- */

static intptr_t forget_to_leave(void *arg) {
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_enter_blocking(), 0);
    return (intptr_t)arg;
}
weft_async(forget) { return forget_to_leave((void *)8); }
weft_async_generator(generate) {
    must_equal(weft_yield_value(1), 0);
    return forget_to_leave(NULL);
}
static intptr_t forgetful(void *none) {
    (void)none;
    weft_task *task = weft_spawn(forget_to_leave, (void *)9);
    must_equal(weft_join(task), 9); /* perhaps in place */
    must(weft_get_running_loop());
    task = weft_spawn(forget_to_leave, (void *)10);
    must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(weft_join(task), 10);
    must_equal(weft_await(forget()), 8); /* a plain call: the task itself is inside now */
    must(!weft_get_running_loop());
    must_equal(weft_leave_blocking(), 0);
    must_equal(weft_leave_blocking(), 0);
    must(weft_get_running_loop());
    intptr_t value;
    weft_generator *generator = generate();
    must_equal(weft_anext(generator, &value), 1);
    must_equal(weft_anext(generator, &value), 0);
    must(weft_get_running_loop());
    weft_generator_release(generator);
    return 0;
}
static void test_who_returns_inside_leaves(void **state) {
    (void)state;
    everywhere(forgetful);
}

/* ---- pinned or not, often ---- */

static intptr_t come_and_go(void *arg) {
    bool pinned = arg;
    weft_loop *home = weft_get_running_loop();
    for (long i = 0; i < ROUNDS(10000); i++) {
        must_equal(weft_enter_blocking(), 0);
        must_equal(weft_leave_blocking(), 0);
        must(!pinned || weft_get_running_loop() == home);
    }
    return 0;
}
static intptr_t ten_come_and_go(void *none) {
    (void)none;
    weft_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = weft_create_task_with((weft_task_options){.pinned = i % 2},
                                         weft_coroutine(come_and_go, (void *)(intptr_t)(i % 2)));
    for (int i = 0; i < 10; i++) must_equal(weft_join(tasks[i]), 0);
    return 0;
}
static void test_many_times(void **state) {
    (void)state;
    everywhere(ten_come_and_go);
}

/* ---- with cancels ---- */

static intptr_t until_cancelled(void *entered) {
    for (;;) {
        int error = weft_enter_blocking();
        if (error) return error;
        ++*(long *)entered;
        must_equal(weft_leave_blocking(), 0);
    }
}
static intptr_t cancel_storm(void *none) {
    (void)none;
    enum { TASKS = 8 };
    long entered[TASKS] = {0};
    weft_task *tasks[TASKS];
    for (long round = 0; round < ROUNDS(4000); round++) {
        for (int i = 0; i < TASKS; i++) tasks[i] = weft_spawn(until_cancelled, &entered[i]);
        for (long spins = round % 7; spins > 0; spins--) must_equal(weft_yield(), 0);
        for (int i = 0; i < TASKS; i++) must(weft_cancel(tasks[i]));
        for (int i = 0; i < TASKS; i++) must_equal(weft_join(tasks[i]), -ECANCELED);
    }
    return 0;
}
static void test_cancels_at_any_moment(void **state) {
    (void)state;
    everywhere(cancel_storm);
}

/* ---- limits ---- */

static _Atomic long waiting;
static weft_future *last_came;

static intptr_t wait_for_last(void *none) {
    (void)none;
    int error = weft_enter_blocking();
    if (error) return error;
    atomic_fetch_add(&waiting, 1);
    must_equal(weft_wait_blocking(last_came, WEFT_FOREVER), 1);
    return weft_leave_blocking();
}
static void begin_to_wait(weft_task **tasks, int count) {
    atomic_store(&waiting, 0);
    last_came = weft_future_new();
    for (int i = 0; i < count; i++) tasks[i] = weft_spawn(wait_for_last, NULL);
}

static intptr_t thirty_seven(void *none) {
    (void)none;
    enum { TASKS = 36 };
    weft_task *tasks[TASKS];
    begin_to_wait(tasks, TASKS);
    while (atomic_load(&waiting) < TASKS) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_future_set_result(last_came, 1), 0);
    must_equal(weft_leave_blocking(), 0);
    for (int i = 0; i < TASKS; i++) must_equal(weft_join(tasks[i]), 0);
    weft_release(last_came);
    return 0;
}
static void test_36_wait_for_the_37th(void **state) {
    (void)state;
    everywhere(thirty_seven);
}

/* More than there may be: the others wait for their turn, and can be cancelled meanwhile. */
static intptr_t too_many(void *none) {
    (void)none;
    enum { LIMIT = 512, TASKS = LIMIT + 20 };
    static weft_task *tasks[TASKS];
    begin_to_wait(tasks, TASKS);
    while (atomic_load(&waiting) < LIMIT) must_equal(weft_sleep(WEFT_MS(1)), 0);
    must_equal(weft_sleep(WEFT_MS(10)), 0);
    must_equal(atomic_load(&waiting), LIMIT);
    for (int i = 0; i < TASKS; i++) weft_cancel(tasks[i]); /* 20 wait, the others are inside */
    for (int ended = 0; ended < TASKS - LIMIT;) {
        must_equal(weft_sleep(WEFT_MS(1)), 0);
        ended = 0;
        for (int i = 0; i < TASKS; i++) ended += weft_done(tasks[i]);
    }
    must_equal(weft_future_set_result(last_came, 1), 0);
    int cancelled = 0;
    for (int i = 0; i < TASKS; i++) cancelled += weft_join(tasks[i]) == -ECANCELED;
    must_equal(cancelled, TASKS); /* those inside: past their last await, rule X12 */
    must_equal(atomic_load(&waiting), LIMIT);
    weft_release(last_came);
    return 0;
}
static void test_more_than_the_limit(void **state) {
    (void)state;
    assert_int_equal(run_on(0, too_many, NULL), 0);
    assert_int_equal(run_on(2, too_many, NULL), 0);
}

/* ---- loops inside ---- */

static intptr_t inner(void *none) {
    (void)none;
    must_equal(weft_leave_blocking(), -EPERM); /* the region is not this task's */
    must(weft_context_var_get(&variable) == (void *)&variable);
    must_equal(weft_enter_blocking(), 0);
    must_equal(weft_sleep(1), -EPERM);
    must_equal(weft_leave_blocking(), 0);
    return weft_sleep(WEFT_MS(1)) ? -EINVAL : 11;
}
static intptr_t outer(void *none) {
    (void)none;
    weft_task *self = weft_current_task();
    must_equal(weft_context_var_set(&variable, &variable, NULL), 0);
    must_equal(weft_enter_blocking(), 0);
    for (unsigned workers = 0; workers <= 2; workers++) must_equal(run_on(workers, inner, NULL), 11);
    must(weft_current_task() == self);
    must_equal(weft_sleep(1), -EPERM);
    return weft_leave_blocking();
}
static void test_a_run_inside_a_region(void **state) {
    (void)state;
    everywhere(outer);
}
static intptr_t run_inner(void *arg) {
    (void)arg;
    return weft_run_fn(nothing, NULL);
}
static intptr_t runs_in_jobs(void *none) {
    (void)none;
    must_equal(weft_join(weft_to_thread(run_inner, NULL)), 0);
    return 0;
}
static void test_a_run_inside_a_job(void **state) {
    (void)state;
    everywhere(runs_in_jobs);
}

/* ---- parallel calls ---- */

static _Atomic enum { STARTS, ENTERS, JOINS, JOINED } joiner_does;
static _Atomic pid_t joiner; /* its thread */

/* Still runs when it is joined from a region, until the joiner sleeps; if it is not run by the start itself. */
static intptr_t joined_call(void *arg) {
    if (joiner_does == STARTS && gettid() == joiner) return (intptr_t)arg;
    while (joiner_does <= ENTERS || (joiner_does == JOINS && !thread_sleeps(joiner))) sched_yield();
    return (intptr_t)arg;
}
static intptr_t plain_call(void *arg) { return (intptr_t)arg; }
static intptr_t parallel_over_region(void *none) {
    (void)none;
    for (int i = 0; i < 20; i++) {
        weft_parallel call, inside;
        joiner = gettid();
        joiner_does = STARTS;
        weft_parallel_start(&call, joined_call, (void *)3);
        joiner_does = ENTERS;
        must_equal(weft_enter_blocking(), 0);
        weft_parallel_start(&inside, plain_call, (void *)4);
        must_equal(weft_parallel_join(&inside), 4);
        joiner = gettid();
        joiner_does = JOINS;
        intptr_t result = weft_parallel_join(&call);
        joiner_does = JOINED;
        must_equal(weft_leave_blocking(), 0);
        must_equal(result == -EPERM ? weft_parallel_join(&call) : result, 3);
    }
    return 0;
}
static void test_parallel_calls_over_a_region(void **state) {
    (void)state;
    everywhere(parallel_over_region);
}

/* ---- signals ---- */

static intptr_t write_to_closed_pipe(void *none) {
    (void)none;
    int ends[2];
    must_equal(pipe(ends), 0);
    close(ends[0]);
    must_equal(weft_enter_blocking(), 0);
    must_equal(write(ends[1], "x", 1), -1); /* SIGPIPE would end us here */
    must_equal(weft_leave_blocking(), 0);
    close(ends[1]);
    return 0;
}
static void test_no_SIGPIPE(void **state) {
    (void)state;
    everywhere(write_to_closed_pipe);
}

static __attribute__((noinline)) int dig(volatile char *above, int depth) {
    volatile char here[4096];
    here[0] = above ? above[0] : 1;
    return depth == 0 ? here[0] : dig(here, depth - 1) + here[0];
}
static intptr_t overflow(void *none) {
    (void)none;
    must_equal(weft_enter_blocking(), 0);
    return dig(NULL, 1 << 20);
}
static void test_an_overflow_is_reported(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    pid_t child = fork();
    if (child == 0) {
        weft_run_fn(overflow, NULL);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(capture_end(capture, "stack overflow in task"), 1);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test_unless(TSAN, test_an_overflow_is_reported), /* which defers the signal */
        cmocka_unit_test(test_the_task_keeps_its_identity),
        cmocka_unit_test(test_the_loop_stays_responsive),
        cmocka_unit_test(test_regions_nest),
        cmocka_unit_test(test_what_would_suspend_is_refused),
        cmocka_unit_test(test_a_callback_cannot_enter),
        cmocka_unit_test(test_a_cancel_stays_pending),
        cmocka_unit_test(test_who_returns_inside_leaves),
        cmocka_unit_test(test_many_times),
        cmocka_unit_test(test_cancels_at_any_moment),
        cmocka_unit_test(test_36_wait_for_the_37th),
        cmocka_unit_test(test_more_than_the_limit),
        cmocka_unit_test(test_a_run_inside_a_region),
        cmocka_unit_test(test_a_run_inside_a_job),
        cmocka_unit_test(test_parallel_calls_over_a_region),
        cmocka_unit_test(test_no_SIGPIPE),
    };
    return run_group(tests);
}
