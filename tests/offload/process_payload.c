/* Inputs and outputs of every size: inline in the slot, in regions, up to the cap and beyond. */
#include "process_support.h"

#define CAP ((size_t)32 << 20)

WEFT_JOB(echo) {
    char *output = weft_job_reply(job, job->input_bytes);
    if (!output) return -EMSGSIZE;
    if (job->input_bytes) memcpy(output, job->input, job->input_bytes);
    return (intptr_t)job->input_bytes;
}

/* As many bytes as the input says, each the size's lowest byte. */
WEFT_JOB(makes) {
    const size_t *bytes = weft_job_input(job, sizeof *bytes);
    char *output = bytes ? weft_job_reply(job, *bytes) : NULL;
    if (!output) return -EMSGSIZE;
    memset(output, (int)(*bytes & 0xff), *bytes);
    return 0;
}

/* Asks for a little, writes, asks for more, and for less in the end. */
WEFT_JOB(grows) {
    size_t sizes[] = {10, 4000, 5000, 100000, CAP}, written = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *output = weft_job_reply(job, sizes[i]);
        if (!output) return -ENOMEM;
        for (; written < sizes[i] && written < 200000; written++) output[written] = (char)(written % 251);
    }
    return weft_job_reply(job, CAP + 1) ? -EDOM : weft_job_reply(job, 150000) ? 0 : -ENOMEM;
}

WEFT_JOB(fails_with_output) { return weft_job_reply(job, 100) ? -EDOM : 0; }

WEFT_JOB(writes_past_its_output) {
    char *output = weft_job_reply(job, 4096);
    memset(output, 1, 4096 + 1); /* there is a fence */
    return 0;
}

WEFT_JOB(writes_to_its_input) {
    *(char *)(uintptr_t)job->input = 1;
    return 0;
}

static char *pattern(size_t bytes, unsigned seed) {
    char *memory = malloc(bytes + 1);
    must(memory);
    for (size_t i = 0; i < bytes; i++) memory[i] = (char)((i * 31 + (i >> 12) + seed) & 0xff);
    return memory;
}

static void echo_once(weft_process_pool *pool, size_t bytes, unsigned seed) {
    char *input = pattern(bytes, seed);
    weft_future *job = weft_process_pool_submit(pool, echo, input, bytes, no_options);
    must_equal(weft_await(job), bytes);
    size_t got = 1;
    const char *output = weft_job_output(job, &got);
    must_equal(got, bytes);
    must(bytes == 0 ? !output : memcmp(output, input, bytes) == 0);
    must(bytes < 16 || (uintptr_t)output % 16 == 0);
    weft_release(job);
    free(input);
}

static weft_process_pool *capped_pool(unsigned workers) {
    weft_process_pool *pool =
        weft_process_pool_new((weft_process_pool_options){.workers = workers, .payload_cap_bytes = CAP});
    must_equal(weft_process_pool_error(pool), 0);
    return pool;
}

static intptr_t every_size(void *arg) {
    (void)arg;
    weft_process_pool *pool = capped_pool(1);
    static const size_t sizes[] = {0, 1, 2, 15, 16, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1,
                                   16 << 20, CAP - 1, CAP};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) echo_once(pool, sizes[i], (unsigned)i);
    for (size_t i = sizeof sizes / sizeof sizes[0]; i-- > 0;) echo_once(pool, sizes[i], (unsigned)i + 100);
    end_pool(pool);
    return 0;
}

static void test_every_size(void **state) {
    (void)state;
    on_all(every_size);
}

static intptr_t over_the_cap(void *arg) {
    (void)arg;
    weft_process_pool *pool = capped_pool(1);
    char *input = calloc(1, CAP + 1);
    must(input);
    must_equal(weft_join(weft_process_pool_submit(pool, echo, input, CAP + 1, no_options)), -EMSGSIZE);
    must_equal(weft_join(weft_process_pool_submit_wait(pool, echo, input, CAP + 1, no_options)), -EMSGSIZE);
    free(input);
    size_t bytes = CAP + 1;
    must_equal(weft_process_pool_call(pool, makes, &bytes, sizeof bytes, NULL, 0), -EMSGSIZE);
    bytes = 9;
    char output[10] = "**********";
    must_equal(weft_process_pool_call(pool, makes, &bytes, sizeof bytes, output, 8), -EMSGSIZE);
    must(output[0] == '*');
    must_equal(weft_process_pool_call(pool, makes, &bytes, sizeof bytes, output, 10), 0);
    must(output[8] == 9 && output[9] == 0);
    weft_future *job = start_job(pool, fails_with_output);
    must_equal(weft_await(job), -EDOM);
    must(!weft_job_output(job, NULL));
    weft_release(job);
    end_pool(pool);
    return 0;
}

static void test_over_the_cap(void **state) {
    (void)state;
    on_all(over_the_cap);
}

static intptr_t growing(void *arg) {
    (void)arg;
    weft_process_pool *pool = capped_pool(1);
    for (int i = 0; i < 3; i++) {
        weft_future *job = start_job(pool, grows);
        must_equal(weft_await(job), 0);
        size_t bytes;
        const char *output = weft_job_output(job, &bytes);
        must_equal(bytes, 150000);
        for (size_t at = 0; at < bytes; at++) must_equal(output[at], (char)(at % 251));
        weft_release(job);
    }
    end_pool(pool);
    return 0;
}

static void test_an_output_that_grows(void **state) {
    (void)state;
    on_all(growing);
}

static intptr_t out_of_bounds(void *arg) {
    (void)arg;
    weft_process_pool *pool = capped_pool(1);
    must_equal(weft_join(start_job(pool, writes_past_its_output)), -EOWNERDEAD);
    char *input = pattern(100000, 0);
    weft_job_options twice = {.retries = 1};
    must_equal(weft_join(weft_process_pool_submit(pool, writes_to_its_input, input, 100000, twice)), -EOWNERDEAD);
    free(input);
    echo_once(pool, 100000, 3);
    must_equal(weft_process_pool_get_stats(pool).restarts, 3);
    end_pool(pool);
    return 0;
}

static void test_out_of_bounds(void **state) {
    (void)state;
    on_all(out_of_bounds);
}

/* Outputs stay where they are while other jobs run, and when the pool is gone. */
static intptr_t outputs_stay(void *arg) {
    enum { JOBS = 24 };
    static const size_t sizes[] = {8, 3000, 70000, 300000};
    (void)arg;
    weft_process_pool *pool = capped_pool(2);
    weft_future *jobs[JOBS];
    for (unsigned i = 0; i < JOBS; i++) {
        char *input = pattern(sizes[i % 4], i);
        jobs[i] = weft_process_pool_submit(pool, echo, input, sizes[i % 4], no_options);
        free(input);
    }
    for (unsigned i = 0; i < JOBS; i++) must_equal(weft_await(jobs[i]), sizes[i % 4]);
    end_pool(pool);
    for (unsigned i = 0; i < JOBS; i++) {
        char *input = pattern(sizes[i % 4], i);
        size_t bytes;
        const char *output = weft_job_output(jobs[i], &bytes);
        must(bytes == sizes[i % 4] && memcmp(input, output, bytes) == 0);
        free(input);
        weft_release(jobs[i]);
    }
    return 0;
}

static void test_outputs_stay(void **state) {
    (void)state;
    on_all(outputs_stay);
}

/* What the pool keeps for payloads to come is bounded. */
static size_t shared_kilobytes(void) {
    size_t kilobytes = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "RssShmem: %zu", &kilobytes);
    if (file) fclose(file);
    return kilobytes;
}

static intptr_t memory_goes_back(void *arg) {
    enum { JOBS = 8 };
    (void)arg;
    weft_process_pool *pool = capped_pool(1);
    weft_future *jobs[JOBS];
    char *input = pattern(CAP, 1);
    for (unsigned i = 0; i < JOBS; i++) jobs[i] = weft_process_pool_submit(pool, echo, input, CAP, no_options);
    for (unsigned i = 0; i < JOBS; i++) must_equal(weft_join(jobs[i]), CAP);
    free(input);
    must(shared_kilobytes() <= (64 << 10) + 4096);
    end_pool(pool);
    return 0;
}

static void test_memory_goes_back(void **state) {
    (void)state;
    on_all(memory_goes_back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),    cmocka_unit_test(test_over_the_cap),
        cmocka_unit_test(test_an_output_that_grows), cmocka_unit_test(test_out_of_bounds),
        cmocka_unit_test(test_outputs_stay),  cmocka_unit_test(test_memory_goes_back)};
    return run_process_group(tests);
}
