/* Blocking calls that overlap: three of two seconds each, in threads, take two seconds. asyncio.to_thread, and
 * loop.run_in_executor with the default pool and one's own. */
#include "delay.h"

#include <time.h>

static intptr_t fetch(void *number) {
    int64_t ns = seed_seconds(2);
    nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
    return (intptr_t)number;
}

weft_async(async_main) {
    weft_loop *loop = weft_get_running_loop();
    weft_thread_pool *pool = weft_thread_pool_new((weft_thread_pool_options){.name = "fetch", .threads = 3});
    int64_t start = weft_time();

    weft_future *jobs[] = {
        weft_to_thread(fetch, (void *)1),
        weft_run_in_executor(loop, NULL, fetch, (void *)2),
        weft_run_in_executor(loop, pool, fetch, (void *)3),
    };
    for (int i = 0; i < 3; i++)
        printf("result %d\n", (int)weft_join(jobs[i]));
    printf("it took %.0f seconds\n", seed_elapsed(weft_time() - start));

    weft_thread_pool_close(pool, WEFT_FOREVER);
    weft_thread_pool_release(pool);
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
