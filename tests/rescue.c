/* One task computes for long, or blocks in a system call; what the others do must go on: the watchman of
 * runtime/watchman.h from end to end. Each case has two workers, and is shown to stall without the rescue.
 *
 * A stall is half a second; a rescue begins after 4 to 8 ms. Latencies are held against a bound in between. */
#define _GNU_SOURCE
#include "structures.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BURST_NS WEFT_MS(500)
#define LATE_NS WEFT_MS(200)

/* ---- getting stuck ---- */

static void compute(int64_t duration_ns) {
    for (int64_t end = weft_time() + duration_ns; weft_time() < end;)
        for (volatile unsigned i = 0; i < 1000; i++) {}
}

static void block(int64_t duration_ns) {
    int64_t end = weft_time() + duration_ns;
    must_equal(poll(NULL, 0, (int)(duration_ns / 1000000)), 0);
    must(weft_time() >= end - WEFT_MS(1)); /* nothing cut it short */
}

/* ---- a scene: one task gets stuck while others live on ---- */

struct scene {
    const char *name;
    void (*get_stuck)(int64_t duration_ns);
    intptr_t (*life)(void *scene); /* returns when `over`; several of them run at once */
    unsigned lives;
    const char *driver;
    /* while it runs */
    _Atomic bool over;
    _Atomic int64_t latest_ns;     /* the longest that anything took */
    weft_stats stats;
};

static void note_latency(struct scene *scene, int64_t began_ns) {
    int64_t took = weft_time() - began_ns, latest = load_relaxed(&scene->latest_ns);
    while (took > latest && !cas_weak_acq_rel(&scene->latest_ns, &latest, took)) {}
}

static intptr_t burst(void *arg) {
    struct scene *scene = arg;
    scene->get_stuck(BURST_NS);
    return 0;
}

static intptr_t scene_main(void *arg) {
    struct scene *scene = arg;
    weft_task *lives[64];
    for (unsigned i = 0; i < scene->lives; i++) lives[i] = weft_spawn(scene->life, scene);
    must_equal(weft_sleep(WEFT_MS(20)), 0);
    must_equal(weft_join(weft_spawn(burst, scene)), 0);
    must_equal(weft_sleep(WEFT_MS(5)), 0);
    store_release(&scene->over, true);
    for (unsigned i = 0; i < scene->lives; i++) must_equal(weft_join(lives[i]), 0);
    weft_stats_get(&scene->stats);
    return 0;
}

static void play(struct scene scene) {
    weft_options options = {.workers = 2, .driver = scene.driver};
    assert_int_equal(weft_run_fn_with(options, scene_main, &scene), 0);
    print_message("%-36s latest %6.1f ms, %lu rescues\n", scene.name, (double)scene.latest_ns / 1e6,
                  (unsigned long)scene.stats.rescues);
    assert_true(scene.latest_ns < LATE_NS);
    assert_true(scene.stats.rescues > 0);
}

/* ---- lives ---- */

static intptr_t sleep_often(void *arg) {
    struct scene *scene = arg;
    while (!load_acquire(&scene->over)) {
        int64_t began = weft_time();
        must_equal(weft_sleep(WEFT_MS(10)), 0);
        note_latency(scene, began);
    }
    return 0;
}

static intptr_t wait_with_timeouts(void *arg) {
    struct scene *scene = arg;
    while (!load_acquire(&scene->over)) {
        int64_t began = weft_time();
        weft_future *never = weft_future_new();
        must_equal(weft_wait_for(never, WEFT_MS(10)), -ETIMEDOUT);
        note_latency(scene, began);
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
    int fds[2];
    char text[64] = "hello";
    must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    weft_task *peer = weft_spawn(echo_once, (void *)(intptr_t)fds[1]);
    while (!load_acquire(&scene->over)) {
        int64_t began = weft_time();
        must_equal(weft_send(fds[0], text, sizeof text, 0), sizeof text);
        must_equal(weft_recv(fds[0], text, sizeof text, 0), sizeof text);
        note_latency(scene, began);
        must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    must_equal(weft_close(fds[0]), 0);
    return weft_join(peer);
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
    weft_task *peer = weft_spawn(return_ball, &ball);
    while (!load_acquire(&ball.scene->over)) {
        int64_t began = weft_time();
        weft_event_set(&ball.there);
        must_equal(weft_event_wait(&ball.here), 0);
        weft_event_clear(&ball.here);
        note_latency(ball.scene, began);
        must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    weft_event_set(&ball.there);
    return weft_join(peer);
}

static intptr_t spawn_often(void *arg) {
    struct scene *scene = arg;
    while (!load_acquire(&scene->over)) {
        int64_t began = weft_time();
        must_equal(weft_join(weft_spawn((weft_fn *)(uintptr_t)weft_yield, NULL)), 0);
        note_latency(scene, began);
        must_equal(weft_sleep(WEFT_MS(1)), 0);
    }
    return 0;
}

static void play_all(const char *how, void (*get_stuck)(int64_t duration_ns), const char *driver, bool with_sockets) {
    print_message("%s%s\n", how, driver ? driver : "");
    play((struct scene){"  sleeping", get_stuck, sleep_often, 16, .driver = driver});
    play((struct scene){"  one who sleeps", get_stuck, sleep_often, 1, .driver = driver});
    play((struct scene){"  waiting with a timeout", get_stuck, wait_with_timeouts, 16, .driver = driver});
    play((struct scene){"  waking each other", get_stuck, play_ball, 8, .driver = driver});
    play((struct scene){"  spawning and joining", get_stuck, spawn_often, 8, .driver = driver});
    if (with_sockets) play((struct scene){"  talking over sockets", get_stuck, talk, 16, .driver = driver});
}

/* TSan defers signals while a thread computes, so there nobody fetches the completions that the kernel holds back. */
#ifdef WEFT__TSAN
#define SIGNALS_ARRIVE false
#else
#define SIGNALS_ARRIVE true
#endif

static void test_computing(void **state) {
    (void)state;
    play_all("computing", compute, NULL, SIGNALS_ARRIVE);
    play_all("computing, ", compute, "epoll", false);
}

static void test_blocked(void **state) {
    (void)state;
    play_all("blocked", block, NULL, false); /* its completions wait */
}

/* ---- one task alone: the only busy worker makes it, or wakes it, and gets stuck ---- */

struct loner {
    struct scene scene;
    int64_t began_ns;
    bool woken; /* not spawned */
    weft_event event;
    weft_stats during;
};

static intptr_t lone_waiter(void *arg) {
    struct loner *loner = arg;
    must_equal(weft_event_wait(&loner->event), 0);
    note_latency(&loner->scene, loner->began_ns);
    return 0;
}

static intptr_t lone_spawned(void *arg) {
    struct loner *loner = arg;
    note_latency(&loner->scene, loner->began_ns);
    weft_stats_get(&loner->during);
    return 0;
}

static intptr_t lone_main(void *arg) {
    struct loner *loner = arg;
    weft_task *task = loner->woken ? weft_spawn(lone_waiter, loner) : NULL;
    must_equal(weft_sleep(WEFT_MS(30)), 0); /* the other worker has gone to sleep, and so has the watchman */
    loner->began_ns = weft_time();
    if (loner->woken) weft_event_set(&loner->event);
    else task = weft_spawn(lone_spawned, loner);
    loner->scene.get_stuck(BURST_NS);
    return weft_join(task);
}

static struct loner play_lone(void (*get_stuck)(int64_t duration_ns), bool woken, bool no_rescue) {
    struct loner loner = {.scene.get_stuck = get_stuck, .woken = woken, .event = WEFT_EVENT_INIT};
    weft_options options = {.workers = 2, .no_rescue = no_rescue};
    assert_int_equal(weft_run_fn_with(options, lone_main, &loner), 0);
    print_message("  lone task, latest %6.1f ms\n", (double)loner.scene.latest_ns / 1e6);
    return loner;
}

static void test_lone_task(void **state) {
    (void)state;
    assert_true(play_lone(compute, false, false).scene.latest_ns < LATE_NS);
    assert_true(play_lone(compute, true, false).scene.latest_ns < LATE_NS);
    assert_true(play_lone(block, true, false).scene.latest_ns < LATE_NS);
    struct loner blocked = play_lone(block, false, false);
    assert_true(blocked.scene.latest_ns < LATE_NS);
    assert_true(blocked.during.rescues >= 1);
}

static void test_without_rescue_it_stalls(void **state) {
    (void)state;
    assert_true(play_lone(compute, false, true).scene.latest_ns > LATE_NS);
    assert_true(play_lone(block, true, true).scene.latest_ns > LATE_NS);
}

/* ---- from a plain thread ---- */

struct submitter {
    struct scene *scene;
    weft_loop *loop;
};

static void *submit_often(void *arg) {
    struct submitter *self = arg;
    while (!load_acquire(&self->scene->over)) {
        int64_t began = weft_time();
        weft_future *task = weft_run_coroutine_threadsafe(weft_coroutine((weft_fn *)(uintptr_t)weft_yield, NULL), self->loop);
        must_equal(weft_await(task), 0);
        weft_release(task);
        note_latency(self->scene, began);
        poll(NULL, 0, 1);
    }
    return NULL;
}

static intptr_t submitted_main(void *arg) {
    struct submitter self = {arg, weft_get_running_loop()};
    pthread_t thread;
    must_equal(pthread_create(&thread, NULL, submit_often, &self), 0);
    must_equal(scene_main(arg), 0);
    return pthread_join(thread, NULL);
}

static void test_submitted_from_a_thread(void **state) {
    (void)state;
    struct scene scene = {.name = "submitted", .get_stuck = compute};
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, submitted_main, &scene), 0);
    assert_true(scene.latest_ns < LATE_NS);
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
    poll(NULL, 0, 100); /* until everybody sleeps */
    unsigned long before = context_switches();
    poll(NULL, 0, 300); /* this is one of them */
    self->switches = context_switches() - before;
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
#ifndef WEFT__TSAN /* which has a thread of its own that wakes up */
    assert_int_equal(observer.switches, 1);
#endif
}

/* ---- nothing is lost, nothing done twice ---- */

struct storm {
    _Atomic bool over;
    _Atomic uint64_t rounds, cancelled;
};

/* Receives, with a timeout at about the time at which the data comes. */
static intptr_t receive_in_storm(void *arg) {
    struct storm *storm = arg;
    int fds[2];
    uint64_t random = (uintptr_t)&fds;
    must_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    uint64_t sent = 0, received = 0, word;
    while (!load_acquire(&storm->over)) {
        weft_timeout timeout;
        sent++;
        must_equal(write(fds[0], &sent, sizeof sent), sizeof sent);
        while (received < sent) {
            must_equal(weft_timeout_enter(&timeout, WEFT_US((int64_t)(chance(&random) >> 20) % 3000)), 0);
            intptr_t result = weft_timeout_exit(&timeout, weft_recv(fds[1], &word, sizeof word, 0));
            if (result == -ETIMEDOUT) {
                fetch_add_relaxed(&storm->cancelled, 1);
                continue;
            }
            must_equal(result, sizeof word);
            must_equal(word, ++received);
        }
        must_equal(weft_timeout_enter(&timeout, WEFT_US((int64_t)(chance(&random) >> 20) % 3000)), 0);
        must_equal(weft_timeout_exit(&timeout, weft_recv(fds[1], &word, sizeof word, 0)), -ETIMEDOUT);
        fetch_add_relaxed(&storm->rounds, 1);
    }
    must_equal(weft_close(fds[0]), 0);
    return weft_close(fds[1]);
}

static intptr_t burst_in_storm(void *arg) {
    (void)arg;
    compute(WEFT_MS(6));
    return 0;
}

static intptr_t storm_main(void *arg) {
    struct storm storm = {.over = false};
    weft_task *receivers[32];
    weft_stats stats;
    for (unsigned i = 0; i < 32; i++) receivers[i] = weft_spawn(receive_in_storm, &storm);
    for (intptr_t i = 0; i < (intptr_t)arg; i++) must_equal(weft_join(weft_spawn(burst_in_storm, NULL)), 0);
    store_release(&storm.over, true);
    for (unsigned i = 0; i < 32; i++) must_equal(weft_join(receivers[i]), 0);
    weft_stats_get(&stats);
    print_message("%lu rounds, %lu timeouts, %lu rescues\n", (unsigned long)storm.rounds,
                  (unsigned long)storm.cancelled, (unsigned long)stats.rescues);
    must(storm.rounds > 0);
    return 0;
}

static void test_storm(void **state) {
    (void)state;
    intptr_t bursts = ROUNDS(1000);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, storm_main, (void *)bursts), 0);
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 3}, storm_main, (void *)(bursts / 4)), 0);
}

/* ---- ends ---- */

static intptr_t get_stuck_and_leave(void *arg) {
    (void)arg;
    compute(WEFT_MS(30));
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
        assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, (weft_fn *)(uintptr_t)weft_yield, NULL), 0);
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
#ifndef WEFT__TSAN /* it does not support threads in the child of a process with threads */
    assert_int_equal(weft_run_fn_with((weft_options){.workers = 2}, fork_while_stuck, NULL), 0);
#endif
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
        cmocka_unit_test(test_computing),
        cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_lone_task),
        cmocka_unit_test(test_without_rescue_it_stalls),
        cmocka_unit_test(test_submitted_from_a_thread),
        cmocka_unit_test(test_idle_process_sleeps),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_shutdown_while_stuck),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_handler_of_the_program),
    };
    return run_group(tests);
}
