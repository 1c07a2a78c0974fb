/* debug mode: with a threshold of 250 ms, a step of 150 ms is silent and one of 300 ms is reported, on stderr.
 * Here the times are real ones, whatever the scale of the others. */
#include "delay.h"

static void compute_for(int64_t duration_ns) {
    for (int64_t end = weft_time() + duration_ns; weft_time() < end;)
        ;
}

weft_async(async_main) {
    weft_loop *loop = weft_get_running_loop();

    printf("debug: %d, %d ms\n", weft_loop_get_debug(loop),
           (int)(weft_loop_get_slow_callback_duration(loop) / 1000000));
    weft_loop_set_slow_callback_duration(loop, WEFT_MS(250));
    compute_for(WEFT_MS(150));
    weft_sleep(0);
    compute_for(WEFT_MS(300));
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.debug = true}, async_main())); }
