/* A thread that waits for an eventfd in epoll_wait, as loops do. */
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "wake.h"

static int event;

static void submit(void *arg) {
    (void)arg;
    if (eventfd_write(event, 1) != 0) abort();
}

static void *sleeper(void *arg) {
    int epoll = epoll_create1(0);
    struct epoll_event watched = {.events = EPOLLIN}, happened;
    eventfd_t value;
    epoll_ctl(epoll, EPOLL_CTL_ADD, event, &watched);
    for (int i = 0; i < WAKES; i++) {
        while (epoll_wait(epoll, &happened, 1, -1) != 1) {}
        if (eventfd_read(event, &value) == 0) woken();
    }
    close(epoll);
    return arg;
}

static double wake(unsigned workers) {
    (void)workers;
    pthread_t thread;
    event = eventfd(0, EFD_NONBLOCK);
    pthread_create(&thread, NULL, sleeper, NULL);
    double median = wake_p50_us(submit, NULL);
    pthread_join(thread, NULL);
    close(event);
    return median;
}

BENCH_MAIN({"wake", wake})
