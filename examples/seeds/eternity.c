/* wait_for: one second is enough for eternity. */
#include "delay.h"

weft_async(eternity) {
    /* Sleep for one hour */
    int error = weft_sleep(seed_seconds(3600));
    if (error < 0)
        return error;
    puts("yay!");
    return 0;
}

weft_async(async_main) {
    /* Wait for at most 1 second */
    if (weft_wait_for(eternity(), seed_seconds(1)) == -ETIMEDOUT)
        puts("timeout!");
    return 0;
}

WEFT_MAIN(async_main)
