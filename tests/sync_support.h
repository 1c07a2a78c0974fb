/* What the tests of locks and queues share: who stands in a line, parties of tasks and threads, golden traces. */
#ifndef WEFT_TESTS_SYNC_SUPPORT_H
#define WEFT_TESTS_SYNC_SUPPORT_H

#include "api_support.h"

/* The last in a line, read without its guard: only to see it change. The words of the public records that hold
 * it are those of the structs in runtime/. */
__attribute__((noinline, unused, no_sanitize("thread"))) static uint64_t peek(const uint64_t *word) {
    return *(const volatile uint64_t *)word;
}

enum { LOCK_LAST = 2, EVENT_LAST = 2, CONDITION_LAST = 2, SEMAPHORE_LAST = 4, RWLOCK_LAST = 3, GROUP_LAST = 3,
       GETTERS_LAST = 11, PUTTERS_LAST = 13, JOINERS_LAST = 15 };

/* Waits, on a task or thread, until somebody has entered the line since `*word` was `former`. */
__attribute__((unused)) static void until_arrived(const uint64_t *word, uint64_t former) {
    for (unsigned round = 1; peek(word) == former || peek(word) == 0; round++) {
        weft_yield();
        if (round % 16 == 0) sched_yield();
    }
}

__attribute__((unused)) static void until(_Atomic long *word, long value) {
    for (unsigned round = 1; atomic_load(word) < value; round++) {
        weft_yield();
        if (round % 16 == 0) sched_yield();
    }
}

/* Somebody who does something: a task, or a plain thread. */
struct party {
    bool is_thread;
    weft_fn *fn;
    void *arg;
    weft_task *task;
    pthread_t thread;
    _Atomic long finished; /* threads */
};

static void *run_party(void *arg) {
    struct party *self = arg;
    void *result = (void *)self->fn(self->arg);
    atomic_store(&self->finished, 1);
    return result;
}

__attribute__((unused)) static void party_start(struct party *self, bool is_thread, weft_fn *fn, void *arg) {
    self->is_thread = is_thread;
    self->fn = fn;
    self->arg = arg;
    self->task = NULL;
    atomic_store(&self->finished, 0);
    if (is_thread) self->thread = thread_start(run_party, self);
    else self->task = weft_spawn(fn, arg);
}

/* From a task too: it lets others run until a thread is about to end. */
__attribute__((unused)) static intptr_t party_join(struct party *self) {
    if (!self->is_thread) return weft_join(self->task);
    until(&self->finished, 1);
    return (intptr_t)thread_join(self->thread);
}

__attribute__((unused)) static void on_each_loop(weft_fn *fn) {
    for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
        assert_int_equal(run_on(workers, fn, NULL), 0);
}

__attribute__((unused)) static void golden(weft_fn *fn, const char *expected) {
    trace[0] = 0;
    assert_int_equal(run_on(0, fn, NULL), 0);
    assert_string_equal(trace, expected);
}

__attribute__((unused)) static void mark2(char name, const char *what) {
    char text[16];
    snprintf(text, sizeof text, "%c%s", name, what);
    mark(text);
}

__attribute__((unused)) static void soon(const char *what) {
    must_equal(
        weft_loop_call_soon_threadsafe(weft_get_running_loop(), mark_callback, (void *)(uintptr_t)what).error, 0);
}

/* A loop's callback, and its result. */
struct in_callback {
    int (*fn)(void *arg);
    void *arg;
    int result;
    weft_future *done;
};

static void run_in_callback(void *arg) {
    struct in_callback *self = arg;
    self->result = self->fn(self->arg);
    weft_future_set_result(self->done, 0);
}

__attribute__((unused)) static int in_callback(int (*fn)(void *arg), void *arg) {
    struct in_callback self = {fn, arg, 0, weft_future_new()};
    must_equal(weft_loop_call_soon_threadsafe(weft_get_running_loop(), run_in_callback, &self).error, 0);
    must_equal(weft_join(self.done), 0);
    return self.result;
}

#endif
