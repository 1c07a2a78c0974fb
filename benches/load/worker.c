/* The loop of a load thread.
 *
 * Closed loop: a connection always has as many requests in flight as its pipeline holds, so a server that stalls
 * is asked less, and the stall is seen by those few only. Open loop: request i falls due at a time that was fixed
 * beforehand and belongs to connection i modulo their number. It is sent when the pipeline has room, and its
 * latency counts from when it fell due, so a stall delays, visibly, everything that falls due meanwhile (no
 * coordinated omission). Requests of one connection are answered in order, so that counters are all the queue
 * there is.
 *
 * After the end nothing falls due any more, and what is outstanding gets five seconds. Whatever is unanswered then
 * is an error, and enters the latencies with the time that it has waited so far. */
#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { MOST_EVENTS = 256 };
#define PATIENCE_NS 5000000000ll

static bool is_open_loop(const struct worker *self) { return self->interval_ns > 0; }

static int64_t due_at(const struct worker *self, uint64_t request) {
    return self->origin + (int64_t)(self->offset_ns + (double)request * self->interval_ns);
}

/* When the latency of request `number` of a connection begins. */
static int64_t started_at(const struct worker *self, const struct connection *connection, uint64_t number) {
    if (!is_open_loop(self)) return connection->sent_at[number % MOST_PIPELINED];
    return due_at(self, number * self->count + (uint64_t)(connection - self->connections));
}

static void measure(struct worker *self, int64_t start, int64_t now) {
    if (start < self->begin || start >= self->end) return;
    histogram_add(&self->latencies, now > start ? (uint64_t)(now - start) : 0);
}

/* ---- one connection ---- */

static void watch(struct worker *self, struct connection *connection, int operation) {
    struct epoll_event event = {.events = connection->wants_to_write ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.ptr = connection};
    if (epoll_ctl(self->epoll, operation, connection->fd, &event) < 0) abort();
}

/* How many requests of the connection have begun to wait: it is asked for `due` without end in the closed loop. */
static uint64_t begun(const struct worker *self, const struct connection *connection) {
    return is_open_loop(self) ? connection->due : connection->sent;
}

static void lose(struct worker *self, struct connection *connection) {
    self->lost++;
    self->outstanding -= begun(self, connection) - connection->answered; /* there is nothing to wait for */
    connection_lose(connection);
}

static void send_due(struct worker *self, struct connection *connection, int64_t now) {
    bool wanted = connection->wants_to_write;
    uint64_t sent = connection->sent;
    if (connection->fd < 0) return;
    bool alive = connection_send(connection, now);
    if (!is_open_loop(self)) self->outstanding += connection->sent - sent;
    if (!alive) lose(self, connection);
    else if (connection->wants_to_write != wanted) watch(self, connection, EPOLL_CTL_MOD);
}

static void receive(struct worker *self, struct connection *connection) {
    struct arrival arrival = connection_receive(connection, self->buffer);
    int64_t now = now_ns();
    for (unsigned i = 0; i < arrival.count; i++)
        measure(self, started_at(self, connection, connection->answered++), now);
    self->outstanding -= arrival.count;
    self->wrong += arrival.wrong;
    atomic_store_explicit(&self->answered,
                          atomic_load_explicit(&self->answered, memory_order_relaxed) + arrival.count,
                          memory_order_relaxed);
    if (arrival.lost) lose(self, connection);
    else send_due(self, connection, now);
}

/* ---- the loop ---- */

static void fall_due(struct worker *self, int64_t now) {
    int64_t due;
    while (is_open_loop(self) && (due = due_at(self, self->next_due)) <= now && due < self->end) {
        struct connection *connection = &self->connections[self->next_due++ % self->count];
        connection->due++;
        self->outstanding += connection->fd >= 0;
        send_due(self, connection, now);
    }
}

/* How long to wait at most; 0 when it is over. */
static int64_t time_left(const struct worker *self, int64_t now) {
    int64_t until = now < self->end ? self->end : self->end + PATIENCE_NS;
    if (now >= until || (now >= self->end && self->outstanding == 0)) return 0;
    if (is_open_loop(self) && due_at(self, self->next_due) < until && now < self->end)
        until = due_at(self, self->next_due);
    return until > now ? until - now : 1;
}

/* Waits, and serves what is ready. */
static void turn(struct worker *self, int64_t wait_ns) {
    struct epoll_event events[MOST_EVENTS];
    struct timespec wait = {wait_ns / 1000000000, wait_ns % 1000000000};
    if (self->options->spin) wait = (struct timespec){0};
    int count = epoll_pwait2(self->epoll, events, MOST_EVENTS, &wait, NULL);
    if (count < 0 && errno != EINTR) abort();
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & ~(uint32_t)EPOLLOUT) receive(self, connection);
        else send_due(self, connection, now_ns());
    }
}

/* In the closed loop everything is due until the end, and then only what is on its way. */
static void stop_asking(struct worker *self) {
    for (unsigned i = 0; i < self->count && !is_open_loop(self); i++) {
        struct connection *connection = &self->connections[i];
        if (connection->fd >= 0) connection->due = connection->sent + (connection->sent_part > 0);
    }
}

static void prepare(struct worker *self) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (self->cpu >= 0) {
        CPU_SET(self->cpu, &set);
        sched_setaffinity(0, sizeof set, &set); /* main has tried it: it works */
    }
    prctl(PR_SET_TIMERSLACK, 1);
    for (unsigned i = 0; i < self->count; i++) watch(self, &self->connections[i], EPOLL_CTL_ADD);
    for (unsigned i = 0; i < self->count && !is_open_loop(self); i++) {
        self->connections[i].due = UINT64_MAX;
        send_due(self, &self->connections[i], now_ns());
    }
}

/* What falls due at a lost connection is unanswered like what the server owes. */
static void give_up(struct worker *self, int64_t now) {
    for (unsigned i = 0; i < self->count; i++) {
        struct connection *connection = &self->connections[i];
        uint64_t end = begun(self, connection);
        self->unanswered += end - connection->answered;
        for (uint64_t number = connection->answered; number < end; number++)
            measure(self, started_at(self, connection, number), now);
        connection_lose(connection);
        free(connection->in);
    }
}

static void *run(void *arg) {
    struct worker *self = arg;
    bool ending = false;
    int64_t now, left;
    prepare(self);
    for (;;) {
        now = now_ns();
        fall_due(self, now); /* first: what fell due just before the end counts, however late we are */
        if (now >= self->end && !ending) stop_asking(self);
        ending = now >= self->end;
        if ((left = time_left(self, now)) == 0) break;
        turn(self, left);
    }
    give_up(self, now);
    close(self->epoll);
    return NULL;
}

int worker_start(struct worker *self) {
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll < 0) return errno;
    return pthread_create(&self->thread, NULL, run, self);
}

void worker_join(struct worker *self) { pthread_join(self->thread, NULL); }
