/* A queue under a lock, and uv_async_send: what its users write, for libuv has none of its own. */
#include <pthread.h>
#include <uv.h>

#include "wake.h"

struct call {
    void (*function)(void);
    struct call *next;
};

static uv_mutex_t lock;
static struct call *first, **last = &first; /* under the lock */
static uv_loop_t loop;
static uv_async_t async;
static long called, wanted;

static void submit_call(void (*function)(void)) {
    struct call *call = malloc(sizeof *call);
    *call = (struct call){function, NULL};
    uv_mutex_lock(&lock);
    *last = call;
    last = &call->next;
    uv_mutex_unlock(&lock);
    uv_async_send(&async);
}

static void run_calls(uv_async_t *handle) {
    (void)handle;
    uv_mutex_lock(&lock);
    struct call *call = first;
    first = NULL;
    last = &first;
    uv_mutex_unlock(&lock);
    while (call) {
        struct call *next = call->next;
        call->function();
        free(call);
        call = next;
    }
}

static void set_up(void) {
    uv_mutex_init(&lock);
    uv_loop_init(&loop);
    uv_async_init(&loop, &async, run_calls);
}

static void count_call(void) {
    if (++called == wanted) uv_stop(&loop);
}

static void *produce(void *arg) {
    for (long i = 0; i < wanted; i++) submit_call(count_call);
    return arg;
}

static void calls(long count) {
    pthread_t producer;
    called = 0;
    wanted = count;
    pthread_create(&producer, NULL, produce, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    pthread_join(producer, NULL);
}

static double busy(unsigned workers) {
    (void)workers;
    set_up();
    return each_ns(calls);
}

static void stop(void) { uv_stop(&loop); }

static void *run_loop(void *arg) {
    uv_run(&loop, UV_RUN_DEFAULT);
    return arg;
}

static void submit(void *arg) {
    (void)arg;
    submit_call(woken);
}

static double wake(unsigned workers) {
    (void)workers;
    pthread_t thread;
    set_up();
    pthread_create(&thread, NULL, run_loop, NULL);
    double median = wake_p50_us(submit, NULL);
    submit_call(stop);
    pthread_join(thread, NULL);
    return median;
}

BENCH_MAIN({"busy", busy}, {"wake", wake})
