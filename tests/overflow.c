/* A stack overflow is reported with the task's name, and kills the process as it always would. */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* Touches its whole frame from the top, as a compiler's probes would; a page at a time reaches the guard. */
__attribute__((noinline)) static int deeper(int depth) {
    volatile char frame[1024];
    frame[0] = (char)depth;
    return depth == 0 ? 0 : deeper(depth - 1) + frame[0];
}

weft_async(bottomless) { return deeper(1 << 20); }

weft_async(shallow) { return deeper(100) > 0; }

weft_async(both, (bool, overflow)) {
    weft_join(weft_create_task(shallow()));
    return weft_join(weft_create_task(overflow ? bottomless() : shallow()));
}

/* Runs `both` in a child; its stderr goes to `text`. Returns the wait status. */
static int run_child(bool overflow, char *text, size_t bytes) {
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        weft_run_with((weft_options){.workers = 1}, both(overflow));
        _exit(0);
    }
    close(pipes[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(pipes[0], text + length, bytes - 1 - length)) > 0;) length += (size_t)n;
    text[length] = '\0';
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_overflow(void **state) {
    static char text[65536];
    (void)state;
    int status = run_child(true, text, sizeof text);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0); /* a sanitizer exits instead */
    if (!strstr(text, "stack overflow in task 'bottomless'")) fail_msg("stderr was: %s", text);
}

static void test_no_overflow(void **state) {
    static char text[65536];
    (void)state;
    assert_int_equal(run_child(false, text, sizeof text), 0);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overflow), cmocka_unit_test(test_no_overflow)};
    return run_group(tests);
}
