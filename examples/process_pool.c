/* CPU-bound work in processes of its own, while the loop goes on; and what becomes of work that crashes. */
#include <weft/weft.h>

#include <stdio.h>
#include <stdlib.h>

struct range {
    unsigned from, to;
};

static bool is_prime(unsigned n) {
    for (unsigned divisor = 2; divisor <= n / divisor; divisor++)
        if (n % divisor == 0) return false;
    return n > 1;
}

WEFT_JOB_OF(count_primes, struct range, unsigned) {
    for (unsigned n = in->from; n < in->to; n++) *out += is_prime(n);
    return 0;
}

WEFT_JOB(crash) { abort(); }

weft_async(tick) {
    for (int i = 0; weft_sleep(WEFT_MS(100)) == 0; i++) printf("tick %d\n", i);
    return 0;
}

weft_async(count, (weft_process_pool *, pool), (unsigned, from), (unsigned, to)) {
    struct range range = {from, to};
    unsigned primes;
    intptr_t error = weft_process_pool_call(pool, count_primes, &range, sizeof range, &primes, sizeof primes);
    return error ? error : (intptr_t)primes;
}

weft_async(async_main) {
    weft_process_pool *pool = weft_process_pool_new((weft_process_pool_options){0});
    weft_task *ticking = weft_create_task(tick());
    weft_task *parts[4];
    intptr_t sum = 0;
    for (unsigned i = 0; i < 4; i++) parts[i] = weft_create_task(count(pool, i * 500000, (i + 1) * 500000));
    for (unsigned i = 0; i < 4; i++) sum += weft_join(parts[i]);
    printf("%ld primes below 2000000\n", (long)sum);

    weft_future *crashing = weft_process_pool_submit(pool, crash, NULL, 0, (weft_job_options){0});
    intptr_t error = weft_await(crashing);
    printf("a crash is %s, wait status %d, and the pool lives on\n", weft_strerror(error),
           weft_job_status(crashing));
    weft_release(crashing);

    weft_cancel(ticking);
    weft_join(ticking);
    weft_process_pool_release(pool);
    return sum;
}

WEFT_MAIN(async_main)
