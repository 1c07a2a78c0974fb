/* Three tasks of three seconds each take three seconds, not nine. */
#include "delay.h"

weft_async(async_main) {
    weft_task *sleep_for_three = weft_create_task(delay(3));
    weft_task *sleep_again = weft_create_task(delay(3));
    weft_task *sleep_once_more = weft_create_task(delay(3));

    weft_join(sleep_for_three);
    weft_join(sleep_again);
    weft_join(sleep_once_more);
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
