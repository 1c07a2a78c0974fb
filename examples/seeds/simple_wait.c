/* done, pending = await wait(aws): three conditions, a timeout that cancels nothing, coroutines refused. */
#include "delay.h"

weft_async(sleeps, (int, seconds)) { return weft_sleep(seed_seconds(seconds)); }

weft_async(fails_after, (int, seconds)) {
    int error = weft_sleep(seed_seconds(seconds));
    return error < 0 ? error : -EIO;
}

static void print_wait(const char *how, weft_future **aws, int count, enum weft_return_when when,
                       int64_t timeout_ns) {
    int done = weft_wait(aws, (size_t)count, when, timeout_ns);

    printf("%s: %d done, %d pending\n", how, done, count - done);
}

weft_async(async_main) {
    weft_future *aws[] = {weft_create_task(sleeps(1)), weft_create_task(fails_after(2)),
                          weft_create_task(sleeps(4)), weft_create_task(sleeps(6))};

    print_wait("FIRST_COMPLETED", aws, 4, WEFT_FIRST_COMPLETED, WEFT_FOREVER);
    print_wait("FIRST_EXCEPTION", aws, 4, WEFT_FIRST_EXCEPTION, WEFT_FOREVER);
    print_wait("timeout", aws, 4, WEFT_ALL_COMPLETED, seed_seconds(3));
    print_wait("ALL_COMPLETED", aws, 4, WEFT_ALL_COMPLETED, WEFT_FOREVER);
    for (int i = 0; i < 4; i++)
        printf("%s\n", weft_strerror(weft_join(aws[i])));

    weft_future *coroutine = sleeps(1);
    printf("a coroutine: %s\n", weft_strerror(weft_wait(&coroutine, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER)));
    weft_coroutine_close(coroutine);
    return 0;
}

WEFT_MAIN(async_main)
