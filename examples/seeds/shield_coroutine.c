/* shield(coro()) is like coro(), but for cancellation: of the one who waits, and from inside. */
#include "delay.h"
#include "python_text.h"

weft_async(coro) {
    int error = weft_sleep(seed_seconds(1));
    return error < 0 ? error : 42;
}

weft_async(waits_behind_shield, (weft_task *, inner)) { return weft_await(weft_shield(inner)); }

weft_async(async_main) {
    printf("%d\n", (int)weft_await(weft_shield(coro()))); /* equivalent to the next line */
    printf("%d\n", (int)weft_await(coro()));

    weft_task *inner = weft_create_task(coro()), *outer = weft_create_task(waits_behind_shield(inner));
    weft_sleep(0);
    weft_cancel(outer);
    printf("outer: %s", weft_strerror(weft_join(outer)));
    printf(", inner: %d\n", (int)weft_join(inner));

    inner = weft_create_task(coro());
    weft_future *shield = weft_shield(inner);
    weft_cancel(inner);
    printf("shield: %s\n", weft_strerror(weft_await(shield)));
    weft_release(inner);
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
