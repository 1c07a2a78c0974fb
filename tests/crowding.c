/* Workers that wait for a CPU (runtime/crowding.h): who is crowded, who submits for them, and that it works. */
#define _GNU_SOURCE
#include "structures.h"

#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <weft/io.h>

#include "runtime/worker.h"

/* ---- who ---- */

enum { WORKERS = 3, LOOK = 20, CROWDED_FROM = LOOK / 4, CROWDED_LOOKS = 3, CALM_LOOKS = 5 }; /* ms: see crowding.c */

struct scene {
    struct weft__runtime runtime;
    struct weft__worker workers[WORKERS];
    int64_t waited_ns[WORKERS];
    int64_t now_ns;
};

/* The next look, before which they have waited for so many milliseconds. */
static void look(struct scene *self, int first, int second, int third) {
    int waits[] = {first, second, third};
    for (unsigned i = 0; i < WORKERS; i++) {
        int fd = self->workers[i].crowding.delays;
        self->waited_ns[i] += WEFT_MS(waits[i]);
        must(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        must(dprintf(fd, "123 %ld 4\n", (long)self->waited_ns[i]) > 0);
    }
    self->now_ns += WEFT_MS(LOOK);
    weft__crowding_look(&self->runtime, self->now_ns);
}

static void crowded_looks(struct scene *self, int first, int second, int third) {
    for (int i = 0; i < CROWDED_LOOKS; i++) look(self, first, second, third);
}

static bool hosted_by(struct scene *self, unsigned first, unsigned second, unsigned third) {
    unsigned hosts[] = {first, second, third}, crowded = 0;
    bool right = true;
    for (unsigned i = 0; i < WORKERS; i++) {
        struct weft__worker *host = &self->workers[hosts[i]];
        if (hosts[i] == i) host = weft__crowding_home(host);
        else crowded++;
        right &= load_relaxed(&self->workers[i].host) == host;
    }
    return right && load_relaxed(&self->runtime.crowd.crowded) == crowded;
}

static void with_scene(void (*play)(struct scene *self)) {
    struct scene *self = aligned_alloc(WEFT__CACHE_LINE, sizeof *self);
    memset(self, 0, sizeof *self);
    self->runtime.workers = self->workers;
    self->runtime.worker_count = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        self->workers[i].runtime = &self->runtime;
        self->workers[i].index = i;
        self->workers[i].crowding.delays = memfd_create("schedstat", MFD_CLOEXEC);
    }
    play(self);
    for (unsigned i = 0; i < WORKERS; i++) close(self->workers[i].crowding.delays);
    free(self);
}

static void begins_and_ends(struct scene *self) {
    crowded_looks(self, 0, CROWDED_FROM - 1, 0);
    assert_true(hosted_by(self, 0, 1, 2));
    for (int i = 1; i < CROWDED_LOOKS; i++) look(self, 0, CROWDED_FROM, 0);
    assert_true(hosted_by(self, 0, 1, 2));
    look(self, 0, CROWDED_FROM, 0);
    assert_true(hosted_by(self, 0, 0, 2));
    for (int i = 1; i < CALM_LOOKS; i++) look(self, 0, 0, 0);
    assert_true(hosted_by(self, 0, 0, 2));
    look(self, 0, LOOK / 8 + 1, 0); /* not calm, so it is counted anew */
    for (int i = 1; i < CALM_LOOKS; i++) look(self, 0, 0, 0);
    assert_true(hosted_by(self, 0, 0, 2));
    look(self, 0, 0, 0);
    assert_true(hosted_by(self, 0, 1, 2));
}

static void test_begins_and_ends(void **state) {
    (void)state;
    with_scene(begins_and_ends);
}

static void one_is_left(struct scene *self) {
    crowded_looks(self, LOOK, CROWDED_FROM + 1, LOOK); /* all alike is no reason */
    assert_true(hosted_by(self, 1, 1, 1));
    crowded_looks(self, 0, CROWDED_FROM, CROWDED_FROM); /* whoever has waited least this time */
    assert_true(hosted_by(self, 0, 0, 0));
    for (int i = 0; i < CALM_LOOKS; i++) look(self, LOOK, LOOK, LOOK);
    assert_true(hosted_by(self, 0, 1, 2));
}

static void test_one_is_left(void **state) {
    (void)state;
    with_scene(one_is_left);
}

static void hosts_take_turns(struct scene *self) {
    crowded_looks(self, LOOK, 0, LOOK);
    assert_true(hosted_by(self, 1, 1, 1));
    for (int i = 0; i < CALM_LOOKS; i++) look(self, LOOK, 0, 0);
    assert_true(hosted_by(self, 1, 1, 2));
}

static void test_hosts_take_turns(void **state) {
    (void)state;
    with_scene(hosts_take_turns);
}

/* Looks in between are none, and a wait that nobody counts is none. */
static void counts(struct scene *self) {
    look(self, 0, 0, 0);
    for (int i = 0; i < CROWDED_LOOKS; i++) {
        assert_true(hosted_by(self, 0, 1, 2));
        self->waited_ns[1] += WEFT_MS(LOOK);
        weft__crowding_look(&self->runtime, self->now_ns + WEFT_MS(LOOK) - 1);
        look(self, 0, 0, 0);
    }
    assert_true(hosted_by(self, 0, 0, 2));
}

static void test_counts_since_the_last_look(void **state) {
    (void)state;
    with_scene(counts);
}

/* ---- what the kernel counts ---- */

static _Atomic bool enough;

static void *burn(void *arg) {
    while (!atomic_load(&enough)) continue;
    return arg;
}

/* Two threads that want one CPU: this one has to wait for it. */
static void test_delay_is_counted(void **state) {
    (void)state;
    cpu_set_t before, one;
    pthread_t other;
    int64_t end = weft_time() + WEFT_SEC(30);
    int delays = weft__world_thread_open_delays(gettid());
    if (delays < 0) return; /* this kernel does not count */
    CPU_ZERO(&one);
    must_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    must_equal(sched_setaffinity(0, sizeof one, &one), 0);
    atomic_store(&enough, false);
    must_equal(pthread_create(&other, NULL, burn, NULL), 0);
    int64_t already = weft__world_thread_delay(delays);
    while (weft__world_thread_delay(delays) < already + WEFT_MS(10)) must(weft_time() < end);
    atomic_store(&enough, true);
    must_equal(pthread_join(other, NULL), 0);
    must_equal(sched_setaffinity(0, sizeof before, &before), 0);
    weft__world_thread_close(delays);
}

/* ---- while operations go to a host ---- */

enum { PAIRS = 16, PATIENCE_S = 30 };

static _Atomic long exchanged;

static intptr_t answer(void *arg) {
    int fd = *(int *)arg;
    unsigned char byte;
    while (weft_recv(fd, &byte, 1, 0) == 1) {
        byte++;
        must_equal(weft_send(fd, &byte, 1, 0), 1);
    }
    return 0;
}

static intptr_t ask(void *arg) {
    int fd = *(int *)arg;
    for (unsigned char byte = 0, got; !atomic_load(&enough); byte++) {
        must_equal(weft_send(fd, &byte, 1, 0), 1);
        must_equal(weft_recv(fd, &got, 1, 0), 1);
        must_equal(got, (unsigned char)(byte + 1));
        atomic_fetch_add(&exchanged, 1);
    }
    must_equal(shutdown(fd, SHUT_RDWR), 0);
    return 0;
}

/* The one has all the operations. There is no watchman who would change that. */
static void give_all_to(struct weft__runtime *runtime, unsigned index) {
    for (unsigned i = 0; i < runtime->worker_count; i++)
        store_relaxed(&runtime->workers[i].host, &runtime->workers[index]);
}

static intptr_t exchange(void *arg) {
    int fds[PAIRS][2];
    weft_task *tasks[2 * PAIRS];
    (void)arg;
    atomic_store(&enough, false);
    for (int i = 0; i < PAIRS; i++) {
        must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]), 0);
        tasks[2 * i] = weft_create_task(weft_coroutine(answer, &fds[i][0]));
        tasks[2 * i + 1] = weft_create_task(weft_coroutine(ask, &fds[i][1]));
    }
    for (unsigned host = 0; host < 20; host++) {
        give_all_to(weft__world_worker()->runtime, host % 2);
        for (long before = exchanged; exchanged < before + 100;) must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    atomic_store(&enough, true);
    for (int i = 0; i < 2 * PAIRS; i++) must_equal(weft_join(tasks[i]), 0);
    for (int i = 0; i < 2 * PAIRS; i++) must_equal(weft_close(fds[i / 2][i % 2]), 0);
    return 0;
}

static void test_goes_on_while_hosted(void **state) {
    (void)state;
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2, .no_rescue = true}, exchange, NULL), 0);
}

/* ---- a host that is stuck ---- */

#ifndef WEFT_FORCE_MIGRATION /* where every wake-up goes to it */

enum { POSTS = 20 };

static _Atomic bool computes, done;

static intptr_t compute(void *arg) {
    int64_t end = weft_time() + WEFT_SEC(PATIENCE_S);
    (void)arg;
    atomic_store(&computes, true);
    while (!atomic_load(&done)) must(weft_time() < end);
    return 0;
}

static intptr_t post_to_stuck(void *arg) {
    int fds[2];
    char byte;
    (void)arg;
    must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    weft_task *task = weft_create_task(weft_coroutine(compute, NULL));
    while (!atomic_load(&computes)) weft_yield();
    for (int i = 0; i < POSTS; i++) {
        struct weft__worker *self = weft__world_worker();
        must_equal(write(fds[0], "x", 1), 1);
        store_relaxed(&self->host, &self->runtime->workers[1 - self->index]);
        must_equal(weft_recv(fds[1], &byte, 1, 0), 1);
    }
    atomic_store(&done, true);
    must_equal(weft_join(task), 0);
    must_equal(weft_close(fds[0]), 0);
    must_equal(weft_close(fds[1]), 0);
    return 0;
}

static void test_stuck_host(void **state) {
    (void)state;
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, post_to_stuck, NULL), 0);
}

static intptr_t read_byte(void *fd) {
    char byte;
    return weft_recv(*(int *)fd, &byte, 1, 0);
}

static weft_task *start_on(struct weft__worker *worker, weft_fn *fn) {
    return weft_create_task_with((weft_task_options){.loop = worker->loop}, weft_coroutine(fn, NULL));
}

/* A descriptor is closed, and its number another one's, before the host gets to the operation. On worker 0. */
static intptr_t close_posted(void *arg) {
    struct weft__worker *self = weft__world_worker(), *host = self + 1;
    int old[2], new[2];
    char byte;
    (void)arg;
    must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, old), 0);
    atomic_store(&computes, false);
    atomic_store(&done, false);
    weft_task *busy = start_on(host, compute);
    while (!atomic_load(&computes)) weft_yield();
    store_relaxed(&self->host, host);
    weft_task *reader = weft_create_task(weft_coroutine(read_byte, &old[0]));
    while (!load_relaxed(&host->posted)) weft_yield();
    must_equal(weft_close(old[0]), 0);
    must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, new), 0);
    must_equal(new[0], old[0]);
    must_equal(write(new[1], "x", 1), 1);
    atomic_store(&done, true);
    must_equal(weft_join(reader), -EBADF);
    must_equal(weft_join(busy), 0);
    must_equal(read(new[0], &byte, 1), 1);
    for (int i = 0; i < 2; i++) must_equal(close(new[i]), 0);
    must_equal(close(old[1]), 0);
    return 0;
}

static intptr_t close_posted_on_first(void *arg) {
    (void)arg;
    return weft_join(start_on(weft__world_worker()->runtime->workers, close_posted));
}

static void test_closed_while_posted(void **state) {
    (void)state;
    weft_options options = {.workers = 2, .no_rescue = true};
    assert_int_equal(weft_run_fn_with(options, close_posted_on_first, NULL), 0);
}
#endif

/* ---- a server's accepts ---- */

enum { CONNECTIONS = 40 };

static void note_port(void *port, int number) { weft_future_set_result(port, number); }

static intptr_t hang_up(void *fd) { return weft_close((int)(intptr_t)fd); }

static intptr_t serve(void *port) {
    weft_serve_options options = {.ready = note_port, .ready_arg = port};
    return weft_serve_tcp("127.0.0.1:0", hang_up, &options);
}

static void connect_once(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must_equal(weft_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    must_equal(weft_recv(fd, &byte, 1, 0), 0);
    must_equal(weft_close(fd), 0);
}

/* Each listener has had connections. */
static intptr_t move_accepts(void *arg) {
    struct weft__runtime *runtime = weft__world_worker()->runtime;
    weft_future *port = weft_future_new();
    weft_task *server = weft_spawn(serve, port);
    int number = (int)weft_join(port);
    (void)arg;
    for (unsigned host = 0; host < 3; host++) {
        give_all_to(runtime, host % 2);
        for (int i = 0; i < CONNECTIONS; i++) connect_once(number);
        int64_t end = weft_time() + WEFT_SEC(PATIENCE_S);
        while (weft__driver_any(runtime->workers[1 - host % 2].driver)) {
            must(weft_time() < end);
            must_equal(weft_sleep(WEFT_MS(1)), 0);
        }
    }
    weft_cancel(server);
    must_equal(weft_join(server), -ECANCELED);
    return 0;
}

static void test_accepts_move(void **state) {
    (void)state;
    weft_options options = {.workers = 2, .no_rescue = true};
    assert_int_equal(weft_run_fn_with(options, move_accepts, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_and_ends),
        cmocka_unit_test(test_one_is_left),
        cmocka_unit_test(test_hosts_take_turns),
        cmocka_unit_test(test_counts_since_the_last_look),
        cmocka_unit_test(test_delay_is_counted),
        cmocka_unit_test(test_goes_on_while_hosted),
        cmocka_unit_test(test_accepts_move),
#ifndef WEFT_FORCE_MIGRATION
        cmocka_unit_test(test_stuck_host),
        cmocka_unit_test(test_closed_while_posted),
#endif
    };
    return run_group(tests);
}
