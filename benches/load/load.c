/* The load of the servers' benchmarks: see options.c for what it can do.
 *
 * It must not be what is measured: one system call to receive and one to send per request, a wait for many at
 * once, and nothing copied. The main thread only looks, at the begin and at the end of the measured time, at the
 * answers so far and at the server's CPU time, so that both are of the same seconds. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "worker.h"

static struct options options;
static struct requests requests;
static struct worker *workers;

static _Noreturn void fail(const char *what, int error) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(error));
    exit(1);
}

static void *allocate(size_t count, size_t bytes) {
    void *memory = calloc(count, bytes);
    if (memory == NULL) fail("memory", ENOMEM);
    return memory;
}

/* ---- set-up ---- */

static void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* The main thread goes where the others go, so as not to disturb the server. */
static void pin_main(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < options.cpu_count; i++) {
        CPU_ZERO(&set);
        CPU_SET(options.cpus[i], &set);
        if (sched_setaffinity(0, sizeof set, &set) < 0) fail("--cpu", errno);
    }
}

static void connect_all(void) {
    for (unsigned i = 0; i < options.connections; i++) {
        struct worker *worker = &workers[i % options.threads];
        int error = connection_open(&worker->connections[worker->count], &options, &requests, i);
        if (error < 0) fail(options.host, -error);
        worker->count++;
    }
}

static void make_workers(void) {
    workers = allocate(options.threads, sizeof *workers);
    for (unsigned i = 0; i < options.threads; i++) {
        workers[i].options = &options;
        workers[i].connections = allocate(options.connections / options.threads + 1, sizeof(struct connection));
        workers[i].cpu = options.cpu_count ? options.cpus[i % (unsigned)options.cpu_count] : -1;
    }
}

static void start_workers(void) {
    int64_t now = now_ns();
    for (unsigned i = 0; i < options.threads; i++) {
        struct worker *worker = &workers[i];
        worker->origin = now;
        worker->begin = now + (int64_t)(options.warmup_seconds * 1e9);
        worker->end = worker->begin + (int64_t)(options.seconds * 1e9);
        if (options.rate > 0) {
            worker->interval_ns = 1e9 * options.connections / options.rate / worker->count;
            worker->offset_ns = worker->interval_ns * i / options.threads;
        }
        int error = worker_start(worker);
        if (error) fail("thread", error);
    }
}

/* ---- the measured time ---- */

struct moment {
    uint64_t answered;
    int64_t server_cpu_ns;
};

static int64_t cpu_time(int pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
        fail("--server: its CPU time", ESRCH);
    return used.tv_sec * 1000000000ll + used.tv_nsec;
}

static struct moment look_at(int64_t when) {
    struct moment moment = {0};
    struct timespec until = {when / 1000000000, when % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
    for (int i = 0; i < options.server_count; i++) moment.server_cpu_ns += cpu_time(options.servers[i]);
    for (unsigned i = 0; i < options.threads; i++)
        moment.answered += atomic_load_explicit(&workers[i].answered, memory_order_relaxed);
    return moment;
}

/* ---- the result ---- */

/* Everything into the first worker. */
static const struct worker *sum_up(void) {
    struct worker *all = &workers[0];
    worker_join(all);
    for (unsigned i = 1; i < options.threads; i++) {
        worker_join(&workers[i]);
        all->wrong += workers[i].wrong;
        all->lost += workers[i].lost;
        all->unanswered += workers[i].unanswered;
        histogram_merge(&all->latencies, &workers[i].latencies);
    }
    return all;
}

static void print(const struct worker *all, struct moment begin, struct moment end) {
    static const struct {
        const char *name;
        double percent;
    } percentiles[] = {{"p50_us", 50}, {"p90_us", 90}, {"p99_us", 99}, {"p999_us", 99.9}};
    const struct histogram *latencies = &all->latencies;
    printf("{\"requests\": %" PRIu64 ", \"seconds\": %g, \"rate\": %.1f, \"wrong\": %" PRIu64
           ", \"errors\": %" PRIu64,
           latencies->count, options.seconds, (double)latencies->count / options.seconds, all->wrong,
           all->lost + all->unanswered);
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++)
        printf(", \"%s\": %.2f", percentiles[i].name,
               (double)histogram_percentile(latencies, percentiles[i].percent) / 1e3);
    printf(", \"max_us\": %.2f", (double)latencies->max / 1e3);
    if (options.server_count > 0 && end.answered > begin.answered)
        printf(", \"server_cpu_us\": %.3f",
               (double)(end.server_cpu_ns - begin.server_cpu_ns) / 1e3 / (double)(end.answered - begin.answered));
    puts("}");
}

int main(int argc, char **argv) {
    options_parse(&options, argc, argv);
    requests_init(&requests, &options);
    allow_descriptors();
    pin_main();
    make_workers();
    connect_all();
    start_workers();
    struct moment begin = look_at(workers[0].begin), end = look_at(workers[0].end);
    const struct worker *all = sum_up();
    print(all, begin, end);
    return all->latencies.count == 0;
}
