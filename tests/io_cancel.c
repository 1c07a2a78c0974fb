/* A cancellation that races with the operation's success, for every call of io.h. Whatever wins:
 *   - no byte is lost and none comes twice: -ECANCELED means that nothing was transferred;
 *   - no descriptor is leaked: a connection not returned is still in the queue;
 *   - nothing is left behind: the buffer is never written after the call has returned;
 *   - the request is delivered once: the next await point returns -ECANCELED exactly if the call did not. */
#define _GNU_SOURCE
#include "io_support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

enum { POISON = 0xA5, BUFFER_BYTES = 512 };
#define TIME_EACH WEFT_MS(120)

struct race {
    const struct call *call;
    int fds[2];              /* the call's, and its peer's */
    struct sockaddr_in address;
    char path[64];
    size_t written, read;    /* positions in the stream */
    uint8_t buffer[BUFFER_BYTES];
    intptr_t result;
    _Atomic(bool) cancelled; /* weft_cancel has been called */
    bool accepted;           /* weft_cancel returned true */
    _Atomic(bool) started;
    int rounds, cancelled_rounds;
    uint32_t random;
};

struct call {
    const char *name;
    void (*open)(struct race *);
    void (*prepare)(struct race *);      /* before the call */
    intptr_t (*run)(struct race *);      /* the call */
    void (*trigger)(struct race *);      /* lets it succeed */
    void (*account)(struct race *);      /* afterwards: where did everything go? */
    void (*close)(struct race *);
};

static void nothing(struct race *race) { (void)race; }

/* ---- receiving ---- */

static void open_pair(struct race *race) { make_pair(race->fds, 0); }
static void open_pair_nonblock(struct race *race) { make_pair(race->fds, SOCK_NONBLOCK); }
static void open_pipe(struct race *race) { make_pipe(race->fds, 0); }
static void close_fds(struct race *race) { close_both(race->fds); }

static void poison(struct race *race) { memset(race->buffer, POISON, sizeof race->buffer); }

static intptr_t run_recv(struct race *r) { return weft_recv(r->fds[0], r->buffer, sizeof r->buffer, 0); }
static intptr_t run_read(struct race *r) { return weft_read(r->fds[0], r->buffer, sizeof r->buffer); }
static intptr_t run_readv(struct race *r) {
    struct iovec iov[2] = {{r->buffer, 1}, {r->buffer + 1, sizeof r->buffer - 1}};
    return weft_readv(r->fds[0], iov, 2);
}
static intptr_t run_recvmsg(struct race *r) {
    struct iovec iov = {r->buffer, sizeof r->buffer};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    return weft_recvmsg(r->fds[0], &message, 0);
}
static intptr_t run_poll(struct race *r) { return weft_poll(r->fds[0], POLLIN); }

static void feed(struct race *race) {
    uint8_t bytes[4];
    size_t count = 1 + next_random(&race->random) % sizeof bytes;
    fill_stream(1, race->written, bytes, count);
    must_equal(write(race->fds[1], bytes, count), count);
    race->written += count;
}

/* What the call took, which T has checked, and the rest lie in the stream in this order. */
static void account_received(struct race *race) {
    uint8_t rest[64];
    int left = 0;
    must(race->result > 0 || race->result == -ECANCELED);
    if (race->result > 0 && race->call->run != run_poll) race->read += (size_t)race->result;
    must_equal(ioctl(race->fds[0], FIONREAD, &left), 0);
    must_equal(race->read + (size_t)left, race->written);
    if (left == 0) return;
    must_equal(read(race->fds[0], rest, sizeof rest), left);
    check_stream(1, race->read, rest, (size_t)left);
    race->read += (size_t)left;
}

/* ---- sending ---- */

static void open_small_pair(struct race *race) {
    int small = 4096;
    make_pair(race->fds, 0);
    must_equal(setsockopt(race->fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
}
static void open_small_pipe(struct race *race) {
    int ends[2];
    make_pipe(ends, 0);
    must(fcntl(ends[0], F_SETPIPE_SZ, 4096) >= 0);
    race->fds[0] = ends[1];
    race->fds[1] = ends[0];
}

/* Fills the way to the peer, so that the call waits. */
static void fill_up(struct race *race) {
    uint8_t bytes[BUFFER_BYTES];
    int flags = fcntl(race->fds[0], F_GETFL);
    fcntl(race->fds[0], F_SETFL, flags | O_NONBLOCK);
    for (ssize_t written = 0; written >= 0; race->written += (size_t)written) {
        fill_stream(1, race->written, bytes, sizeof bytes);
        written = write(race->fds[0], bytes, sizeof bytes);
        if (written < 0) break;
    }
    fcntl(race->fds[0], F_SETFL, flags);
    fill_stream(1, race->written, race->buffer, sizeof race->buffer);
}

static intptr_t run_send(struct race *r) { return weft_send(r->fds[0], r->buffer, sizeof r->buffer, 0); }
static intptr_t run_send_all(struct race *r) { return weft_send_all(r->fds[0], r->buffer, sizeof r->buffer); }
static intptr_t run_write(struct race *r) { return weft_write(r->fds[0], r->buffer, sizeof r->buffer); }
static intptr_t run_writev(struct race *r) {
    struct iovec iov[2] = {{r->buffer, 1}, {r->buffer + 1, sizeof r->buffer - 1}};
    return weft_writev(r->fds[0], iov, 2);
}
static intptr_t run_sendmsg(struct race *r) {
    struct iovec iov = {r->buffer, sizeof r->buffer};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    return weft_sendmsg(r->fds[0], &message, 0);
}

static void take_some(struct race *race, int *left) {
    uint8_t bytes[8192];
    must_equal(ioctl(race->fds[1], FIONREAD, left), 0);
    if (*left == 0) return;
    ssize_t got = read(race->fds[1], bytes, sizeof bytes);
    must(got > 0);
    check_stream(1, race->read, bytes, (size_t)got);
    race->read += (size_t)got;
}

static void make_room(struct race *race) {
    int left;
    for (int i = 0; i < 4; i++) take_some(race, &left);
}

static void account_sent(struct race *race) {
    int left;
    must(race->result > 0 || race->result == -ECANCELED);
    if (race->result > 0) race->written += (size_t)race->result;
    do take_some(race, &left);
    while (left);
    if (race->call->run == run_send_all && race->result < 0) { /* a part may have been sent */
        must(race->read >= race->written && race->read < race->written + sizeof race->buffer);
        race->written = race->read;
    }
    must_equal(race->read, race->written);
}

/* ---- connections ---- */

static void open_listener(struct race *race) {
    race->fds[0] = make_listener(&race->address, SOCK_NONBLOCK);
    race->fds[1] = -1;
}
static void close_listener(struct race *race) { must_equal(weft_close(race->fds[0]), 0); }

static intptr_t run_accept(struct race *r) { return weft_accept(r->fds[0], NULL, NULL, 0); }

static void reset_on_close(int fd) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0}; /* leaves no port in TIME_WAIT */
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void connect_plainly(struct race *race) {
    race->fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(race->fds[1] >= 0);
    reset_on_close(race->fds[1]);
    must_equal(connect(race->fds[1], (struct sockaddr *)&race->address, sizeof race->address), 0);
}

static void account_accepted(struct race *race) {
    int fd = race->result >= 0 ? (int)race->result : accept4(race->fds[0], NULL, NULL, SOCK_CLOEXEC);
    must(fd >= 0);
    must_equal(accept4(race->fds[0], NULL, NULL, SOCK_CLOEXEC), -1); /* there was one */
    must_equal(close(fd), 0);
    must_equal(close(race->fds[1]), 0);
}

static void new_socket(struct race *race) {
    race->fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(race->fds[1] >= 0);
    reset_on_close(race->fds[1]);
}
static intptr_t run_connect(struct race *r) {
    return weft_connect(r->fds[1], (struct sockaddr *)&r->address, sizeof r->address);
}
static void account_connected(struct race *race) {
    must(race->result == 0 || race->result == -ECANCELED);
    must_equal(close(race->fds[1]), 0);
    int fd = accept4(race->fds[0], NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
}

/* ---- files ---- */

static void open_file(struct race *race) {
    strcpy(race->path, "/tmp/weft-test-io-XXXXXX");
    race->fds[0] = mkstemp(race->path);
    must(race->fds[0] >= 0);
    must_equal(write(race->fds[0], "file", 4), 4);
}
static void close_file(struct race *race) {
    must_equal(unlink(race->path), 0);
    must_equal(weft_close(race->fds[0]), 0);
}
static intptr_t run_pread(struct race *r) { return weft_pread(r->fds[0], r->buffer, 4, 0); }
static intptr_t run_pwrite(struct race *r) { return weft_pwrite(r->fds[0], "file", 4, 0); }
static intptr_t run_fsync(struct race *r) { return weft_fsync(r->fds[0]); }
static intptr_t run_openat(struct race *r) { return weft_openat(AT_FDCWD, r->path, O_RDONLY, 0); }
static void account_file(struct race *race) {
    must(race->result == -ECANCELED || race->result == (race->call->run == run_fsync ? 0 : 4));
}
static void account_opened(struct race *race) {
    must(race->result >= 0 || race->result == -ECANCELED);
    if (race->result >= 0) must_equal(close((int)race->result), 0);
}

static const struct call calls[] = {
    {"recv", open_pair, poison, run_recv, feed, account_received, close_fds},
    {"recv, O_NONBLOCK", open_pair_nonblock, poison, run_recv, feed, account_received, close_fds},
    {"recvmsg", open_pair, poison, run_recvmsg, feed, account_received, close_fds},
    {"read from a socket", open_pair, poison, run_read, feed, account_received, close_fds},
    {"read from a pipe", open_pipe, poison, run_read, feed, account_received, close_fds},
    {"readv from a pipe", open_pipe, poison, run_readv, feed, account_received, close_fds},
    {"poll", open_pair, poison, run_poll, feed, account_received, close_fds},
    {"send", open_small_pair, fill_up, run_send, make_room, account_sent, close_fds},
    {"send_all", open_small_pair, fill_up, run_send_all, make_room, account_sent, close_fds},
    {"sendmsg", open_small_pair, fill_up, run_sendmsg, make_room, account_sent, close_fds},
    {"write to a pipe", open_small_pipe, fill_up, run_write, make_room, account_sent, close_fds},
    {"writev to a pipe", open_small_pipe, fill_up, run_writev, make_room, account_sent, close_fds},
    {"accept", open_listener, nothing, run_accept, connect_plainly, account_accepted, close_listener},
    {"connect", open_listener, new_socket, run_connect, nothing, account_connected, close_listener},
    {"pread", open_file, poison, run_pread, nothing, account_file, close_file},
    {"pwrite", open_file, poison, run_pwrite, nothing, account_file, close_file},
    {"fsync", open_file, poison, run_fsync, nothing, account_file, close_file},
    {"openat", open_file, poison, run_openat, nothing, account_opened, close_file},
};

/* ---- the race ---- */

static _Atomic(weft_task *) target; /* for the cancelling thread; NULL: end */
static sem_t wanted;
static struct race race; /* the one that is run */

static void cancel_now(weft_task *task) {
    race.accepted = weft_cancel(task);
    atomic_store(&race.cancelled, true);
}

static void *cancel_from_outside(void *arg) {
    uint32_t random = 1;
    (void)arg;
    for (weft_task *task; sem_wait(&wanted) == 0 && (task = atomic_load(&target));) {
        for (volatile uint32_t i = next_random(&random) % 500; i > 0; i--) {}
        cancel_now(task);
    }
    return NULL;
}

static intptr_t contestant(void *arg) {
    bool receives = race.call->account == account_received && race.call->run != run_poll;
    (void)arg;
    atomic_store(&race.started, true);
    race.result = race.call->run(&race);
    if (receives) {
        size_t got = race.result > 0 ? (size_t)race.result : 0;
        check_stream(1, race.read, race.buffer, got);
        for (size_t i = got; i < sizeof race.buffer; i++) must_equal(race.buffer[i], POISON);
        poison(&race);
    }
    while (!atomic_load(&race.cancelled)) weft_yield(), sched_yield(); /* no cancellation points */
    must(race.accepted);
    must_equal(weft_sleep(0), race.result == -ECANCELED ? 0 : -ECANCELED);
    must_equal(weft_sleep(0), 0);
    return 0;
}

static void one_round(bool by_thread) {
    bool cancel_first = next_random(&race.random) % 2;
    unsigned before = next_random(&race.random) % 6, between = next_random(&race.random) % 4;
    atomic_store(&race.cancelled, false);
    atomic_store(&race.started, false);
    race.call->prepare(&race);
    weft_task *task = weft_spawn(contestant, NULL);
    while (!atomic_load(&race.started)) weft_yield(); /* cancelled before, it would never run */
    for (unsigned i = 0; i < before; i++) weft_yield();
    if (!cancel_first) race.call->trigger(&race);
    if (!cancel_first) for (unsigned i = 0; i < between; i++) weft_yield();
    if (by_thread) atomic_store(&target, task), sem_post(&wanted);
    else cancel_now(task);
    if (cancel_first && by_thread) between = next_random(&race.random) % 64;
    if (cancel_first)
        for (unsigned i = 0; i < between && !atomic_load(&race.cancelled); i++) weft_yield(), sched_yield();
    if (cancel_first && between % 4 == 3) for (int i = 0; i < 100 && !weft_done(task); i++) weft_yield();
    if (cancel_first) race.call->trigger(&race);
    must_equal(weft_join(task), 0);
    if (race.call->account == account_received && race.call->run != run_poll)
        for (size_t i = 0; i < sizeof race.buffer; i++) must_equal(race.buffer[i], POISON);
    race.call->account(&race);
    if (race.result == -ECANCELED) race.cancelled_rounds++;
    race.rounds++;
}

static intptr_t all_rounds(void *arg) {
    bool by_thread = arg;
    int64_t end = weft_time() + TIME_EACH;
    race.call->open(&race);
    for (int i = 0; i < ROUNDS(20000) && weft_time() < end; i++) one_round(by_thread);
    race.call->close(&race);
    return 0;
}

static void race_with(bool by_thread) {
    for (const struct call *call = calls; call < calls + sizeof calls / sizeof calls[0]; call++)
        for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
            int before = open_descriptors();
            memset(&race, 0, sizeof race);
            race.call = call;
            race.random = (uint32_t)i;
            name_tried = call->name;
            must_equal(run_setting(settings[i], all_rounds, (void *)(intptr_t)by_thread), 0);
            must_equal(open_descriptors(), before);
            if (getenv("WEFT_TEST_VERBOSE"))
                printf("%s, %s, %u workers: %d rounds, %d cancelled\n", call->name, settings[i].driver,
                       settings[i].workers, race.rounds, race.cancelled_rounds);
        }
}

static void test_by_a_task(void **state) {
    (void)state;
    race_with(false);
}

static void test_by_a_thread(void **state) {
    pthread_t thread;
    (void)state;
    sem_init(&wanted, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, cancel_from_outside, NULL), 0);
    race_with(true);
    atomic_store(&target, NULL);
    sem_post(&wanted);
    pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_a_task), cmocka_unit_test(test_by_a_thread)};
    return run_group(tests);
}
