/* Polling a long task every second, and cancelling it after five. The request is only noticed when the
 * task next runs, so the loop goes round once more. */
#include "delay.h"

weft_async(async_main) {
    weft_task *long_task = weft_create_task(delay(10));
    int seconds_elapsed = 0;

    while (!weft_done(long_task)) {
        puts("Task not finished, checking again in a second.");
        weft_sleep(seed_seconds(1));
        seconds_elapsed = seconds_elapsed + 1;
        if (seconds_elapsed == 5)
            weft_cancel(long_task);
    }

    if (weft_join(long_task) == -ECANCELED)
        puts("Our task was cancelled");
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
