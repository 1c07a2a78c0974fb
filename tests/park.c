/* The sleeping protocol of runtime/idle.h from end to end: a worker that falls asleep in the very moment in
 * which a thread sends it something must notice. Threads send one thing after the other and wait for each,
 * so that the loops go to sleep in between, hundreds of thousands of times. A lost wake-up is a hang: a
 * watchdog ends it. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "structures.h"

#include <time.h>

#define SENDERS 2
#define PATIENCE_SECONDS 20

/* ---- the watchdog: anything that happens is progress ---- */

static _Atomic uint64_t progress;

static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool stop;
    const char *_Atomic watched;
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};

static void *watch(void *arg) {
    (void)arg;
    uint64_t seen = 0;
    pthread_mutex_lock(&dog.lock);
    for (unsigned quiet = 0; !dog.stop; quiet++) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&dog.over, &dog.lock, &until);
        uint64_t now = load_relaxed(&progress);
        if (now != seen) quiet = 0;
        seen = now;
        if (quiet < PATIENCE_SECONDS) continue;
        fprintf(stderr, "%s: no progress for %d s after %lu rounds: a wake-up was lost\n",
                load_relaxed(&dog.watched), PATIENCE_SECONDS, (unsigned long)now);
        abort();
    }
    pthread_mutex_unlock(&dog.lock);
    return NULL;
}

static int dog_start(void **state) {
    (void)state;
    store_relaxed(&dog.watched, "park");
    return pthread_create(&dog.thread, NULL, watch, NULL);
}

static int dog_stop(void **state) {
    (void)state;
    pthread_mutex_lock(&dog.lock);
    dog.stop = true;
    pthread_cond_signal(&dog.over);
    pthread_mutex_unlock(&dog.lock);
    return pthread_join(dog.thread, NULL);
}

/* ---- where threads run ---- */

/* Puts the calling thread on one CPU of those that the process may use, counted round. Sender and worker
 * that share a CPU hardly ever meet half-way: one runs until the other has gone to sleep. */
static void settle_on_cpu(unsigned n) {
    static cpu_set_t allowed; /* before anybody settled */
    static _Atomic bool known;
    if (!known) sched_getaffinity(0, sizeof allowed, &allowed);
    known = true;
    n %= (unsigned)CPU_COUNT(&allowed);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || n-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/* ---- senders ---- */

enum kind { CALLS, COROUTINES, PINNED, MIXED };

struct scene {
    const char *name;
    weft_options options;
    enum kind kind;
    bool timers;         /* some are pending all the time */
    unsigned senders;
    size_t rounds;       /* of each sender */
    /* set by the scene's main */
    weft_loop *loops[4]; /* one of each worker */
    unsigned loop_count;
    weft_future *all_sent;
    _Atomic unsigned sending;
    weft_stats stats;
};

struct sender {
    struct scene *scene;
    unsigned index;
    pthread_t thread;
    _Atomic size_t done; /* rounds that came to an end: what the sender waits for */
};

static void finish_round(void *arg) {
    struct sender *sender = arg;
    fetch_add_relaxed(&progress, 1);
    store_release(&sender->done, load_relaxed(&sender->done) + 1);
}

static intptr_t finish_round_in_task(void *arg) {
    finish_round(arg);
    return 0;
}

/* A callback that makes a task pinned to its own loop: both lie in queues that nobody may steal from. */
static void spawn_pinned(void *arg) {
    weft_task_options options = {.pinned = true};
    weft_release(weft_create_task_with(options, weft_coroutine(finish_round_in_task, arg)));
}

static void send_call(struct sender *sender, size_t round) {
    struct scene *scene = sender->scene;
    weft_loop *loop = scene->loops[(round + sender->index) % scene->loop_count];
    must_equal(weft_loop_call_soon_threadsafe(loop, finish_round, sender).error, 0);
}

static void send_coroutine(struct sender *sender, size_t round) {
    struct scene *scene = sender->scene;
    weft_loop *loop = scene->loops[round % scene->loop_count];
    weft_future *task = weft_run_coroutine_threadsafe(weft_coroutine(finish_round_in_task, sender), loop);
    if (round % 256 == 0) must_equal(weft_await(task), 0); /* blocks this thread: the other direction */
    weft_release(task);
}

static void send_pinned(struct sender *sender, size_t round) {
    struct scene *scene = sender->scene;
    weft_loop *loop = scene->loops[(round + sender->index) % scene->loop_count];
    must_equal(weft_loop_call_soon_threadsafe(loop, spawn_pinned, sender).error, 0);
}

/* A pause of random length, so that the next thing arrives in every phase of the worker's falling asleep. */
static void pause_a_little(uint64_t *random) {
    uint64_t dice = chance(random) >> 20;
    for (uint64_t spins = dice / 8 % (dice % 8 == 0 ? 2000 : 60); spins > 0; spins--) weft__world_relax(0);
}

static void *send_all(void *arg) {
    static void (*const send[])(struct sender *sender, size_t round) = {send_call, send_coroutine, send_pinned};
    struct sender *sender = arg;
    struct scene *scene = sender->scene;
    uint64_t random = 41 + sender->index;
    if (scene->senders == 1) settle_on_cpu(1);
    for (size_t round = 0; round < scene->rounds; round++) {
        enum kind kind = scene->kind == MIXED ? (enum kind)((chance(&random) >> 20) % MIXED) : scene->kind;
        send[kind](sender, round);
        for (unsigned i = 1; load_acquire(&sender->done) <= round; i++) wait_a_little(i % 1024 ? 0 : 15);
        pause_a_little(&random);
    }
    if (fetch_sub_acq_rel(&scene->sending, 1) == 1) must_equal(weft_future_set_result(scene->all_sent, 1), 0);
    return NULL;
}

/* ---- the runtime's side ---- */

/* Sleeps, again and again: deadlines come and go while the loops park. */
static intptr_t tick(void *arg) {
    int64_t period_ns = WEFT_US(50) * (int64_t)(intptr_t)arg;
    for (;;) {
        int error = weft_sleep(period_ns);
        if (error) return error;
    }
}

static intptr_t never(void *arg) {
    (void)arg;
    return weft_sleep(WEFT_SEC(100000));
}

/* Keeps its worker busy until it has met somebody on every worker: so each of them tells its loop. */
struct roll_call {
    struct scene *scene;
    _Atomic unsigned present;
};

static intptr_t answer(void *arg) {
    struct roll_call *call = arg;
    unsigned place = fetch_add_relaxed(&call->present, 1);
    call->scene->loops[place] = weft_get_running_loop();
    for (unsigned i = 0; load_relaxed(&call->present) < call->scene->loop_count; i++) sched_yield();
    return 0;
}

static void find_loops(struct scene *scene) {
    struct roll_call call = {.scene = scene};
    weft_task *tasks[4];
    weft_stats_get(&scene->stats);
    scene->loop_count = scene->stats.workers;
    must(scene->loop_count <= 4);
    for (unsigned i = 0; i < scene->loop_count; i++) tasks[i] = weft_spawn(answer, &call);
    for (unsigned i = 0; i < scene->loop_count; i++) must_equal(weft_join(tasks[i]), 0);
}

static intptr_t scene_main(void *arg) {
    struct scene *scene = arg;
    struct sender senders[SENDERS] = {0};
    find_loops(scene);
    for (intptr_t i = 1; scene->timers && i <= 8; i++) {
        weft_release(weft_spawn(tick, (void *)i));
        weft_release(weft_spawn(never, NULL));
    }
    scene->all_sent = weft_future_new();
    scene->sending = scene->senders;
    for (unsigned i = 0; i < scene->senders; i++) {
        senders[i].scene = scene;
        senders[i].index = i;
        must_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    must_equal(weft_join(scene->all_sent), 1);
    weft_stats_get(&scene->stats);
    must_equal(weft_sleep(WEFT_MS(2)), 0); /* with nobody to wake the loop but the deadline */
    fetch_add_relaxed(&progress, 1);
    for (unsigned i = 0; i < scene->senders; i++) {
        pthread_join(senders[i].thread, NULL);
        must_equal(load_relaxed(&senders[i].done), scene->rounds);
    }
    return 42;
}

static void play(struct scene scene) {
    int64_t began = weft_time();
    store_relaxed(&dog.watched, scene.name);
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    if (scene.senders == 1) settle_on_cpu(0); /* the other workers' threads inherit it */
    assert_int_equal(weft_run_fn_with(scene.options, scene_main, &scene), 42);
    sched_setaffinity(0, sizeof before, &before);
    double rounds = (double)(scene.rounds * scene.senders);
    print_message("%-28s %7.0f rounds, %5.2f us each, %lu parks, %lu enters\n", scene.name, rounds,
                  (double)(weft_time() - began) / 1000 / rounds, (unsigned long)scene.stats.parks,
                  (unsigned long)scene.stats.enters);
    if (scene.options.spin_ns >= 0) return;
    assert_true(scene.stats.parks > scene.rounds / 20); /* otherwise nothing was tried */
    /* a worker that neither sleeps nor works enters the kernel all the time: awake, but for nothing */
    assert_true(scene.stats.enters < 4 * (scene.stats.parks + scene.rounds * scene.senders));
}

/* ---- work for all, and work for one, in the same moment ---- */

/* A coroutine that any worker may run wakes one of them; before that one looks, it gets a callback, which
 * does not end until the coroutine has run. The other worker sleeps, and must be woken for it. */
struct standstill {
    weft_loop *loops[2];
    _Atomic bool coroutine_ran, callback_ran;
    bool stood_still;
};

static intptr_t note_coroutine(void *arg) {
    struct standstill *standstill = arg;
    fetch_add_relaxed(&progress, 1);
    store_release(&standstill->coroutine_ran, true);
    return 0;
}

static void block_until_coroutine_ran(void *arg) {
    struct standstill *standstill = arg;
    int64_t limit_ns = weft_time() + WEFT_SEC(3);
    for (unsigned i = 0; !load_acquire(&standstill->coroutine_ran); i++) {
        if (weft_time() > limit_ns) {
            standstill->stood_still = true;
            break;
        }
        wait_a_little(i);
    }
    store_release(&standstill->callback_ran, true);
}

static void *send_both(void *arg) {
    struct scene *scene = arg;
    uint64_t random = 43;
    for (size_t round = 0; round < scene->rounds; round++) {
        struct standstill standstill = {.stood_still = false};
        weft_release(weft_run_coroutine_threadsafe(weft_coroutine(note_coroutine, &standstill), scene->loops[0]));
        weft_loop *loop = scene->loops[round % 2];
        must_equal(weft_loop_call_soon_threadsafe(loop, block_until_coroutine_ran, &standstill).error, 0);
        for (unsigned i = 0; !load_acquire(&standstill.callback_ran) || !load_acquire(&standstill.coroutine_ran);
             i++)
            wait_a_little(i);
        must(!standstill.stood_still);
        pause_a_little(&random);
    }
    must_equal(weft_future_set_result(scene->all_sent, 1), 0);
    return NULL;
}

static intptr_t standstill_main(void *arg) {
    struct scene *scene = arg;
    pthread_t sender;
    find_loops(scene);
    scene->all_sent = weft_future_new();
    must_equal(pthread_create(&sender, NULL, send_both, scene), 0);
    must_equal(weft_join(scene->all_sent), 1);
    return pthread_join(sender, NULL);
}

static void test_searcher_is_kept_busy(void **state) {
    (void)state;
    struct scene scene = {.name = "standstill", .options = {.workers = 2, .spin_ns = -1}, .rounds = ROUNDS(20000)};
    store_relaxed(&dog.watched, scene.name);
    assert_int_equal(weft_run_fn_with(scene.options, standstill_main, &scene), 0);
}

#define EAGER .spin_ns = -1 /* to sleep */

static void test_strict_order(void **state) {
    (void)state;
    weft_options options = {.workers = 1, .fifo = true, EAGER};
    play((struct scene){.name = "strict order, calls", .options = options,
                       .kind = CALLS, .senders = 1, .rounds = ROUNDS(100000)});
    play((struct scene){.name = "strict order, mixed, timers", .options = options,
                       .kind = MIXED, .timers = true, .senders = SENDERS, .rounds = ROUNDS(25000)});
}

static void test_one_worker(void **state) {
    (void)state;
    weft_options options = {.workers = 1, EAGER};
    play((struct scene){.name = "1 worker, calls", .options = options,
                       .kind = CALLS, .senders = 1, .rounds = ROUNDS(100000)});
    play((struct scene){.name = "1 worker, coroutines", .options = options,
                       .kind = COROUTINES, .senders = 1, .rounds = ROUNDS(100000)});
    play((struct scene){.name = "1 worker, mixed, timers", .options = options,
                       .kind = MIXED, .timers = true, .senders = SENDERS, .rounds = ROUNDS(25000)});
}

static void test_two_workers(void **state) {
    (void)state;
    weft_options options = {.workers = 2, EAGER};
    play((struct scene){.name = "2 workers, calls", .options = options,
                       .kind = CALLS, .senders = 1, .rounds = ROUNDS(100000)});
    play((struct scene){.name = "2 workers, coroutines", .options = options,
                       .kind = COROUTINES, .senders = 1, .rounds = ROUNDS(100000)});
    play((struct scene){.name = "2 workers, pinned", .options = options,
                       .kind = PINNED, .senders = SENDERS, .rounds = ROUNDS(50000)});
    play((struct scene){.name = "2 workers, coroutines, 2", .options = options,
                       .kind = COROUTINES, .timers = true, .senders = SENDERS, .rounds = ROUNDS(25000)});
    play((struct scene){.name = "2 workers, mixed", .options = options,
                       .kind = MIXED, .senders = SENDERS, .rounds = ROUNDS(100000)});
}

static void test_four_workers(void **state) {
    (void)state;
    weft_options options = {.workers = 4, EAGER};
    play((struct scene){.name = "4 workers, mixed", .options = options,
                       .kind = MIXED, .senders = SENDERS, .rounds = ROUNDS(50000)});
    play((struct scene){.name = "4 workers, mixed, timers", .options = options,
                       .kind = MIXED, .timers = true, .senders = SENDERS, .rounds = ROUNDS(25000)});
}

/* As in real use: a worker looks around for 20 us before it sleeps, and counts as a searcher meanwhile. */
static void test_with_spinning(void **state) {
    (void)state;
    play((struct scene){.name = "2 workers, spinning, mixed", .options = {.workers = 2},
                       .kind = MIXED, .timers = true, .senders = SENDERS, .rounds = ROUNDS(50000)});
    play((struct scene){.name = "4 workers, spinning, mixed", .options = {.workers = 4},
                       .kind = MIXED, .timers = true, .senders = SENDERS, .rounds = ROUNDS(25000)});
    play((struct scene){.name = "2 workers, 2 us, mixed", .options = {.workers = 2, .spin_ns = 2000},
                       .kind = MIXED, .senders = SENDERS, .rounds = ROUNDS(100000)});
}

static void test_epoll(void **state) {
    (void)state;
    weft_options options = {.workers = 2, .driver = "epoll", EAGER};
    play((struct scene){.name = "2 workers, epoll, mixed", .options = options,
                       .kind = MIXED, .timers = true, .senders = SENDERS, .rounds = ROUNDS(25000)});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_order), cmocka_unit_test(test_one_worker),
        cmocka_unit_test(test_two_workers),  cmocka_unit_test(test_four_workers),
        cmocka_unit_test(test_with_spinning), cmocka_unit_test(test_epoll),
        cmocka_unit_test(test_searcher_is_kept_busy),
    };
    int before = open_descriptors(), failed = cmocka_run_group_tests(tests, dog_start, dog_stop);
    return failed != 0 || open_descriptors() != before;
}
