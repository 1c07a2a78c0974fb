/* What the tests of the public API share: a trace of marks, what stderr said, threads. */
#ifndef WEFT_TESTS_API_SUPPORT_H
#define WEFT_TESTS_API_SUPPORT_H

#include "support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* ---- a trace of marks, for strict-order loops ---- */

static char trace[1024];

__attribute__((unused)) static void mark(const char *what) {
    size_t length = strlen(trace);
    must(length + strlen(what) + 2 < sizeof trace);
    snprintf(trace + length, sizeof trace - length, "%s%s", length ? " " : "", what);
}

__attribute__((unused)) static void mark_callback(void *what) { mark(what); }

/* ---- what a piece of code says on stderr ---- */

struct capture {
    FILE *file;
    int saved;
};

__attribute__((unused)) static struct capture capture_begin(void) {
    struct capture self = {tmpfile(), dup(STDERR_FILENO)};
    fflush(stderr);
    must(self.file && self.saved >= 0);
    dup2(fileno(self.file), STDERR_FILENO);
    return self;
}

/* Returns how many times `what` was said, and gives stderr back. */
__attribute__((unused)) static int capture_end(struct capture self, const char *what) {
    must(*what);
    static char said[65536];
    fflush(stderr);
    dup2(self.saved, STDERR_FILENO);
    close(self.saved);
    rewind(self.file);
    said[fread(said, 1, sizeof said - 1, self.file)] = 0;
    fclose(self.file);
    int count = 0;
    for (const char *at = said; (at = strstr(at, what)); at += strlen(what)) count++;
    return count;
}

/* ---- threads ---- */

__attribute__((unused)) static pthread_t thread_start(void *(*fn)(void *arg), void *arg) {
    pthread_t thread;
    must_equal(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

__attribute__((unused)) static void *thread_join(pthread_t thread) {
    void *result;
    must_equal(pthread_join(thread, &result), 0);
    return result;
}

/* Where jobs wait, each in a thread of its own, until the test opens it. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool open;
    _Atomic long arrived; /* how many have come */
};
#define GATE_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0}

__attribute__((unused)) static intptr_t pass_gate(void *arg) {
    struct gate *gate = arg;
    atomic_fetch_add(&gate->arrived, 1);
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open) pthread_cond_wait(&gate->opened, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return 7;
}

__attribute__((unused)) static void gate_open(struct gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->mutex);
}

/* Whether the thread `tid` of this process sleeps in the kernel. */
__attribute__((unused)) static bool thread_sleeps(pid_t tid) {
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(path, "r");
    must(file);
    must_equal(fscanf(file, "%*d %*s %c", &state), 1);
    fclose(file);
    return state == 'S';
}

/* Spins until *word is at least `value`; gives the CPU away now and then, there may be only one. */
__attribute__((unused)) static void spin_until(_Atomic long *word, long value) {
    for (unsigned round = 1; atomic_load(word) < value; round++)
        if (round % 64 == 0) sched_yield();
}

#endif
