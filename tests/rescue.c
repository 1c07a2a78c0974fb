/* One task computes for long, or blocks in a system call; what the others do must go on: the watchman of
 * runtime/watchman.h from end to end.
 *
 * Nothing here is held against a clock: the task stays stuck until everybody else has made some rounds. Whoever
 * waits for the stuck worker therefore waits for ever, and the stuck task loses its patience: without the rescue
 * they do. */
#define _GNU_SOURCE
#include "structures.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifdef WEFT_FORCE_MIGRATION /* half of what wakes up is sent to the stuck worker, as if it were pinned there */
#define WAKES_ARE_FORCED true
#else
#define WAKES_ARE_FORCED false
#endif

#define PATIENCE_NS WEFT_SEC(30)
#define ROUNDS_EACH 5

/* ---- getting stuck ---- */

/* A task that is stuck until `freed`. */
struct trap {
    void (*get_stuck)(struct trap *trap);
    int64_t patience_ns;
    int doorbell;                  /* readable once freed */
    _Atomic bool stuck, freed;
    bool cut_short;                /* a signal has ended the system call */
};

static void trap_open(struct trap *trap) { must((trap->doorbell = eventfd(0, EFD_CLOEXEC)) >= 0); }

static void trap_free(struct trap *trap) {
    store_release(&trap->freed, true);
    must_equal(eventfd_write(trap->doorbell, 1), 0);
}

static void compute(struct trap *trap) {
    for (int64_t end = weft_time() + trap->patience_ns; weft_time() < end && !load_acquire(&trap->freed);)
        for (volatile unsigned i = 0; i < 1000; i++) {}
}

static void block(struct trap *trap) {
    struct pollfd bell = {.fd = trap->doorbell, .events = POLLIN};
    trap->cut_short = poll(&bell, 1, (int)(trap->patience_ns / 1000000)) < 0;
}

/* Whether it was freed. */
static bool enter_trap(struct trap *trap) {
    store_release(&trap->stuck, true);
    trap->get_stuck(trap);
    must(!trap->cut_short);
    return load_acquire(&trap->freed);
}

static intptr_t connect_often(void *arg);
static intptr_t serve(void *arg);

/* ---- a scene: one task is stuck while others live on ---- */

struct scene {
    const char *name;
    void (*get_stuck)(struct trap *trap);
    intptr_t (*life)(void *scene); /* goes round until `over`; several of them do */
    unsigned lives;
    const char *driver;
    /* while it runs */
    struct trap trap;
    _Atomic bool over;
    _Atomic int port;              /* of `serve`, if it runs */
    _Atomic unsigned alive;        /* lives that have made their rounds while the task was stuck */
    weft_stats stats;
};

/* One round of a life: how many it has made while somebody was stuck. */
static void go_round(struct scene *scene, unsigned *rounds) {
    if (!load_acquire(&scene->trap.stuck) || ++*rounds != ROUNDS_EACH) return;
    if (fetch_add_relaxed(&scene->alive, 1) + 1 == scene->lives) trap_free(&scene->trap);
}

static intptr_t be_stuck(void *arg) { return enter_trap(arg); }

static intptr_t scene_main(void *arg) {
    struct scene *scene = arg;
    weft_task *lives[64], *server = scene->life == connect_often ? weft_spawn(serve, scene) : NULL;
    while (server && load_acquire(&scene->port) == 0) must_equal(weft_sleep(WEFT_MS(1)), 0);
    for (unsigned i = 0; i < scene->lives; i++) lives[i] = weft_spawn(scene->life, scene);
    must_equal(weft_sleep(WEFT_MS(20)), 0);
    must_equal(weft_join(weft_spawn(be_stuck, &scene->trap)), true);
    weft_stats_get(&scene->stats);
    store_release(&scene->over, true);
    for (unsigned i = 0; i < scene->lives; i++) must_equal(weft_join(lives[i]), 0);
    weft_cancel(server);
    if (server) must_equal(weft_join(server), -ECANCELED);
    return 0;
}

static void play(struct scene scene) {
    weft_options options = {.workers = 2, .driver = scene.driver};
    scene.trap.get_stuck = scene.get_stuck;
    scene.trap.patience_ns = PATIENCE_NS;
    trap_open(&scene.trap);
    int64_t began = weft_time();
    assert_int_equal(weft_run_fn_with(options, scene_main, &scene), 0);
    close(scene.trap.doorbell);
    print_message("%-36s %6.1f ms, %lu rescues\n", scene.name, (double)(weft_time() - began) / 1e6,
                  (unsigned long)scene.stats.rescues);
}

/* ---- lives ---- */

static intptr_t sleep_often(void *arg) {
    struct scene *scene = arg;
    unsigned rounds = 0;
    while (!load_acquire(&scene->over)) {
        must_equal(weft_sleep(WEFT_MS(2)), 0);
        go_round(scene, &rounds);
    }
    return 0;
}

static intptr_t wait_with_timeouts(void *arg) {
    struct scene *scene = arg;
    unsigned rounds = 0;
    while (!load_acquire(&scene->over)) {
        weft_future *never = weft_future_new();
        must_equal(weft_wait_for(never, WEFT_MS(2)), -ETIMEDOUT);
        go_round(scene, &rounds);
        weft_release(never);
    }
    return 0;
}

static intptr_t echo_once(void *arg) {
    int fd = (int)(intptr_t)arg;
    char text[64];
    for (ssize_t count; (count = weft_recv(fd, text, sizeof text, 0)) > 0;)
        must_equal(weft_send(fd, text, (size_t)count, 0), count);
    return weft_close(fd);
}

static intptr_t talk(void *arg) {
    struct scene *scene = arg;
    unsigned rounds = 0;
    int fds[2];
    char text[64] = "hello";
    must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    weft_task *peer = weft_spawn(echo_once, (void *)(intptr_t)fds[1]);
    while (!load_acquire(&scene->over)) {
        must_equal(weft_send(fds[0], text, sizeof text, 0), sizeof text);
        must_equal(weft_recv(fds[0], text, sizeof text, 0), sizeof text);
        go_round(scene, &rounds);
        must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    must_equal(weft_close(fds[0]), 0);
    return weft_join(peer);
}

/* Each round is a new connection, which the kernel gives to the listener of either worker. */
static intptr_t connect_often(void *arg) {
    struct scene *scene = arg;
    unsigned rounds = 0;
    char text[8] = "hello";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)load_acquire(&scene->port))};
    while (!load_acquire(&scene->over)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must_equal(weft_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        must_equal(weft_send(fd, text, sizeof text, 0), sizeof text);
        must_equal(weft_recv(fd, text, sizeof text, 0), sizeof text);
        must_equal(weft_close(fd), 0);
        go_round(scene, &rounds);
        must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    return 0;
}

static void note_port(void *arg, int port) { store_release(&((struct scene *)arg)->port, port); }

static intptr_t serve(void *arg) {
    weft_serve_options options = {.ready = note_port, .ready_arg = arg};
    return weft_serve_tcp("127.0.0.1:0", echo_once, &options);
}

/* Two who wake each other. */
struct ball {
    weft_event here, there;
    struct scene *scene;
};

static intptr_t return_ball(void *arg) {
    struct ball *ball = arg;
    while (!load_acquire(&ball->scene->over)) {
        must_equal(weft_event_wait(&ball->there), 0);
        weft_event_clear(&ball->there);
        weft_event_set(&ball->here);
    }
    return 0;
}

static intptr_t play_ball(void *arg) {
    struct ball ball = {.here = WEFT_EVENT_INIT, .there = WEFT_EVENT_INIT, .scene = arg};
    unsigned rounds = 0;
    weft_task *peer = weft_spawn(return_ball, &ball);
    while (!load_acquire(&ball.scene->over)) {
        weft_event_set(&ball.there);
        must_equal(weft_event_wait(&ball.here), 0);
        weft_event_clear(&ball.here);
        go_round(ball.scene, &rounds);
        must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    weft_event_set(&ball.there);
    return weft_join(peer);
}

static intptr_t spawn_often(void *arg) {
    struct scene *scene = arg;
    unsigned rounds = 0;
    while (!load_acquire(&scene->over)) {
        must_equal(weft_join(weft_spawn((weft_fn *)(uintptr_t)weft_yield, NULL)), 0);
        go_round(scene, &rounds);
        must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    return 0;
}

static void play_all(const char *how, void (*get_stuck)(struct trap *trap), const char *driver,
                     bool with_sockets) {
    print_message("%s%s\n", how, driver ? driver : "");
    play((struct scene){"  sleeping", get_stuck, sleep_often, 16, .driver = driver});
    play((struct scene){"  one who sleeps", get_stuck, sleep_often, 1, .driver = driver});
    play((struct scene){"  waiting with a timeout", get_stuck, wait_with_timeouts, 16, .driver = driver});
    play((struct scene){"  waking each other", get_stuck, play_ball, 8, .driver = driver});
    play((struct scene){"  spawning and joining", get_stuck, spawn_often, 8, .driver = driver});
    if (with_sockets) play((struct scene){"  talking over sockets", get_stuck, talk, 16, .driver = driver});
    if (with_sockets) play((struct scene){"  connecting", get_stuck, connect_often, 16, .driver = driver});
}

static void test_computing(void **state) {
    (void)state;
    play_all("computing", compute, NULL, !TSAN); /* TSan defers signals while a thread computes: nobody fetches */
    play_all("computing, ", compute, "epoll", false);
}

static void test_blocked(void **state) {
    (void)state;
    play_all("blocked", block, NULL, false); /* its completions wait */
}

/* ---- one task alone: the only busy worker makes it, or wakes it, and gets stuck ---- */

struct loner {
    struct trap trap;
    bool woken;        /* not spawned */
    weft_event event;
    int64_t until_ns;
};

static intptr_t lone_task(void *arg) {
    struct loner *loner = arg;
    bool blocked = loner->trap.get_stuck == block;
    if (loner->woken) must_equal(weft_event_wait(&loner->event), 0);
    weft_stats stats;
    do weft_stats_get(&stats);
    while ((stats.stuck_workers == 0 || (blocked && stats.blocked_workers == 0)) &&
           weft_time() < loner->until_ns);
    trap_free(&loner->trap);
    return 0;
}

static intptr_t lone_main(void *arg) {
    struct loner *loner = arg;
    weft_task *task = loner->woken ? weft_spawn(lone_task, loner) : NULL;
    loner->until_ns = weft_time() + loner->trap.patience_ns;
    must_equal(weft_sleep(WEFT_MS(30)), 0); /* meanwhile the other worker and the watchman have gone to sleep */
    if (loner->woken) weft_event_set(&loner->event);
    else task = weft_spawn(lone_task, loner);
    bool freed = enter_trap(&loner->trap);
    must_equal(weft_join(task), 0);
    return freed;
}

/* Whether the lone task ran, and the statistics told of it, while the other one was stuck. */
static bool play_lone(struct loner loner, weft_options options) {
    loner.event = (weft_event)WEFT_EVENT_INIT;
    options.workers = 2;
    trap_open(&loner.trap);
    intptr_t freed = weft_run_fn_with(options, lone_main, &loner);
    close(loner.trap.doorbell);
    return freed;
}

static void test_lone_task(void **state) {
    (void)state;
    for (unsigned round = 0; round < ROUNDS(20); round++)
        for (unsigned woken = 0; woken < 2; woken++) {
            assert_true(play_lone((struct loner){{compute, PATIENCE_NS, .freed = false}, .woken = woken},
                                  (weft_options){0}));
            assert_true(play_lone((struct loner){{block, PATIENCE_NS, .freed = false}, .woken = woken},
                                  (weft_options){0}));
        }
}

/* The canary. */
static void test_without_rescue_it_waits(void **state) {
    (void)state;
    weft_options options = {.no_rescue = true};
    assert_false(play_lone((struct loner){{compute, WEFT_MS(300), .freed = false}, .woken = false}, options));
    assert_false(play_lone((struct loner){{block, WEFT_MS(300), .freed = false}, .woken = true}, options));
}

/* ---- from a plain thread ---- */

struct submitter {
    struct trap trap;
    weft_loop *loop;
};

static void *submit_some(void *arg) {
    struct submitter *self = arg;
    for (unsigned i = 0; !load_acquire(&self->trap.stuck); i++) wait_a_little(i);
    for (unsigned i = 0; i < 100; i++) {
        weft_future *task =
            weft_run_coroutine_threadsafe(weft_coroutine((weft_fn *)(uintptr_t)weft_yield, NULL), self->loop);
        must_equal(weft_await(task), 0);
        weft_release(task);
    }
    trap_free(&self->trap);
    return NULL;
}

static intptr_t submitted_main(void *arg) {
    struct submitter *self = arg;
    pthread_t thread;
    self->loop = weft_get_running_loop();
    must_equal(pthread_create(&thread, NULL, submit_some, self), 0);
    must(enter_trap(&self->trap));
    return pthread_join(thread, NULL);
}

static void test_submitted_from_a_thread(void **state) {
    (void)state;
    struct submitter self = {.trap = {compute, PATIENCE_NS, .freed = false}};
    trap_open(&self.trap);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, submitted_main, &self), 0);
    close(self.trap.doorbell);
}

/* ---- who sleeps is left alone ---- */

static unsigned long context_switches(void) {
    unsigned long sum = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[300], line[128];
        unsigned long count;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1) sum += count;
        if (file) fclose(file);
    }
    closedir(directory);
    return sum;
}

struct observer {
    weft_future *done;
    unsigned long switches;
};

static void *observe(void *arg) {
    struct observer *self = arg;
    for (unsigned i = 0; i < 100 && self->switches != 1; i++) { /* until everybody sleeps */
        unsigned long before = context_switches();
        poll(NULL, 0, 300); /* this is one of them */
        self->switches = context_switches() - before;
    }
    must_equal(weft_future_set_result(self->done, 1), 0);
    return NULL;
}

static intptr_t idle_main(void *arg) {
    struct observer *self = arg;
    pthread_t thread;
    self->done = weft_future_new();
    must_equal(pthread_create(&thread, NULL, observe, self), 0);
    must_equal(weft_join(self->done), 1);
    return pthread_join(thread, NULL);
}

static void test_idle_process_sleeps(void **state) {
    (void)state;
    struct observer observer = {0};
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, idle_main, &observer), 0);
    assert_int_equal(observer.switches, 1);
}

/* ---- nothing is lost, nothing done twice ---- */

#define RECEIVERS 32

struct storm {
    struct receiver {
        struct storm *storm;
        int fds[2];
        uint64_t sent;             /* the writer's */
        uint64_t received, timeouts;
    } receivers[RECEIVERS];
    _Atomic bool over, all_sent;
};

/* A plain thread that writes numbers, to one receiver and the other. */
static void *write_in_storm(void *arg) {
    struct storm *storm = arg;
    uint64_t random = 47;
    while (!load_acquire(&storm->over)) {
        struct receiver *receiver = &storm->receivers[(chance(&random) >> 20) % RECEIVERS];
        receiver->sent++;
        must_equal(write(receiver->fds[0], &receiver->sent, sizeof receiver->sent), sizeof receiver->sent);
        for (uint64_t spins = (chance(&random) >> 20) % 2000; spins > 0; spins--) weft__world_relax(0);
    }
    store_release(&storm->all_sent, true);
    return NULL;
}

/* Receives them, with timeouts that come at about the same time. */
static intptr_t receive_in_storm(void *arg) {
    struct receiver *self = arg;
    uint64_t random = (uintptr_t)self, word;
    for (bool all_sent = false; !all_sent || self->received < self->sent;) {
        all_sent = load_acquire(&self->storm->all_sent);
        weft_timeout timeout;
        must_equal(weft_timeout_enter(&timeout, WEFT_US((int64_t)(chance(&random) >> 20) % 2000)), 0);
        intptr_t result = weft_timeout_exit(&timeout, weft_recv(self->fds[1], &word, sizeof word, 0));
        self->timeouts += result == -ETIMEDOUT;
        if (result == -ETIMEDOUT) continue;
        must_equal(result, sizeof word);
        must_equal(word, ++self->received);
    }
    must_equal(weft_close(self->fds[0]), 0);
    return weft_close(self->fds[1]);
}

/* Until the rescue has begun, and a little longer: so it ends while others complete what is ours. */
static intptr_t burst_in_storm(void *arg) {
    int64_t limit_ns = weft_time() + WEFT_MS(100);
    weft_stats before, stats;
    weft_stats_get(&before);
    do weft_stats_get(&stats);
    while (stats.rescues == before.rescues && weft_time() < limit_ns);
    compute(&(struct trap){.patience_ns = WEFT_US((int64_t)(chance(arg) >> 20) % 3000)});
    return 0;
}

static intptr_t storm_main(void *arg) {
    struct storm storm = {.over = false};
    weft_task *tasks[RECEIVERS];
    uint64_t received = 0, timeouts = 0, random = 53;
    pthread_t writer;
    for (unsigned i = 0; i < RECEIVERS; i++) {
        storm.receivers[i].storm = &storm;
        must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, storm.receivers[i].fds), 0);
        tasks[i] = weft_spawn(receive_in_storm, &storm.receivers[i]);
    }
    must_equal(pthread_create(&writer, NULL, write_in_storm, &storm), 0);
    for (intptr_t i = 0; i < (intptr_t)arg; i++) {
        must_equal(weft_sleep(WEFT_US(100)), 0);
        must_equal(weft_join(weft_spawn(burst_in_storm, &random)), 0);
    }
    store_release(&storm.over, true);
    for (unsigned i = 0; i < RECEIVERS; i++) {
        must_equal(weft_join(tasks[i]), 0);
        received += storm.receivers[i].received;
        timeouts += storm.receivers[i].timeouts;
    }
    pthread_join(writer, NULL);
    weft_stats stats;
    weft_stats_get(&stats);
    print_message("%lu words, %lu timeouts, %lu rescues, %lu completions\n", (unsigned long)received,
                  (unsigned long)timeouts, (unsigned long)stats.rescues, (unsigned long)stats.completions);
    must(received > 0);
    return 0;
}

static void test_storm(void **state) {
    (void)state;
    intptr_t bursts = ROUNDS(500);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, storm_main, (void *)bursts), 0);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 3}, storm_main, (void *)(bursts / 4)), 0);
}

/* ---- ends ---- */

static intptr_t get_stuck_and_leave(void *arg) {
    (void)arg;
    compute(&(struct trap){.patience_ns = WEFT_MS(30)});
    return 0;
}

static intptr_t leave_others_stuck(void *arg) {
    (void)arg;
    weft_release(weft_spawn(get_stuck_and_leave, NULL));
    return weft_sleep(WEFT_MS(12));
}

static void test_shutdown_while_stuck(void **state) {
    (void)state;
    for (unsigned i = 0; i < ROUNDS(20); i++)
        assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, leave_others_stuck, NULL), 0);
    for (unsigned i = 0; i < ROUNDS(500); i++) /* the watchman hardly begins */
        assert_int_equal(run_on(2, (weft_fn *)(uintptr_t)weft_yield, NULL), 0);
}

static intptr_t fork_while_stuck(void *arg) {
    (void)arg;
    weft_task *stuck = weft_spawn(get_stuck_and_leave, NULL);
    must_equal(weft_sleep(WEFT_MS(8)), 0);
    int status = -1;
    pid_t child = fork();
    if (child == 0) _exit(weft_run_fn_with((weft_options){.workers = 2}, leave_others_stuck, NULL) != 0);
    must(child > 0 && waitpid(child, &status, 0) == child);
    must_equal(status, 0);
    return weft_join(stuck);
}

static void test_fork(void **state) {
    (void)state;
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, fork_while_stuck, NULL), 0);
}

/* ---- somebody else's SIGURG ---- */

static _Atomic unsigned urges;
static void count_urge(int number) {
    (void)number;
    fetch_add_relaxed(&urges, 1);
}

static void test_handler_of_the_program(void **state) {
    (void)state;
    struct sigaction ours = {.sa_handler = count_urge}, before, after;
    assert_int_equal(sigaction(SIGURG, &ours, &before), 0);
    play((struct scene){"with a handler of the program's", compute, sleep_often, 16, .driver = NULL});
    assert_int_equal(sigaction(SIGURG, &before, &after), 0);
    assert_true(after.sa_handler == count_urge);
    assert_int_equal(load_relaxed(&urges), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test_unless(WAKES_ARE_FORCED, test_computing),
        test_unless(WAKES_ARE_FORCED, test_blocked),
        test_unless(WAKES_ARE_FORCED, test_lone_task),
        test_unless(WAKES_ARE_FORCED, test_handler_of_the_program),
        test_unless(WAKES_ARE_FORCED, test_without_rescue_it_waits),
        cmocka_unit_test(test_submitted_from_a_thread),
        test_unless(TSAN, test_idle_process_sleeps), /* which has a thread of its own that wakes up */
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_shutdown_while_stuck),
        test_unless(TSAN, test_fork), /* it does not support threads in the child of a process with threads */
    };
    return run_group(tests);
}
