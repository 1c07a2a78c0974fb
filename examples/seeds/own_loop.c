/* Creating an event loop by hand; closing it whatever main came to. */
#include "delay.h"

weft_async(async_main) { return weft_sleep(seed_seconds(1)); }

int main(void) {
    weft_loop *loop = weft_new_event_loop();
    intptr_t result = weft_loop_run_until_complete(loop, async_main());

    weft_loop_close(loop); /* frees the resources; no error can get in its way */
    weft_loop_release(loop);
    return weft_is_error(result);
}
