/* Two threads, or two processes with memory between them, tell each other how many jobs there are, and how many of
 * them are done. Whoever finds nothing new sleeps on a futex until the other wakes it. */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/timing.h"

enum { MOST_BYTES = 16 << 20 };

struct count {
    _Alignas(64) _Atomic unsigned value;
    _Atomic bool awaited;
};

static struct shared {
    struct count submitted; /* raised by the submitter */
    struct count done;      /* raised by the server */
    char input[MOST_BYTES], output[MOST_BYTES];
} *shared;

static char payload[MOST_BYTES];
static size_t bytes;
static unsigned outstanding;
static int futex_scope; /* FUTEX_PRIVATE_FLAG, or 0 between processes */

/* Pairs with wait_past: one side writes the value, then reads `awaited`; the other writes `awaited`, then reads
 * the value; all in one total order, so no wake is lost. */
static void raise_to(struct count *count, unsigned value) {
    count->value = value;
    if (count->awaited) syscall(SYS_futex, &count->value, FUTEX_WAKE | futex_scope, 1, NULL, NULL, 0);
}

static void wait_past(struct count *count, unsigned seen) {
    if (count->value != seen) return;
    count->awaited = true;
    while (count->value == seen) syscall(SYS_futex, &count->value, FUTEX_WAIT | futex_scope, seen, NULL, NULL, 0);
    count->awaited = false;
}

static void *serve(void *arg) {
    for (unsigned done = 0;;) {
        wait_past(&shared->submitted, done);
        for (unsigned submitted = shared->submitted.value; done != submitted; done++)
            memcpy(shared->output, shared->input, bytes);
        raise_to(&shared->done, done);
    }
    return arg;
}

static void run_jobs(long count) {
    unsigned before = shared->done.value;
    for (long done = 0; done < count; done = shared->done.value - before) {
        long most = done + outstanding < count ? done + outstanding : count;
        memcpy(shared->input, payload, bytes);
        raise_to(&shared->submitted, before + (unsigned)most);
        wait_past(&shared->done, before + (unsigned)done);
    }
}

static void share_memory(int kind) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) abort();
}

static double thread_us(unsigned most_outstanding) {
    pthread_t server;
    outstanding = most_outstanding;
    futex_scope = FUTEX_PRIVATE_FLAG;
    share_memory(MAP_PRIVATE);
    pthread_create(&server, NULL, serve, NULL);
    return each_ns(run_jobs) / 1000;
}

static double process_us(unsigned most_outstanding) {
    outstanding = most_outstanding;
    share_memory(MAP_SHARED);
    pid_t server = fork();
    if (server < 0) abort();
    if (server == 0) serve(NULL);
    double each = each_ns(run_jobs) / 1000;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return each;
}

static double echo_us(size_t payload_bytes) {
    bytes = payload_bytes;
    memset(payload, 'w', bytes);
    return process_us(1);
}

static double thread(unsigned workers) { return (void)workers, thread_us(1); }
static double thread_64(unsigned workers) { return (void)workers, thread_us(64); }
static double process(unsigned workers) { return (void)workers, process_us(1); }
static double process_64(unsigned workers) { return (void)workers, process_us(64); }
static double echo_1B(unsigned workers) { return (void)workers, echo_us(1); }
static double echo_4KiB(unsigned workers) { return (void)workers, echo_us(4 << 10); }
static double echo_64KiB(unsigned workers) { return (void)workers, echo_us(64 << 10); }
static double echo_1MiB(unsigned workers) { return (void)workers, echo_us(1 << 20); }
static double echo_16MiB(unsigned workers) { return (void)workers, echo_us(16 << 20); }

BENCH_MAIN({"thread", thread}, {"thread_64", thread_64}, {"process", process}, {"process_64", process_64},
           {"echo_1B", echo_1B}, {"echo_4KiB", echo_4KiB}, {"echo_64KiB", echo_64KiB}, {"echo_1MiB", echo_1MiB},
           {"echo_16MiB", echo_16MiB})
