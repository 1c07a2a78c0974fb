/* Timing any coroutine function. Python decorates the function; C wraps the call:
 * async_timed(delay, 2) is a coroutine like delay(2). */
#include "delay.h"

/* The clock of the listing, whose seconds may be short (delay.h). */
static int64_t seed_clock(void) { return (int64_t)(seed_elapsed(weft_time()) * 1e9); }

#define async_timed(function, ...) weft_timed_with(seed_clock, function, ##__VA_ARGS__)

weft_async(async_main) {
    weft_task *task_one = weft_create_task(async_timed(delay, 2));
    weft_task *task_two = weft_create_task(async_timed(delay, 3));
    weft_task *task_three = weft_create_task(async_timed(delay, 10));

    weft_sleep(seed_seconds(1));
    weft_cancel(task_three);

    printf("%s\n", weft_strerror(weft_join(task_three)));
    printf("%d\n", (int)weft_join(task_one));
    printf("%d\n", (int)weft_join(task_two));
    return 0;
}

int main(void) {
    return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_timed(async_main)));
}
