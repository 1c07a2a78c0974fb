/* The date every second for five seconds, by the loop's clock. */
#include <time.h>

#include "delay.h"

static void print_now(void) {
    struct timespec now;
    struct tm date;
    char text[64];

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &date);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &date);
    printf("%s.%06ld\n", text, now.tv_nsec / 1000);
}

weft_async(display_date) {
    int64_t end_time = weft_time() + seed_seconds(5);

    while (1) {
        print_now();
        if (weft_time() + seed_seconds(1) >= end_time)
            break;
        int error = weft_sleep(seed_seconds(1));
        if (error < 0)
            return error;
    }
    return 0;
}

WEFT_MAIN(display_date)
