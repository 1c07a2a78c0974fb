/* Tasks in weft_sleep. By hand: `bench_parked given_back TASKS`, and a line on stdin at each "look". */
#include <string.h>

#include <weft/weft.h>

#include "parked.h"

static long tasks;
static bool to_the_end;
static _Atomic long asleep, finished;
static int64_t wake_at;

static intptr_t sleeper(void *arg) {
    asleep++;
    weft_sleep_until(wake_at);
    finished++;
    return (intptr_t)arg;
}

static intptr_t park_all(void *arg) {
    (void)arg;
    look();
    wake_at = weft_time() + (to_the_end ? WEFT_US(20) * tasks : WEFT_SEC(3600));
    for (long i = 0; i < tasks; i++)
        if (weft_go(sleeper, NULL) < 0) return -ENOMEM;
    while (asleep < tasks) weft_sleep(WEFT_MS(10));
    while (to_the_end && finished < tasks) weft_sleep(WEFT_MS(10));
    if (to_the_end) weft_sleep(WEFT_SEC(1)); /* an idle runtime gives the memory of a burst back */
    look();
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3 || (tasks = atol(argv[2])) <= 0) {
        fprintf(stderr, "usage: %s sleeping|small_stacks|given_back TASKS\n", argv[0]);
        return 2;
    }
    to_the_end = strcmp(argv[1], "given_back") == 0;
    weft_options options = {.stack_bytes = strcmp(argv[1], "small_stacks") == 0 ? 65536 : 0};
    intptr_t result = weft_run_fn_with(options, park_all, NULL);
    if (result < 0) fprintf(stderr, "%s\n", weft_strerror(result));
    return result < 0;
}
