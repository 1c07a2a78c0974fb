/* Thousands of receives that time out in the same moment. The trap: a cancel is an entry in a submission
 * queue of 512, and one that is dropped because the queue was full leaves its task waiting for ever. */
#define _GNU_SOURCE
#include "io_support.h"

enum { TASKS = 3000 };

static int fds[TASKS][2];
static int64_t deadline_ns;

static intptr_t wait_for_nothing(void *arg) {
    char byte;
    weft_timeout limit;
    weft_timeout_enter_at(&limit, deadline_ns);
    return weft_timeout_exit(&limit, weft_recv((int)(intptr_t)arg, &byte, 1, 0));
}

static intptr_t storm(void *arg) {
    static weft_task *tasks[TASKS];
    (void)arg;
    for (int round = 0; round < 3; round++) {
        deadline_ns = weft_time() + WEFT_MS(100);
        for (int i = 0; i < TASKS; i++) tasks[i] = weft_spawn(wait_for_nothing, (void *)(intptr_t)fds[i][0]);
        for (int i = 0; i < TASKS; i++) must_equal(weft_join(tasks[i]), -ETIMEDOUT);
    }
    /* what was cancelled is gone: the bytes are for whoever asks now */
    for (int i = 0; i < TASKS; i++) {
        char byte;
        must_equal(weft_send(fds[i][1], "x", 1, 0), 1);
        must_equal(weft_recv(fds[i][0], &byte, 1, MSG_DONTWAIT), 1);
    }
    return 0;
}

/* The same, all cancelled by one task in one step. */
static intptr_t receive(void *arg) {
    char byte;
    return weft_recv((int)(intptr_t)arg, &byte, 1, 0);
}

static intptr_t mass_cancel(void *arg) {
    static weft_task *tasks[TASKS];
    (void)arg;
    for (int i = 0; i < TASKS; i++) tasks[i] = weft_spawn(receive, (void *)(intptr_t)fds[i][0]);
    weft_sleep(WEFT_MS(20)); /* most wait by now; the others are cancelled before they do */
    for (int i = 0; i < TASKS; i++) weft_cancel(tasks[i]);
    for (int i = 0; i < TASKS; i++) must_equal(weft_join(tasks[i]), -ECANCELED);
    return 0;
}

static void test_storm(void **state) {
    (void)state;
    for (int i = 0; i < TASKS; i++) make_pair(fds[i], 0);
    everywhere(storm, NULL);
    everywhere(mass_cancel, NULL);
    for (int i = 0; i < TASKS; i++) close(fds[i][0]), close(fds[i][1]);
}

int main(void) {
    if (!allow_descriptors(2 * TASKS + 100)) return SKIPPED;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
    return run_group(tests);
}
