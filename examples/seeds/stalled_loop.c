/* Pitfall 1: CPU-bound code in a coroutine. On one loop it delays every other task by its full length. */
#include "delay.h"

weft_async(ticks, (int64_t *, worst_ns)) {
    for (int64_t before = weft_time();; before = weft_time()) {
        int error = weft_sleep(seed_seconds(1) / 10);
        if (error < 0)
            return error;
        int64_t took = weft_time() - before;
        if (took > *worst_ns)
            *worst_ns = took;
    }
}

weft_async(cpu_bound, (int, seconds)) {
    for (int64_t end = weft_time() + seed_seconds(seconds); weft_time() < end;)
        ;
    return seconds;
}

weft_async(async_main) {
    int64_t worst_ns = 0;
    weft_task *clock = weft_create_task(ticks(&worst_ns));

    weft_sleep(seed_seconds(1));
    weft_join(weft_create_task(cpu_bound(2)));
    weft_sleep(seed_seconds(1));
    weft_cancel(clock);
    weft_join(clock);
    printf("a tick took %s\n",
           seed_elapsed(worst_ns) >= 1.9 ? "as long as the computation" : "a tenth of a second");
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
