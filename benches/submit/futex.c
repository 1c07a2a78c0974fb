/* A thread that waits on a bare futex. */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "wake.h"

static int word;

static void submit(void *arg) {
    (void)arg;
    __atomic_add_fetch(&word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *sleeper(void *arg) {
    for (int seen = 0; seen < WAKES; seen++) {
        while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == seen)
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        woken();
    }
    return arg;
}

static double wake(unsigned workers) {
    (void)workers;
    pthread_t thread;
    pthread_create(&thread, NULL, sleeper, NULL);
    double median = wake_p50_us(submit, NULL);
    pthread_join(thread, NULL);
    return median;
}

BENCH_MAIN({"wake", wake})
