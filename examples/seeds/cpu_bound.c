/* Pitfall 1: CPU-bound code in a coroutine. The computation stalls its loop; in a process of a pool the same one
 * leaves the loop alive, and its result is awaited as any other. In a thread, too: C has no lock as Python's. */
#include "watch.h"

static intptr_t compute(int seconds) {
    for (int64_t end = weft_time() + seed_seconds(seconds); weft_time() < end;)
        ;
    return 42;
}

WEFT_JOB_OF(compute_job, int, intptr_t) {
    *out = compute(*in);
    return 0;
}

static intptr_t compute_in_thread(void *seconds) { return compute(*(int *)seconds); }

weft_async(in_the_coroutine, (int, seconds)) { return compute(seconds); }

weft_async(in_a_process, (weft_process_pool *, pool), (int, seconds)) {
    intptr_t result;
    intptr_t error = weft_process_pool_call(pool, compute_job, &seconds, sizeof seconds, &result, sizeof result);
    return error < 0 ? error : result;
}

weft_async(in_a_thread, (int, seconds)) { return weft_join(weft_to_thread(compute_in_thread, &seconds)); }

weft_async(async_main) {
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){.workers = 1});
    weft_await(watch("in the coroutine", in_the_coroutine(2)));
    weft_await(watch("in a process", in_a_process(pool, 2)));
    weft_await(watch("in a thread", in_a_thread(2)));
    weft_process_pool_release(pool);
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
