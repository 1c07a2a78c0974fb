/* The error list of every call in io.h: what the descriptor, the arguments and the peer can do wrong, and
 * that a closed peer never kills the process. */
#define _GNU_SOURCE
#include "io_support.h"

#include <pthread.h>
#include <sys/wait.h>

static char byte;
static struct iovec one_byte = {&byte, 1};
static struct msghdr one_message = {.msg_iov = &one_byte, .msg_iovlen = 1};

/* ---- every call, with one descriptor ---- */

static intptr_t call_read(int fd) { return weft_read(fd, &byte, 1); }
static intptr_t call_write(int fd) { return weft_write(fd, &byte, 1); }
static intptr_t call_readv(int fd) { return weft_readv(fd, &one_byte, 1); }
static intptr_t call_writev(int fd) { return weft_writev(fd, &one_byte, 1); }
static intptr_t call_pread(int fd) { return weft_pread(fd, &byte, 1, 0); }
static intptr_t call_pwrite(int fd) { return weft_pwrite(fd, &byte, 1, 0); }
static intptr_t call_recv(int fd) { return weft_recv(fd, &byte, 1, 0); }
static intptr_t call_send(int fd) { return weft_send(fd, &byte, 1, 0); }
static intptr_t call_send_all(int fd) { return weft_send_all(fd, &byte, 1); }
static intptr_t call_recvmsg(int fd) { return weft_recvmsg(fd, &one_message, 0); }
static intptr_t call_sendmsg(int fd) { return weft_sendmsg(fd, &one_message, 0); }
static intptr_t call_accept(int fd) { return weft_accept(fd, NULL, NULL, 0); }
static intptr_t call_shutdown(int fd) { return weft_shutdown(fd, SHUT_RDWR); }
static intptr_t call_openat(int fd) { return weft_openat(fd, "weft-no-such-file", O_RDONLY, 0); }
static intptr_t call_fsync(int fd) { return weft_fsync(fd); }
static intptr_t call_poll(int fd) { return weft_poll(fd, POLLIN); }
static intptr_t call_connect(int fd) {
    struct sockaddr_in nowhere = loopback(1);
    return weft_connect(fd, (struct sockaddr *)&nowhere, sizeof nowhere);
}

static const struct call {
    const char *name;
    intptr_t (*on)(int fd);
    int on_a_pipe;       /* the error of a socket's call on something else; 0: it works there */
    bool may_be_at_once; /* can succeed without waiting, and does not look at a pending cancel then */
} calls[] = {
    {"read", call_read, 0, false},          {"write", call_write, 0, false},
    {"readv", call_readv, 0, false},        {"writev", call_writev, 0, false},
    {"pread", call_pread, -ESPIPE, true},   {"pwrite", call_pwrite, -ESPIPE, true},
    {"recv", call_recv, -ENOTSOCK, false},  {"send", call_send, -ENOTSOCK, true},
    {"send_all", call_send_all, -ENOTSOCK, true}, {"recvmsg", call_recvmsg, -ENOTSOCK, false},
    {"sendmsg", call_sendmsg, -ENOTSOCK, true},   {"accept", call_accept, -ENOTSOCK, false},
    {"connect", call_connect, -ENOTSOCK, false},  {"shutdown", call_shutdown, -ENOTSOCK, true},
    {"openat", call_openat, -ENOTDIR, false},     {"fsync", call_fsync, -EINVAL, false},
    {"poll", call_poll, 0, false},
};
enum { CALLS = sizeof calls / sizeof calls[0] };

static void expect(const struct call *call, intptr_t result, intptr_t expected, const char *where) {
    if (result == expected) return;
    fprintf(stderr, "%s %s: %ld (%s) and not %s\n", call->name, where, (long)result, weft_strerror(result),
            weft_strerror(expected));
    abort();
}

static intptr_t bad_descriptors(void *arg) {
    (void)arg;
    int fds[2];
    make_pair(fds, 0);
    int closed = fds[1];
    must_equal(weft_close(fds[0]), 0);
    must_equal(weft_close(fds[1]), 0);
    for (const struct call *call = calls; call < calls + CALLS; call++) {
        expect(call, call->on(closed), -EBADF, "on a closed descriptor");
        expect(call, call->on(-1), -EBADF, "on -1");
    }
    must_equal(weft_close(closed), -EBADF);
    must_equal(weft_close(-1), -EBADF);
    return 0;
}

static intptr_t wrong_kind(void *arg) {
    (void)arg;
    int ends[2], directory = weft_openat(AT_FDCWD, "/tmp", O_RDONLY, 0);
    must(directory >= 0);
    make_pipe(ends, 0);
    must_equal(write(ends[1], "xx", 2), 2);
    for (const struct call *call = calls; call < calls + CALLS; call++)
        if (call->on_a_pipe) expect(call, call->on(ends[0]), call->on_a_pipe, "on a pipe");
    must_equal(weft_read(ends[1], &byte, 1), -EBADF); /* the writing end */
    must_equal(weft_write(ends[0], &byte, 1), -EBADF);
    must_equal(weft_read(directory, &byte, 1), -EISDIR);
    must_equal(weft_openat(directory, "weft-no-such-file", O_RDONLY, 0), -ENOENT);
    close_both(ends);
    return weft_close(directory);
}

static intptr_t arguments(void *arg) {
    (void)arg;
    struct iovec many[2] = {one_byte, one_byte};
    int fds[2], ends[2];
    make_pair(fds, 0);
    make_pipe(ends, 0);
    must_equal(weft_readv(ends[0], many, -1), -EINVAL);
    must_equal(weft_writev(ends[1], many, -1), -EINVAL);
    must_equal(weft_readv(ends[0], many, 1025), -EINVAL);
    must_equal(weft_writev(ends[1], many, 1025), -EINVAL);
    must_equal(weft_pread(ends[0], &byte, 1, -1), -EINVAL);
    must_equal(weft_pwrite(ends[1], &byte, 1, -1), -EINVAL);
    must_equal(weft_openat(AT_FDCWD, NULL, O_RDONLY, 0), -EINVAL);
    must_equal(weft_openat(AT_FDCWD, "", O_RDONLY, 0), -ENOENT);
    must_equal(weft_shutdown(fds[0], 99), -EINVAL);
    must_equal(weft_accept(fds[0], NULL, NULL, 0), -EINVAL); /* does not listen */
    must_equal(weft_send(fds[0], NULL, 1, 0), -EFAULT);
    must_equal(weft_write(fds[0], NULL, 1), -EFAULT);
    must_equal(weft_send(fds[1], "x", 1, 0), 1);
    must_equal(weft_recv(fds[0], NULL, 1, 0), -EFAULT);
    must_equal(weft_recv(fds[0], &byte, 1, 0), 1); /* which took nothing */
    close_both(ends);
    close_both(fds);
    return 0;
}

/* A file with a lease, opened with O_NONBLOCK: an EAGAIN with nothing to wait for. */
static intptr_t leased_file(void *arg) {
    (void)arg;
    char path[] = "/tmp/weft-test-io-XXXXXX";
    int fd = mkstemp(path);
    must(fd >= 0);
    signal(SIGIO, SIG_IGN); /* how the kernel tells the lease's holder */
    if (fcntl(fd, F_SETLEASE, F_WRLCK) == 0)
        must_equal(weft_openat(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0), -EAGAIN);
    must_equal(unlink(path), 0);
    return weft_close(fd);
}

/* ---- outside a task ---- */

static intptr_t hang_up(void *fd) { return weft_close((int)(intptr_t)fd); }

static void test_outside_a_task(void **state) {
    (void)state;
    int fds[2];
    make_pair(fds, 0);
    for (const struct call *call = calls; call < calls + CALLS; call++)
        expect(call, call->on(fds[0]), -EPERM, "outside a task");
    assert_int_equal(weft_serve_tcp("127.0.0.1:0", hang_up, NULL), -EPERM);
    assert_int_equal(weft_close(fds[0]), 0); /* is close(2) here */
    assert_int_equal(weft_close(fds[1]), 0);
    assert_int_equal(weft_close(fds[1]), -EBADF);
}

/* ---- peers ---- */

static intptr_t closed_peers(void *arg) {
    int fds[2], ends[2];
    make_pair(fds, (int)(intptr_t)arg);
    make_pipe(ends, (int)(intptr_t)arg);
    must_equal(weft_close(fds[1]), 0);
    must_equal(weft_close(ends[0]), 0);
    must_equal(weft_send(fds[0], &byte, 1, 0), -EPIPE);
    must_equal(weft_send_all(fds[0], &byte, 1), -EPIPE);
    must_equal(weft_sendmsg(fds[0], &one_message, 0), -EPIPE);
    must_equal(weft_write(fds[0], &byte, 1), -EPIPE);
    must_equal(weft_writev(fds[0], &one_byte, 1), -EPIPE);
    must_equal(weft_write(ends[1], &byte, 1), -EPIPE);
    must_equal(weft_writev(ends[1], &one_byte, 1), -EPIPE);
    must_equal(weft_recv(fds[0], &byte, 1, 0), 0);
    must_equal(weft_close(ends[1]), 0);
    return weft_close(fds[0]);
}

static intptr_t send_much(void *arg) {
    static uint8_t bytes[4 << 20];
    return weft_send_all((int)(intptr_t)arg, bytes, sizeof bytes);
}

static intptr_t write_much(void *arg) {
    static uint8_t bytes[4 << 20];
    intptr_t written;
    do written = weft_write((int)(intptr_t)arg, bytes, sizeof bytes);
    while (written > 0);
    return written;
}

/* The peer goes away while somebody waits for room. */
static intptr_t vanishing_peers(void *arg) {
    int fds[2], ends[2];
    make_pair(fds, (int)(intptr_t)arg);
    make_pipe(ends, (int)(intptr_t)arg);
    weft_task *sender = weft_spawn(send_much, (void *)(intptr_t)fds[0]);
    weft_task *writer = weft_spawn(write_much, (void *)(intptr_t)ends[1]);
    for (int i = 0; i < 8; i++) weft_yield();
    must_equal(weft_close(fds[1]), 0);
    must_equal(weft_close(ends[0]), 0);
    intptr_t result = weft_join(sender);
    must(result == -EPIPE || result == -ECONNRESET);
    must_equal(weft_join(writer), -EPIPE);
    must_equal(weft_close(ends[1]), 0);
    return weft_close(fds[0]);
}

static intptr_t connections(void *arg) {
    int flags = (int)(intptr_t)arg;
    struct sockaddr_in address;
    int listener = make_listener(&address, flags);
    must_equal(weft_close(listener), 0); /* nobody listens there now */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    must(fd >= 0);
    must_equal(weft_recv(fd, &byte, 1, 0), -ENOTCONN);
    must_equal(weft_shutdown(fd, SHUT_RDWR), -ENOTCONN);
    must_equal(weft_send(fd, &byte, 1, 0), -EPIPE);
    must_equal(weft_connect(fd, (struct sockaddr *)&address, 3), -EINVAL);
    must_equal(weft_connect(fd, (struct sockaddr *)&address, sizeof address), -ECONNREFUSED);
    must_equal(weft_close(fd), 0);

    listener = make_listener(&address, flags);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    must_equal(weft_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    must_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
    must_equal(weft_close(fd), 0);
    return weft_close(listener);
}

/* A SIGPIPE that a ring or a plain write raised must hit nobody after weft_run either. */
static void test_no_signal_afterwards(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        pid_t child = fork();
        if (child == 0) {
            sigset_t none;
            sigemptyset(&none);
            signal(SIGPIPE, SIG_DFL);
            bool right = run_setting(settings[i], closed_peers, NULL) == 0;
            sigprocmask(SIG_SETMASK, &none, NULL);
            _exit(right ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status)) print_error("%s died of signal %d\n", settings[i].driver, WTERMSIG(status));
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

/* ---- cancelled before the call ---- */

static intptr_t call_cancelled(void *arg) {
    const struct call *call = arg;
    int fds[2], ends[2];
    make_pair(fds, 0);
    make_pipe(ends, 0);
    must_equal(write(ends[1], "x", 1), 1);
    must(weft_cancel(weft_current_task()));
    intptr_t result = call->on(call->on == call_write || call->on == call_writev ? ends[1]
                               : call->on_a_pipe                                 ? fds[0]
                                                                                 : ends[0]);
    if (!call->may_be_at_once) expect(call, result, -ECANCELED, "of a cancelled task");
    must_equal(weft_sleep(0), result == -ECANCELED ? 0 : -ECANCELED); /* exactly once */
    close_both(fds);
    close_both(ends);
    return 0;
}

static intptr_t cancelled(void *arg) {
    (void)arg;
    for (const struct call *call = calls; call < calls + CALLS; call++)
        must_equal(weft_join(weft_spawn(call_cancelled, (void *)(uintptr_t)call)), 0);
    return 0;
}

/* ---- weft_serve_tcp ---- */

static intptr_t bad_addresses(void *arg) {
    (void)arg;
    static const char *const bad[] = {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536",
                                      "127.0.0.1:-1", "localhost:0", "256.0.0.1:0", "[::1", "[::1]",
                                      "[::1]0:0", "]:0", "[:0", "1.2.3.4.5:0", "a b:1", "127.0.0.1:0x50"};
    char long_one[1000];
    memset(long_one, '1', sizeof long_one);
    memcpy(long_one + sizeof long_one - 3, ":0", 3);
    must_equal(weft_serve_tcp(NULL, hang_up, NULL), -EINVAL);
    must_equal(weft_serve_tcp("127.0.0.1:0", NULL, NULL), -EINVAL);
    must_equal(weft_serve_tcp(long_one, hang_up, NULL), -EINVAL);
    must_equal(weft_serve_tcp("127.0.0.1:0", hang_up, &(weft_serve_options){.backlog = -1}), -EINVAL);
    must_equal(weft_serve_tcp("192.0.2.1:0", hang_up, NULL), -EADDRNOTAVAIL); /* not ours */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        weft_timeout limit; /* one that is accepted would serve for ever */
        weft_timeout_enter(&limit, WEFT_SEC(1));
        intptr_t result = weft_timeout_exit(&limit, weft_serve_tcp(bad[i], hang_up, NULL));
        if (result == -EINVAL) continue;
        fprintf(stderr, "the address '%s' gives %s\n", bad[i], weft_strerror(result));
        abort();
    }
    return 0;
}

static void port_known(void *arg, int port) { weft_future_set_result(arg, port); }

static intptr_t serve(void *arg) {
    weft_serve_options options = {.ready = port_known, .ready_arg = arg};
    return weft_serve_tcp("127.0.0.1:0", hang_up, &options);
}

static intptr_t serve_on(void *arg) {
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", (int)(intptr_t)arg);
    return weft_serve_tcp(address, hang_up, NULL);
}

struct elsewhere {
    struct setting setting;
    int port;
};

static void *serve_in_thread(void *arg) {
    struct elsewhere *e = arg;
    return (void *)run_setting(e->setting, serve_on, (void *)(intptr_t)e->port);
}

/* The port is taken: for this runtime, for another one in another thread, and for another process. */
static void second_server(struct setting setting, int port) {
    pthread_t thread;
    void *result;
    struct elsewhere elsewhere = {setting, port};
    must_equal(pthread_create(&thread, NULL, serve_in_thread, &elsewhere), 0);
    pthread_join(thread, &result);
    must_equal((intptr_t)result, -EADDRINUSE);
}

static intptr_t port_taken(void *arg) {
    struct setting *setting = arg;
    weft_future *port = weft_future_new();
    weft_task *server = weft_spawn(serve, port);
    intptr_t number = weft_join(port);
    must(number > 0);
    must_equal(serve_on((void *)number), -EADDRINUSE);
    second_server(*setting, (int)number);
    weft_cancel(server);
    must_equal(weft_join(server), -ECANCELED);
    return 0;
}

static void test_port_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        struct setting setting = settings[i];
        must_equal(run_setting(setting, port_taken, &setting), 0);
    }
}

static intptr_t print_port_and_serve(void *arg) {
    weft_future *port = weft_future_new();
    weft_task *server = weft_spawn(serve, port);
    int number = (int)weft_join(port);
    must_equal(write((int)(intptr_t)arg, &number, sizeof number), sizeof number);
    return weft_join(server);
}

static void test_port_taken_by_a_process(void **state) {
    (void)state;
    int ends[2], port;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        run_on(2, print_port_and_serve, (void *)(intptr_t)ends[1]);
        _exit(1);
    }
    assert_int_equal(read(ends[0], &port, sizeof port), sizeof port);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        assert_int_equal(run_setting(settings[i], serve_on, (void *)(intptr_t)port), -EADDRINUSE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
}

/* ---- the list ---- */

#define EVERYWHERE(name)                                    \
    static void test_##name(void **state) {                 \
        (void)state;                                        \
        everywhere(name, (void *)0);                        \
        everywhere(name, (void *)(intptr_t)SOCK_NONBLOCK);  \
    }
EVERYWHERE(bad_descriptors)
EVERYWHERE(wrong_kind)
EVERYWHERE(arguments)
EVERYWHERE(leased_file)
EVERYWHERE(closed_peers)
EVERYWHERE(vanishing_peers)
EVERYWHERE(connections)
EVERYWHERE(cancelled)

static void test_bad_addresses(void **state) {
    (void)state;
    on_both_drivers(1, bad_addresses, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_descriptors),      cmocka_unit_test(test_wrong_kind),
        cmocka_unit_test(test_arguments),            cmocka_unit_test(test_leased_file),
        cmocka_unit_test(test_outside_a_task),       cmocka_unit_test(test_closed_peers),
        cmocka_unit_test(test_vanishing_peers),      cmocka_unit_test(test_connections),
        cmocka_unit_test(test_no_signal_afterwards), cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_bad_addresses),        cmocka_unit_test(test_port_taken),
        cmocka_unit_test(test_port_taken_by_a_process),
    };
    return run_group(tests);
}
