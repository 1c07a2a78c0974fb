/* Each call of io.h does what its POSIX namesake does, on files, pipes, sockets and TCP, whether the
 * descriptor has O_NONBLOCK or not, on both drivers. */
#define _GNU_SOURCE
#include "io_support.h"

#include <sys/ioctl.h>
#include <sys/stat.h>

/* ---- helpers that wait on the other side ---- */

struct transfer {
    int fd, flags;
    void *buffer;
    size_t bytes;
};

static intptr_t receive(void *arg) {
    struct transfer *t = arg;
    return weft_recv(t->fd, t->buffer, t->bytes, t->flags);
}

static intptr_t read_some(void *arg) {
    struct transfer *t = arg;
    return weft_read(t->fd, t->buffer, t->bytes);
}

/* Gives a task that was just spawned time to reach its wait. */
static void let_others_run(void) {
    for (int i = 0; i < 8; i++) weft_yield();
}

/* ---- files ---- */

static intptr_t files(void *arg) {
    (void)arg;
    char path[] = "/tmp/weft-test-io-XXXXXX", inside[64], buffer[64] = "";
    must(mkdtemp(path));
    snprintf(inside, sizeof inside, "%s/file", path);
    int fd = weft_openat(AT_FDCWD, inside, O_RDWR | O_CREAT | O_EXCL, 0640);
    must(fd >= 0);
    must_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct stat status;
    must_equal(fstat(fd, &status), 0);
    must_equal(status.st_mode & 0700, 0600);

    must_equal(weft_write(fd, "0123456789", 10), 10); /* moves the file's offset */
    must_equal(weft_pwrite(fd, "AB", 2, 4), 2);       /* does not */
    struct iovec out[2] = {{(void *)"xyz", 3}, {(void *)"!", 1}};
    must_equal(weft_writev(fd, out, 2), 4);
    must_equal(weft_fsync(fd), 0);
    must_equal(lseek(fd, 0, SEEK_CUR), 14);
    must_equal(weft_pread(fd, buffer, sizeof buffer, 2), 12);
    must_equal(memcmp(buffer, "23AB6789xyz!", 12), 0);
    must_equal(weft_pread(fd, buffer, 4, 14), 0);
    must_equal(weft_pread(fd, buffer, 4, 1000), 0);
    must_equal(weft_read(fd, buffer, sizeof buffer), 0);

    must_equal(lseek(fd, 1, SEEK_SET), 1);
    must_equal(weft_read(fd, buffer, 3), 3);
    must_equal(memcmp(buffer, "123", 3), 0);
    must_equal(weft_read(fd, buffer, 0), 0);
    char a[3], b[20];
    struct iovec in[2] = {{a, sizeof a}, {b, sizeof b}};
    must_equal(weft_readv(fd, in, 2), 10);
    must_equal(memcmp(a, "AB6", 3), 0);
    must_equal(memcmp(b, "789xyz!", 7), 0);
    must_equal(weft_readv(fd, in, 0), 0);
    must_equal(weft_close(fd), 0);

    int directory = weft_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    must(directory >= 0);
    fd = weft_openat(directory, "file", O_WRONLY | O_APPEND, 0);
    must(fd >= 0);
    must_equal(weft_write(fd, "++", 2), 2);
    must_equal(lseek(fd, 0, SEEK_END), 16);
    must_equal(weft_close(fd), 0);
    must_equal(weft_close(directory), 0);
    must_equal(unlink(inside), 0);
    must_equal(rmdir(path), 0);
    return 0;
}

/* Larger than what pread takes from the page cache on the spot; across the end of the file. */
static intptr_t big_file(void *arg) {
    (void)arg;
    enum { BYTES = 1 << 20 };
    char path[] = "/tmp/weft-test-io-XXXXXX";
    int fd = mkstemp(path);
    must(fd >= 0);
    must_equal(unlink(path), 0);
    uint8_t *bytes = malloc(BYTES);
    fill_stream(1, 0, bytes, BYTES);
    must_equal(weft_pwrite(fd, bytes, BYTES, 0), BYTES);
    memset(bytes, 0, BYTES);
    must_equal(weft_pread(fd, bytes, BYTES, 0), BYTES);
    check_stream(1, 0, bytes, BYTES);
    must_equal(weft_pread(fd, bytes, BYTES, BYTES - 100), 100);
    check_stream(1, BYTES - 100, bytes, 100);
    must_equal(weft_pread(fd, bytes, 60000, BYTES - 50000), 50000);
    check_stream(1, BYTES - 50000, bytes, 50000);
    free(bytes);
    return weft_close(fd);
}

/* ---- pipes ---- */

static intptr_t pipes(void *arg) {
    int ends[2];
    char buffer[16];
    make_pipe(ends, (int)(intptr_t)arg);
    struct transfer t = {.fd = ends[0], .buffer = buffer, .bytes = sizeof buffer};
    weft_task *reader = weft_spawn(read_some, &t); /* waits */
    let_others_run();
    must_equal(weft_write(ends[1], "hello", 5), 5);
    must_equal(weft_join(reader), 5);
    must_equal(memcmp(buffer, "hello", 5), 0);

    struct iovec out[2] = {{(void *)"ab", 2}, {(void *)"cde", 3}}, in[2] = {{buffer, 1}, {buffer + 1, 9}};
    must_equal(weft_writev(ends[1], out, 2), 5);
    must_equal(weft_readv(ends[0], in, 2), 5);
    must_equal(memcmp(buffer, "abcde", 5), 0);

    reader = weft_spawn(read_some, &t);
    let_others_run();
    must_equal(weft_close(ends[1]), 0);
    must_equal(weft_join(reader), 0); /* end of file */
    return weft_close(ends[0]);
}

static intptr_t fill_pipe(void *arg) {
    struct transfer *t = arg;
    for (size_t done = 0; done < t->bytes;) {
        ssize_t written = weft_write(t->fd, (char *)t->buffer + done, t->bytes - done);
        if (written < 0) return written;
        done += (size_t)written;
    }
    return (intptr_t)t->bytes;
}

/* A writer that is faster than its reader waits for room. */
static intptr_t full_pipe(void *arg) {
    enum { BYTES = 1 << 20 };
    int ends[2];
    uint8_t *bytes = malloc(BYTES), buffer[5000];
    make_pipe(ends, (int)(intptr_t)arg);
    fill_stream(2, 0, bytes, BYTES);
    struct transfer t = {.fd = ends[1], .buffer = bytes, .bytes = BYTES};
    weft_task *writer = weft_spawn(fill_pipe, &t);
    for (size_t done = 0; done < BYTES;) {
        ssize_t got = weft_read(ends[0], buffer, sizeof buffer);
        must(got > 0);
        check_stream(2, done, buffer, (size_t)got);
        done += (size_t)got;
    }
    must_equal(weft_join(writer), BYTES);
    close_both(ends);
    free(bytes);
    return 0;
}

/* ---- sockets ---- */

static intptr_t sockets(void *arg) {
    int fds[2], flags = (int)(intptr_t)arg;
    char buffer[16] = "";
    make_pair(fds, flags);
    struct transfer t = {.fd = fds[0], .buffer = buffer, .bytes = sizeof buffer};
    must_equal(weft_recv(fds[0], buffer, 1, MSG_DONTWAIT), -EAGAIN);

    weft_task *receiver = weft_spawn(receive, &t); /* waits */
    let_others_run();
    must_equal(weft_send(fds[1], "hello", 5, 0), 5);
    must_equal(weft_join(receiver), 5);
    must_equal(memcmp(buffer, "hello", 5), 0);

    must_equal(weft_send(fds[1], "peeked", 6, MSG_DONTWAIT), 6);
    must_equal(weft_recv(fds[0], buffer, 4, MSG_PEEK), 4);
    must_equal(weft_recv(fds[0], buffer, 6, MSG_DONTWAIT), 6);
    must_equal(memcmp(buffer, "peeked", 6), 0);

    /* a receive that waits with MSG_PEEK consumes nothing either */
    t.flags = MSG_PEEK;
    receiver = weft_spawn(receive, &t);
    let_others_run();
    must_equal(weft_send(fds[1], "x", 1, 0), 1);
    must_equal(weft_join(receiver), 1);
    must_equal(weft_recv(fds[0], buffer, 16, 0), 1);

    /* read and write work on sockets as well */
    must_equal(weft_write(fds[0], "abc", 3), 3);
    must_equal(weft_read(fds[1], buffer, 2), 2);
    must_equal(weft_recv(fds[1], buffer, 2, 0), 1);

    t.flags = 0;
    receiver = weft_spawn(receive, &t);
    let_others_run();
    must_equal(weft_shutdown(fds[1], SHUT_WR), 0);
    must_equal(weft_join(receiver), 0);
    must_equal(weft_send(fds[0], "still", 5, 0), 5); /* the other direction is open */
    must_equal(weft_recv(fds[1], buffer, 16, 0), 5);
    close_both(fds);
    return 0;
}

struct piecemeal {
    int fd;
    unsigned pieces, bytes;
};

static intptr_t send_piecemeal(void *arg) {
    struct piecemeal *p = arg;
    uint8_t bytes[64];
    for (unsigned i = 0; i < p->pieces; i++) {
        fill_stream(3, i * p->bytes, bytes, p->bytes);
        must_equal(weft_send(p->fd, bytes, p->bytes, 0), p->bytes);
        let_others_run();
    }
    return 0;
}

/* MSG_WAITALL returns everything that was asked for, also where data is there already, and after a receive
 * that filled its buffer. */
static intptr_t wait_all(void *arg) {
    (void)arg;
    int fds[2];
    uint8_t buffer[100];
    make_pair(fds, 0);
    struct piecemeal p = {.fd = fds[1], .pieces = 10, .bytes = 30};
    weft_task *sender = weft_spawn(send_piecemeal, &p);
    for (unsigned i = 0; i < 3; i++) {
        must_equal(weft_recv(fds[0], buffer, 100, MSG_WAITALL), 100);
        check_stream(3, i * 100, buffer, 100);
    }
    must_equal(weft_join(sender), 0);
    p.pieces = 2; /* 60 of 100 bytes, then the end: a short result */
    sender = weft_spawn(send_piecemeal, &p);
    must_equal(weft_recv(fds[0], buffer, 10, MSG_WAITALL), 10); /* fills its buffer */
    weft_join(sender);
    must_equal(weft_shutdown(fds[1], SHUT_WR), 0);
    must_equal(weft_recv(fds[0], buffer, 100, MSG_WAITALL), 50);
    close_both(fds);
    return 0;
}

static intptr_t receive_all_then_sleep(void *arg) {
    struct transfer *t = arg;
    must_equal(weft_recv(t->fd, t->buffer, t->bytes, MSG_WAITALL), 3);
    return weft_sleep(0);
}

/* Cancelled with a part in hand, it returns the part, and the request waits for the next await point. */
static intptr_t wait_all_cancelled(void *arg) {
    (void)arg;
    int fds[2];
    char buffer[10];
    make_pair(fds, 0);
    struct transfer t = {.fd = fds[0], .buffer = buffer, .bytes = sizeof buffer};
    weft_task *receiver = weft_spawn(receive_all_then_sleep, &t);
    let_others_run();
    must_equal(weft_send(fds[1], "abc", 3, 0), 3);
    int left;
    do weft_yield();
    while (ioctl(fds[0], FIONREAD, &left) == 0 && left > 0); /* it has them */
    weft_cancel(receiver);
    must_equal(weft_join(receiver), -ECANCELED);
    must_equal(memcmp(buffer, "abc", 3), 0);
    close_both(fds);
    return 0;
}

static intptr_t receive_message(void *arg) {
    struct transfer *t = arg;
    return weft_recvmsg(t->fd, t->buffer, t->flags);
}

/* Several buffers, and a descriptor as ancillary data. */
static intptr_t messages(void *arg) {
    int fds[2], ends[2], got = -1;
    make_pair(fds, (int)(intptr_t)arg);
    make_pipe(ends, 0);
    char a[3], b[8];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } in_control, out_control = {{0}};
    struct iovec in[2] = {{a, sizeof a}, {b, sizeof b}}, out[2] = {{(void *)"one", 3}, {(void *)"two", 3}};
    struct msghdr in_message = {.msg_iov = in, .msg_iovlen = 2, .msg_control = &in_control,
                                .msg_controllen = sizeof in_control};
    struct msghdr out_message = {.msg_iov = out, .msg_iovlen = 2, .msg_control = &out_control,
                                 .msg_controllen = sizeof out_control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&out_message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));

    must_equal(weft_recvmsg(fds[0], &in_message, MSG_DONTWAIT), -EAGAIN);
    struct transfer t = {.fd = fds[0], .buffer = &in_message, .flags = MSG_CMSG_CLOEXEC};
    weft_task *receiver = weft_spawn(receive_message, &t);
    let_others_run();
    must_equal(weft_sendmsg(fds[1], &out_message, 0), 6);
    must_equal(weft_join(receiver), 6);
    must_equal(memcmp(a, "one", 3), 0);
    must_equal(memcmp(b, "two", 3), 0);
    must_equal(in_message.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
    header = CMSG_FIRSTHDR(&in_message);
    must(header && header->cmsg_type == SCM_RIGHTS);
    memcpy(&got, CMSG_DATA(header), sizeof got);
    must_equal(weft_write(got, "!", 1), 1);
    must_equal(weft_read(ends[0], a, 1), 1);
    must_equal(weft_close(got), 0);
    close_both(ends);
    close_both(fds);
    return 0;
}

static intptr_t datagrams(void *arg) {
    int fds[2];
    char buffer[4];
    must_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | (int)(intptr_t)arg, 0, fds), 0);
    must_equal(weft_send(fds[0], "first message", 13, 0), 13);
    must_equal(weft_send(fds[0], "2", 1, 0), 1);
    must_equal(weft_recv(fds[1], buffer, sizeof buffer, 0), 4); /* the rest of a datagram is dropped */
    must_equal(memcmp(buffer, "firs", 4), 0);
    must_equal(weft_recv(fds[1], buffer, sizeof buffer, 0), 1);
    must_equal(buffer[0], '2');
    close_both(fds);
    return 0;
}

/* ---- TCP ---- */

struct meeting {
    struct sockaddr_in address;
    int flags;
};

static intptr_t visit(void *arg) {
    struct meeting *m = arg;
    char buffer[8];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | m->flags, 0);
    must(fd >= 0);
    must_equal(weft_connect(fd, (struct sockaddr *)&m->address, sizeof m->address), 0);
    must_equal(weft_send(fd, "ping", 4, 0), 4);
    must_equal(weft_recv(fd, buffer, sizeof buffer, 0), 4);
    must_equal(memcmp(buffer, "pong", 4), 0);
    must_equal(weft_recv(fd, buffer, sizeof buffer, 0), 0);
    return weft_close(fd);
}

static intptr_t tcp(void *arg) {
    struct meeting m = {.flags = (int)(intptr_t)arg};
    int listener = make_listener(&m.address, m.flags);
    for (int i = 0; i < 4; i++) {
        struct sockaddr_in peer, expected;
        socklen_t bytes = sizeof peer, expected_bytes = sizeof expected;
        char buffer[8];
        weft_task *visitor = weft_spawn(visit, &m);
        if (i % 2) let_others_run(); /* sometimes the visitor is first */
        int fd = i < 2 ? weft_accept(listener, (struct sockaddr *)&peer, &bytes, i == 0 ? SOCK_NONBLOCK : 0)
                       : weft_accept(listener, NULL, NULL, 0);
        must(fd >= 0);
        must_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        must_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, i == 0 ? O_NONBLOCK : 0);
        if (i < 2) {
            must_equal(getpeername(fd, (struct sockaddr *)&expected, &expected_bytes), 0);
            must_equal(bytes, sizeof peer);
            must_equal(peer.sin_port, expected.sin_port);
            must_equal(peer.sin_addr.s_addr, expected.sin_addr.s_addr);
        }
        must_equal(weft_recv(fd, buffer, sizeof buffer, 0), 4);
        must_equal(memcmp(buffer, "ping", 4), 0);
        must_equal(weft_send_all(fd, "pong", 4), 4);
        must_equal(weft_shutdown(fd, SHUT_RDWR), 0);
        must_equal(weft_close(fd), 0);
        must_equal(weft_join(visitor), 0);
    }
    return weft_close(listener);
}

/* ---- poll ---- */

static intptr_t poll_for(void *arg) {
    struct transfer *t = arg;
    return weft_poll(t->fd, (short)t->flags);
}

static intptr_t polls(void *arg) {
    int fds[2];
    make_pair(fds, (int)(intptr_t)arg);
    must_equal(weft_poll(fds[0], POLLOUT), POLLOUT);
    must_equal(weft_poll(fds[0], POLLIN | POLLOUT), POLLOUT);
    struct transfer in = {.fd = fds[0], .flags = POLLIN};
    weft_task *poller = weft_spawn(poll_for, &in), *other = weft_spawn(poll_for, &in);
    let_others_run();
    must(!weft_done(poller));
    must_equal(weft_send(fds[1], "x", 1, 0), 1);
    must_equal(weft_join(poller), POLLIN);
    must_equal(weft_join(other), POLLIN);
    must_equal(weft_poll(fds[0], POLLIN | POLLOUT), POLLIN | POLLOUT);
    must_equal(weft_recv(fds[0], &(char){0}, 1, 0), 1);
    poller = weft_spawn(poll_for, &in);
    let_others_run();
    must_equal(weft_close(fds[1]), 0);
    must_equal(weft_join(poller) & ~POLLRDHUP, POLLIN | POLLHUP); /* the ring adds POLLRDHUP unasked */
    return weft_close(fds[0]);
}

/* No events asked for: errors and hang-ups are reported all the same, as poll(2) does. */
static intptr_t poll_for_nothing(void *arg) {
    int fds[2];
    make_pair(fds, (int)(intptr_t)arg);
    struct transfer nothing = {.fd = fds[0], .flags = 0};
    weft_task *poller = weft_spawn(poll_for, &nothing);
    let_others_run();
    must(!weft_done(poller));
    must_equal(weft_close(fds[1]), 0);
    must_equal(weft_join(poller) & ~POLLRDHUP, POLLHUP);
    return weft_close(fds[0]);
}

/* ---- much at once ---- */

struct flow {
    int fd;
    unsigned stream;
    size_t bytes;
};

static intptr_t pour(void *arg) {
    struct flow *flow = arg;
    uint8_t buffer[20000];
    uint32_t random = flow->stream;
    for (size_t done = 0; done < flow->bytes;) {
        size_t bytes = 1 + next_random(&random) % sizeof buffer;
        if (bytes > flow->bytes - done) bytes = flow->bytes - done;
        fill_stream(flow->stream, done, buffer, bytes);
        must_equal(weft_send_all(flow->fd, buffer, bytes), bytes);
        done += bytes;
    }
    return 0;
}

static intptr_t drink(void *arg) {
    struct flow *flow = arg;
    uint8_t buffer[20000];
    uint32_t random = flow->stream + 100;
    for (size_t done = 0; done < flow->bytes;) {
        ssize_t got = weft_recv(flow->fd, buffer, 1 + next_random(&random) % sizeof buffer, 0);
        must(got > 0);
        check_stream(flow->stream, done, buffer, (size_t)got);
        done += (size_t)got;
    }
    return 0;
}

/* Both directions of one pair at once, through small buffers. */
static intptr_t big_transfer(void *arg) {
    size_t bytes = ROUNDS((size_t)16 << 20);
    int fds[2], small = 4096;
    make_pair(fds, (int)(intptr_t)arg);
    for (int i = 0; i < 2; i++) must_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    struct flow there = {fds[0], 5, bytes}, there_end = {fds[1], 5, bytes};
    struct flow back = {fds[1], 6, bytes}, back_end = {fds[0], 6, bytes};
    weft_task *tasks[] = {weft_spawn(pour, &there), weft_spawn(pour, &back), weft_spawn(drink, &there_end),
                          weft_spawn(drink, &back_end)};
    for (int i = 0; i < 4; i++) must_equal(weft_join(tasks[i]), 0);
    close_both(fds);
    return 0;
}

enum { PAIRS = 500, TURNS = 20 };

struct player {
    int fd;
    bool serves;
};

static intptr_t play(void *arg) {
    struct player *player = arg;
    for (int turn = 0, ball; turn < TURNS; turn++) {
        if (player->serves) must_equal(weft_send(player->fd, &turn, sizeof turn, 0), sizeof turn);
        must_equal(weft_recv(player->fd, &ball, sizeof ball, 0), sizeof ball);
        must_equal(ball, turn);
        if (!player->serves) must_equal(weft_send(player->fd, &turn, sizeof turn, 0), sizeof turn);
    }
    return weft_close(player->fd);
}

static intptr_t ping_pong(void *arg) {
    static struct player players[2 * PAIRS];
    static weft_task *tasks[2 * PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        int fds[2];
        make_pair(fds, (int)(intptr_t)arg);
        for (int k = 0; k < 2; k++) {
            players[2 * i + k] = (struct player){fds[k], k == 0};
            tasks[2 * i + k] = weft_spawn(play, &players[2 * i + k]);
        }
    }
    for (int i = 0; i < 2 * PAIRS; i++) must_equal(weft_join(tasks[i]), 0);
    return 0;
}

/* ---- the list ---- */

#define BLOCKING_AND_NOT(name)                                        \
    static void test_##name(void **state) {                           \
        (void)state;                                                  \
        everywhere(name, (void *)0);                                  \
        everywhere(name, (void *)(intptr_t)SOCK_NONBLOCK);            \
    }
#define ONCE(name)                                                    \
    static void test_##name(void **state) {                           \
        (void)state;                                                  \
        everywhere(name, NULL);                                       \
    }

ONCE(files)
ONCE(big_file)
BLOCKING_AND_NOT(pipes)
BLOCKING_AND_NOT(full_pipe)
BLOCKING_AND_NOT(sockets)
ONCE(wait_all)
ONCE(wait_all_cancelled)
BLOCKING_AND_NOT(messages)
BLOCKING_AND_NOT(datagrams)
BLOCKING_AND_NOT(tcp)
BLOCKING_AND_NOT(polls)
ONCE(poll_for_nothing)
BLOCKING_AND_NOT(big_transfer)
BLOCKING_AND_NOT(ping_pong)

int main(void) {
    if (!allow_descriptors(2000)) return SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),     cmocka_unit_test(test_big_file), cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_full_pipe), cmocka_unit_test(test_sockets),  cmocka_unit_test(test_wait_all),
        cmocka_unit_test(test_wait_all_cancelled),
        cmocka_unit_test(test_messages),  cmocka_unit_test(test_datagrams), cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_polls),     cmocka_unit_test(test_poll_for_nothing),
        cmocka_unit_test(test_big_transfer), cmocka_unit_test(test_ping_pong),
    };
    return run_group(tests);
}
