/* Tasks parked in weft_sleep, all at once, and what each costs in memory.
 *
 *     build/release/benches/bench_parked [TASKS]
 *
 * Prints resident and page-table bytes per task, and the times to park and to finish them all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/weft.h>

static long tasks = 1000000;
static _Atomic long asleep, finished;
static int64_t wake_at;

static intptr_t sleeper(void *arg) {
    asleep++;
    weft_sleep_until(wake_at);
    finished++;
    return (intptr_t)arg;
}

/* A field of /proc/self/status, in bytes. */
static long status_bytes(const char *field) {
    char line[256];
    long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, field, strlen(field)) == 0) kilobytes = atol(line + strlen(field));
    if (file) fclose(file);
    return kilobytes * 1024;
}

static long memory(void) { return status_bytes("VmRSS:") + status_bytes("VmPTE:"); }

static intptr_t park_all(void *arg) {
    (void)arg;
    long before = memory();
    int64_t start = weft_time();
    wake_at = start + WEFT_SEC(10) + WEFT_US(20) * tasks;
    for (long i = 0; i < tasks; i++)
        if (weft_go(sleeper, NULL) < 0) return -ENOMEM;
    while (asleep < tasks) weft_sleep(WEFT_MS(10));
    int64_t parked = weft_time();
    long each = (memory() - before) / tasks;
    printf("%ld tasks parked after %.2f s: %ld bytes each\n", tasks, (double)(parked - start) / 1e9, each);
    fflush(stdout);
    weft_sleep_until(wake_at);
    while (finished < tasks) weft_sleep(WEFT_MS(10));
    printf("all finished %.2f s after their deadline\n", (double)(weft_time() - wake_at) / 1e9);
    weft_sleep(WEFT_SEC(1)); /* an idle runtime gives the memory of the burst back */
    printf("%ld MiB resident afterwards\n", memory() >> 20);
    return finished == tasks ? 0 : -EIO;
}

int main(int argc, char **argv) {
    if (argc > 1) tasks = atol(argv[1]);
    if (tasks <= 0) {
        fprintf(stderr, "usage: %s [TASKS]\n", argv[0]);
        return 2;
    }
    intptr_t result = weft_run_fn(park_all, NULL);
    if (result < 0) fprintf(stderr, "%s\n", weft_strerror(result));
    return result < 0;
}
