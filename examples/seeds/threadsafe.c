/* run_coroutine_threadsafe: another thread submits, and waits for the result; not the loop's own thread. */
#include <pthread.h>

#include "delay.h"

static weft_loop *loop;

static void *other_thread(void *done) {
    weft_future *future = weft_run_coroutine_threadsafe(delay(3), loop);

    printf("%s\n", weft_strerror(weft_wait_blocking(future, seed_seconds(1)))); /* not yet */
    printf("%d\n", (int)weft_join(future));
    weft_future_set_result(done, 0); /* futures are complete from any thread */
    return NULL;
}

static void block_on_itself(void *never) {
    printf("%s\n", weft_strerror(weft_await(never))); /* it would wait for ever */
}

weft_async(async_main) {
    weft_future *done = weft_future_new();
    pthread_t thread;

    loop = weft_get_running_loop();
    weft_loop_call_soon_threadsafe(loop, block_on_itself, done);
    weft_sleep(0);
    int error = pthread_create(&thread, NULL, other_thread, done);
    if (error)
        return -error;
    weft_join(done);
    pthread_join(thread, NULL);
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
