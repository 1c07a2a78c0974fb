/* A callback that is queued on the running loop runs when main first suspends. */
#include "delay.h"

static void call_later(void *unused) {
    (void)unused;
    puts("I am being called in the future!");
}

weft_async(async_main) {
    weft_loop *loop = weft_get_running_loop();

    weft_loop_call_soon(loop, call_later, NULL);
    return weft_await(delay(1));
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
