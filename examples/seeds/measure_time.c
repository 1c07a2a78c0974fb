/* How long a sleep of one second takes. */
#include "delay.h"

weft_async(async_main) {
    int64_t start = weft_time();
    weft_sleep(seed_seconds(1));
    int64_t end = weft_time();
    printf("Sleeping took %f seconds\n", seed_elapsed(end - start));
    return 0;
}

WEFT_MAIN(async_main)
