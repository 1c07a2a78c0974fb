/* Running a coroutine, and what becomes of a task that is created without a running loop. */
#include "delay.h"

weft_async(async_main) {
    puts("hello");
    int error = weft_sleep(seed_seconds(1));
    if (error < 0)
        return error;
    puts("world");
    return 0;
}

int main(void) {
    weft_run(async_main());

    intptr_t error = weft_join(weft_create_task(async_main()));
    if (error != -EPERM)
        return 1;
    fprintf(stderr, "create_task: no running event loop (%s)\n", weft_strerror(error));
    return 0;
}
