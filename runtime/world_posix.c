/* The real world: pthreads, futexes, CLOCK_MONOTONIC. */
#define _GNU_SOURCE
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "assert.h"
#include "sanitize.h"
#include "slab.h"

_Thread_local struct weft__worker *weft__world_current;
static _Thread_local struct weft__pool_thread *pool_thread;
static _Thread_local uint32_t random_state;
static _Thread_local struct weft__context *context;
static _Thread_local struct weft_loop *event_loop;
static _Thread_local struct weft__slab_cache slab;
static _Thread_local uint64_t serial_next; /* of the block that this thread took; 0: none yet */

#if !defined(__x86_64__)
__attribute__((noinline)) struct weft__worker *weft__world_worker(void) {
    __asm__ volatile(""); /* keeps the call from being hoisted as pure */
    return weft__world_current;
}
#endif

__attribute__((noinline)) void weft__world_set_worker(struct weft__worker *worker) {
    __asm__ volatile("");
    weft__world_current = worker;
}

__attribute__((noinline)) struct weft__pool_thread *weft__world_pool_thread(void) {
    __asm__ volatile("");
    return pool_thread;
}

__attribute__((noinline)) void weft__world_set_pool_thread(struct weft__pool_thread *thread) {
    __asm__ volatile("");
    pool_thread = thread;
}

__attribute__((noinline)) int *weft__world_errno(void) {
    __asm__ volatile("");
    return &errno;
}

__attribute__((noinline)) struct weft__context **weft__world_context(void) {
    __asm__ volatile("");
    return &context;
}

__attribute__((noinline)) struct weft_loop **weft__world_event_loop(void) {
    __asm__ volatile("");
    return &event_loop;
}

__attribute__((noinline)) struct weft__slab_cache *weft__world_slab(void) {
    __asm__ volatile("");
    return &slab;
}

__attribute__((noinline)) uint64_t weft__world_serial(void) {
    enum { BLOCK = 1024 };
    static _Atomic uint64_t blocks = BLOCK;
    __asm__ volatile("");
    if (serial_next % BLOCK == 0) serial_next = fetch_add_relaxed(&blocks, BLOCK); /* only has to be unique */
    return serial_next++ & ((UINT64_C(1) << 37) - 1);
}

static pthread_key_t thread_exit_key; /* holds the function */
static void run_thread_exit(void *fn) { ((void (*)(void))(uintptr_t)fn)(); }
static void make_thread_exit_key(void) { pthread_key_create(&thread_exit_key, run_thread_exit); }

void weft__world_at_thread_exit(void (*fn)(void)) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_thread_exit_key);
    pthread_setspecific(thread_exit_key, (void *)(uintptr_t)fn); /* without memory it is not called */
}

static uint32_t generation; /* written in a child before it has a second thread */
static void (*fork_prepare)(void), (*fork_done)(void);

uint32_t weft__world_generation(void) { return generation; }

static _Thread_local bool moderated;

__attribute__((noinline)) bool weft__world_moderate(bool on) {
    static const struct sched_param none;
    bool was = moderated;
    if (on != was && sched_getscheduler(0) == (was ? SCHED_BATCH : SCHED_OTHER) &&
        sched_setscheduler(0, on ? SCHED_BATCH : SCHED_OTHER, &none) == 0)
        moderated = on;
    return was;
}

static void before_fork(void) { fork_prepare(); }
static void in_parent(void) { fork_done(); }
static void in_child(void) {
    generation++;
    weft__world_set_worker(NULL);
    weft__world_set_pool_thread(NULL);
    weft__world_moderate(false);
    fork_done();
}

void weft__world_on_fork(void (*prepare)(void), void (*done)(void)) {
    static _Atomic bool registered;
    bool not_yet = false;
    if (!cas_acq_rel(&registered, &not_yet, true)) return;
    fork_prepare = prepare;
    fork_done = done;
    pthread_atfork(before_fork, in_parent, in_child);
}

static void *thread_main(void *arg) {
    weft__thread *thread = arg;
    thread->run(thread->arg);
    return NULL;
}

static int start(pthread_t *handle, const pthread_attr_t *attributes, void *(*main)(void *arg), void *arg) {
    sigset_t pipe_only, before;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    bool moderated_before = weft__world_moderate(false);
    int error = pthread_create(handle, attributes, main, arg);
    weft__world_moderate(moderated_before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int weft__world_thread_start(weft__thread *thread, void (*run)(void *arg), void *arg) {
    thread->run = run;
    thread->arg = arg;
    return start(&thread->handle, NULL, thread_main, thread);
}

struct detached {
    char name[16];
    void (*run)(void *arg);
    void *arg;
};

static void *detached_main(void *arg) {
    struct detached self = *(struct detached *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), self.name);
    self.run(self.arg);
    return NULL;
}

int weft__world_thread_start_detached(const char *name, void (*run)(void *arg), void *arg) {
    struct detached *thread = malloc(sizeof *thread);
    pthread_attr_t attributes;
    if (!thread) return -ENOMEM;
    *thread = (struct detached){.run = run, .arg = arg};
    snprintf(thread->name, sizeof thread->name, "%s", name);
    int error = -pthread_attr_init(&attributes);
    if (error == 0) {
        pthread_t handle;
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        error = start(&handle, &attributes, detached_main, thread);
        pthread_attr_destroy(&attributes);
    }
    if (error) free(thread);
    return error;
}

pid_t weft__world_thread_id(void) { return (pid_t)syscall(SYS_gettid); }

void weft__world_thread_join(weft__thread *thread) {
    int error = pthread_join(thread->handle, NULL);
    weft__assert(error == 0);
}

unsigned weft__world_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

void weft__world_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns) {
#ifdef WEFT__TSAN /* calls handlers once a wait is over: a signal ends one that has a limit, the others go on */
    bool limited = true;
#else
    bool limited = deadline_ns != INT64_MAX;
#endif
    struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, limited ? &until : NULL, NULL,
            FUTEX_BITSET_MATCH_ANY);
    errno = saved;
}

void weft__world_wake_all(_Atomic uint32_t *word) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}

void weft__lock_slow(weft__lock *lock) {
    for (unsigned round = 0; round < 40; round++) {
        if (load_relaxed(&lock->word) == 0 && weft__try_lock(lock)) return;
        weft__world_relax(round);
    }
    /* pairs with weft__lock_release: from here on the word is 2 until everybody has gone */
    while (exchange_acq_rel(&lock->word, 2) != 0) weft__world_wait(&lock->word, 2, INT64_MAX);
}

void weft__unlock_slow(weft__lock *lock) {
    weft__world_wake_all(&lock->word);
}

int weft__world_alarm_open(void) {
    int alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    return alarm < 0 ? -errno : alarm;
}

static struct timespec to_timespec(int64_t ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

void weft__world_alarm_set(int alarm, int64_t after_ns, int64_t period_ns) {
    struct itimerspec spec = {.it_value = to_timespec(after_ns), .it_interval = to_timespec(period_ns)};
    int saved = errno;
    timerfd_settime(alarm, 0, &spec, NULL);
    errno = saved;
}

void weft__world_alarm_wait(int alarm) {
    uint64_t rings;
    ssize_t ignored = read(alarm, &rings, sizeof rings);
    (void)ignored;
}

void weft__world_alarm_close(int alarm) { close(alarm); }

static int open_of_thread(pid_t thread, const char *file) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)thread, file);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int weft__world_thread_open(pid_t thread) { return open_of_thread(thread, "syscall"); }

int weft__world_thread_open_delays(pid_t thread) { return open_of_thread(thread, "schedstat"); }

/* "ran waited timeslices" */
int64_t weft__world_thread_delay(int delays) {
    char text[64];
    ssize_t count = pread(delays, text, sizeof text - 1, 0);
    if (count <= 0) return 0;
    text[count] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoll(second, NULL, 10) : 0;
}

bool weft__world_thread_runs(int thread) {
    char text[8] = "";
    return pread(thread, text, sizeof text - 1, 0) > 0 && strncmp(text, "running", 7) == 0;
}

void weft__world_thread_close(int thread) {
    if (thread >= 0) close(thread);
}

void weft__world_thread_signal(pid_t thread, int number) { syscall(SYS_tgkill, getpid(), thread, number); }

void weft__world_block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
}

int64_t weft__world_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Marsaglia, "Xorshift RNGs" (2003). */
__attribute__((noinline)) uint32_t weft__world_random(void) {
    __asm__ volatile("");
    uint32_t x = random_state;
    if (x == 0) x = (uint32_t)((uintptr_t)&random_state >> 4) | 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return random_state = x;
}

void weft__world_relax(unsigned round) {
    if (round % 32 == 31) {
        sched_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
