/* Timing any coroutine function. Python decorates the function; C wraps the call:
 * async_timed(delay, 2) is a coroutine like delay(2). */
#include "delay.h"

weft_async(timed, (const char *, function), (const char *, args), (weft_future *, coroutine)) {
    printf("starting <function %s> with args (%s) {}\n", function, args);
    int64_t start = weft_time();
    intptr_t result = weft_await(coroutine); /* a value, an error or -ECANCELED: all of them pass on */
    int64_t end = weft_time();
    printf("finished <function %s> in %.4f second(s)\n", function, seed_elapsed(end - start));
    return result;
}

#define async_timed(function, ...) timed(#function, #__VA_ARGS__, function(__VA_ARGS__))

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
