/* Code that runs while two tasks sleep. */
#include "delay.h"

weft_async(hello_every_second) {
    for (int i = 0; i < 2; i++) {
        int error = weft_sleep(seed_seconds(1));
        if (error < 0)
            return error;
        puts("I'm running other code while I'm waiting!");
    }
    return 0;
}

weft_async(async_main) {
    weft_task *first_delay = weft_create_task(delay(3));
    weft_task *second_delay = weft_create_task(delay(3));

    weft_await(hello_every_second());
    weft_join(first_delay);
    weft_join(second_delay);
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
