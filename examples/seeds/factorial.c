/* gather: three coroutines in lock-step. */
#include "delay.h"

weft_async(factorial, (const char *, name), (int, number)) {
    int f = 1;

    for (int i = 2; i <= number; i++) {
        printf("Task %s: Compute factorial(%d)...\n", name, i);
        int error = weft_sleep(seed_seconds(1));
        if (error < 0)
            return error;
        f *= i;
    }
    printf("Task %s: factorial(%d) = %d\n", name, number, f);
    return f;
}

weft_async(async_main) {
    /* Schedule three calls *concurrently*: */
    return weft_await(weft_gather_all(
        factorial("A", 2),
        factorial("B", 3),
        factorial("C", 4)));
}

/* Strict order: who prints first in the same second is asyncio's order. */
int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
