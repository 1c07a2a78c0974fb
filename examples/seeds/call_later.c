/* call_soon, call_later, call_at and the loop's clock; a handle cancels. */
#include "delay.h"

static int64_t start;

static void tell(void *text) {
    printf("%s after %d second(s)\n", (char *)text, (int)seed_elapsed(weft_time() - start));
}

weft_async(async_main) {
    weft_loop *loop = weft_get_running_loop();

    start = weft_loop_time(loop);
    weft_loop_call_later(loop, seed_seconds(2), tell, "call_later");
    weft_loop_call_at(loop, start + seed_seconds(1), tell, "call_at");
    weft_handle handle = weft_loop_call_later(loop, seed_seconds(1), tell, "cancelled");
    weft_loop_call_soon(loop, tell, "call_soon");
    weft_handle_cancel(handle);
    weft_loop_call_later(loop, seed_seconds(3 * 86400), tell, "in three days");
    return weft_sleep(seed_seconds(3));
}

WEFT_MAIN(async_main)
