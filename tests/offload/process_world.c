/* What a job finds around it: signals, descriptors, standard output, a process where weft_run works. */
#include "process_support.h"

#include <fcntl.h>
#include <sys/syscall.h>

WEFT_JOB(nothing) { return 1; }

/* ---- signals ---- */

static void on_signal(int number) { (void)number; }

struct signals {
    bool usr1_is_default, usr2_is_ignored, pipe_is_default, child_is_default;
    bool pipe_is_blocked, term_is_blocked, hup_is_blocked;
};

static bool disposition_is(int number, void (*handler)(int)) {
    struct sigaction action;
    sigaction(number, NULL, &action);
    return action.sa_handler == handler;
}

WEFT_JOB_OF(looks_at_signals, int, struct signals) {
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    *out = (struct signals){disposition_is(SIGUSR1, SIG_DFL), disposition_is(SIGUSR2, SIG_IGN),
                            disposition_is(SIGPIPE, SIG_DFL), disposition_is(SIGCHLD, SIG_DFL),
                            sigismember(&mask, SIGPIPE),      sigismember(&mask, SIGTERM),
                            sigismember(&mask, SIGHUP)};
    return 0;
}

WEFT_JOB(writes_to_a_closed_pipe) {
    int ends[2];
    if (pipe(ends) != 0) return -EMFILE;
    close(ends[0]);
    return write(ends[1], "x", 1);
}

static intptr_t signals(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    struct signals seen;
    must_equal(weft_process_pool_call(pool, looks_at_signals, &(int){0}, sizeof(int), &seen, sizeof seen), 0);
    must(seen.usr1_is_default && seen.usr2_is_ignored && seen.pipe_is_default && seen.child_is_default);
    must(!seen.pipe_is_blocked && seen.term_is_blocked && !seen.hup_is_blocked);
    weft_future *job = start_job(pool, writes_to_a_closed_pipe);
    must_equal(weft_await(job), -EOWNERDEAD);
    must_equal(WTERMSIG(weft_job_status(job)), SIGPIPE);
    weft_release(job);
    end_pool(pool);
    return 0;
}

static void test_signals(void **state) {
    (void)state;
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    signal(SIGUSR1, on_signal);
    signal(SIGUSR2, SIG_IGN);
    on_all(signals);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ---- descriptors ---- */

WEFT_JOB_OF(looks_at_descriptors, int, int[3]) {
    char byte;
    (*out)[0] = open_descriptors();
    (*out)[1] = fcntl(*in, F_GETFD);
    (*out)[2] = (int)read(STDIN_FILENO, &byte, 1);
    return 0;
}

static intptr_t descriptors(void *arg) {
    int seen[3];
    weft_process_pool *pool = pool_of(1);
    must_equal(weft_process_pool_call(pool, looks_at_descriptors, arg, sizeof(int), seen, sizeof seen), 0);
    must_equal(seen[0], 2 + 3 + 2 + 1); /* . and .., standard, weft's, the directory's own */
    must_equal(seen[1], -1);            /* the program's are not there */
    must_equal(seen[2], 0);             /* and its input is not to be had */
    end_pool(pool);
    return 0;
}

static void test_descriptors(void **state) {
    (void)state;
    int fd = open("/dev/zero", O_RDONLY);
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, descriptors, &fd), 0);
    close(fd);
}

/* ---- output ---- */

WEFT_JOB(prints) {
    printf("[job]");
    return 0;
}
WEFT_JOB(prints_and_exits) {
    printf("[exit]");
    exit(0);
}
WEFT_JOB(prints_and_dies) {
    printf("[lost]");
    return raise(SIGKILL);
}

static intptr_t printing(void *arg) {
    (void)arg;
    printf("[task]");
    weft_process_pool *pool = pool_of(1);
    must_equal(weft_join(start_job(pool, prints)), 0);
    must_equal(weft_join(start_job(pool, prints_and_dies)), -EOWNERDEAD);
    must_equal(weft_join(start_job(pool, prints_and_exits)), -EOWNERDEAD);
    end_pool(pool);
    return 0;
}

/* What the program has buffered is written once, by the program. */
static void test_output(void **state) {
    (void)state;
    char path[] = "/tmp/weft-process-XXXXXX", said[256];
    int file = mkstemp(path), status;
    assert_true(file >= 0);
    unlink(path);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(file, STDOUT_FILENO);
        fcntl(STDOUT_FILENO, F_SETFL, O_APPEND);
        setvbuf(stdout, NULL, _IOFBF, 4096);
        printf("[program]");
        exit(run_on(2, printing, NULL) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    said[pread(file, said, sizeof said - 1, 0)] = 0;
    assert_string_equal(said, "[job][exit][program][task]");
    close(file);
}

/* ---- weft in a job ---- */

weft_async(sleeper, (int, milliseconds)) {
    int error = weft_sleep(WEFT_MS(milliseconds));
    return error ? error : milliseconds;
}

static intptr_t inner(void *arg) {
    (void)arg;
    weft_task *tasks[] = {weft_create_task(sleeper(1)), weft_create_task(sleeper(2)),
                          weft_create_task(sleeper(3))};
    intptr_t sum = 0;
    for (int i = 0; i < 3; i++) sum += weft_join(tasks[i]);
    return sum;
}
WEFT_JOB(runs_weft) { return run_on((unsigned)job->input_bytes, inner, NULL); }

/* A pool of its own: the inner workers are forked from this one. */
static intptr_t inner_pool(void *arg) {
    (void)arg;
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 1});
    intptr_t result = weft_join(start_job(pool, nothing));
    if (weft_process_pool_release(pool) != 0) return -EDOM;
    return result;
}
WEFT_JOB(makes_a_pool) {
    intptr_t result = inner_pool(NULL);
    if (result != 1) return result;
    if (weft_process_pool_prepare() != 0) return -EDOM;
    return run_on(1, inner_pool, NULL);
}

static intptr_t weft_in_a_job(void *arg) {
    (void)arg;
    weft_process_pool *pool = pool_of(1);
    for (int round = 0; round < 3; round++)
        for (size_t workers = 0; workers <= 2; workers++)
            must_equal(weft_join(weft_process_pool_submit(pool, runs_weft, "ab", workers, no_options)), 6);
    must_equal(weft_process_pool_get_stats(pool).restarts, 0);
    must_equal(weft_join(start_job(pool, makes_a_pool)), 1);
    must_equal(weft_join(start_job(pool, nothing)), 1);
    end_pool(pool);
    return 0;
}

static void test_weft_in_a_job(void **state) {
    (void)state;
    on_all(weft_in_a_job);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_signals), cmocka_unit_test(test_descriptors),
                                       cmocka_unit_test(test_output), cmocka_unit_test(test_weft_in_a_job)};
    return run_process_group(tests);
}
