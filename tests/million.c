/* A million tasks parked in weft_sleep at once, on the default limits of the machine; then all finish. */
#include "support.h"

#include <sys/sysinfo.h>

#define TASKS 1000000L
#define BYTES_EACH 5000L

static _Atomic long asleep, finished;

static intptr_t sleeper(void *arg) {
    (void)arg;
    asleep++;
    must_equal(weft_sleep(WEFT_FOREVER), -ECANCELED);
    finished++;
    return 0;
}

static intptr_t all(void *arg) {
    (void)arg;
    for (long i = 0; i < TASKS; i++) must_equal(weft_go(sleeper, NULL), 0);
    while (asleep < TASKS) weft_yield();
    return 0; /* the end of the runtime cancels them */
}

static void test_million(void **state) {
    (void)state;
    assert_int_equal(weft_run_fn(all, NULL), 0);
    assert_int_equal(finished, TASKS);
}

int main(void) {
    struct sysinfo info;
    if (sysinfo(&info) != 0 || (long)(info.freeram / BYTES_EACH * info.mem_unit) < TASKS * 5 / 4) return SKIPPED;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_million)};
    return run_group(tests);
}
