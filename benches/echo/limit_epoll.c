/* Bare epoll, edge-triggered: a receive a notification, unless it filled the buffer. A listener and a loop a
 * thread. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "harness/server.h"

struct worker {
    int listener, epoll, burner; /* a timer, of one worker */
    bool spin;
};

static void watch(struct worker *self, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(struct worker *self) {
    int fd;
    while ((fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(self, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

static void echo(int fd, bool ended) {
    char buffer[4096];
    ssize_t n;
    do
        n = recv(fd, buffer, sizeof buffer, 0);
    while (n > 0 && send(fd, buffer, (size_t)n, MSG_NOSIGNAL) == n && (n == sizeof buffer || ended));
    if (n == 0) close(fd);
}

static void sleep_until_next_burst(int timer) {
    struct itimerspec pause = {.it_value = {.tv_nsec = SERVER_PAUSE_MS * 1000000l}};
    timerfd_settime(timer, 0, &pause, NULL);
}

static void start_burner(struct worker *self) {
    self->burner = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(self, self->burner, EPOLLIN | EPOLLET);
    sleep_until_next_burst(self->burner);
}

static void serve(struct worker *self, const struct epoll_event *event) {
    if (event->data.fd == self->listener) {
        accept_all(self);
    } else if (event->data.fd == self->burner) {
        server_burn();
        sleep_until_next_burst(self->burner);
    } else {
        echo(event->data.fd, event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    }
}

static void *work(void *arg) {
    struct worker *self = arg;
    struct epoll_event events[256];
    for (;;) {
        int count = epoll_wait(self->epoll, events, 256, self->spin ? 0 : -1);
        for (int i = 0; i < count; i++) serve(self, &events[i]);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct server_arguments arguments = server_arguments(argc, argv);
    struct worker *workers = calloc(arguments.workers, sizeof *workers);
    pthread_t thread;
    for (unsigned i = 0; i < arguments.workers; i++) {
        workers[i] = (struct worker){server_listen(&arguments, SOCK_NONBLOCK), epoll_create1(EPOLL_CLOEXEC), -1,
                                     arguments.spin};
        watch(&workers[i], workers[i].listener, EPOLLIN);
    }
    if (arguments.burn) start_burner(&workers[0]);
    for (unsigned i = 1; i < arguments.workers; i++) pthread_create(&thread, NULL, work, &workers[i]);
    work(&workers[0]);
}
