/* wait_for around a shield: the caller is told, the task goes on. */
#include "delay.h"

weft_async(async_main) {
    weft_task *task = weft_create_task(delay(10));

    intptr_t result = weft_wait_for(weft_shield(task), seed_seconds(5));
    if (result == -ETIMEDOUT) {
        puts("Task took longer than five seconds, it will finish soon!");
        result = weft_await(task);
    }
    printf("%d\n", (int)result);
    weft_release(task);
    return 0;
}

WEFT_MAIN(async_main)
