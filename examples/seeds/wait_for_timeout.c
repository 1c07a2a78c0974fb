/* wait_for: a limit of one second for a task that takes two. */
#include "delay.h"
#include "python_text.h"

weft_async(async_main) {
    weft_task *delay_task = weft_create_task(delay(2));

    intptr_t result = weft_wait_for(delay_task, seed_seconds(1));
    if (result == -ETIMEDOUT) {
        puts("Got a timeout");
        printf("Was the task cancelled? %s\n", python_bool(weft_cancelled(delay_task)));
    } else {
        printf("%d\n", (int)result);
    }
    weft_release(delay_task);
    return 0;
}

WEFT_MAIN(async_main)
