/* The world that the scheduler lives in: threads, the current worker, blocking, locks, the clock, chance.
 *
 * This is one of the two seams (the other is driver.h). world_posix.c is the real one; a simulation links
 * another that runs every thread as a fiber of one OS thread and switches only inside these calls. So no
 * other file in runtime/ may touch pthreads, futexes, clocks or thread-locals. */
#ifndef WEFT_RUNTIME_WORLD_H
#define WEFT_RUNTIME_WORLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"

struct weft__context;
struct weft__pool_thread;
struct weft__slab_cache;
struct weft__worker;

/* The worker that the calling thread drives, or NULL. A compiler that caches a thread-local's address across a
 * switch would read another thread's; so this is either a call that is never inlined or, because it is made
 * several times in everything that a task does, two loads that the compiler does not see through. A simulated
 * world is called. */
#if defined(__x86_64__) && !defined(WEFT__SIMULATED)
extern _Thread_local struct weft__worker *weft__world_current __attribute__((tls_model("initial-exec")));
static inline struct weft__worker *weft__world_worker(void) {
    struct weft__worker *worker;
    __asm__ volatile("movq weft__world_current@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(worker));
    return worker;
}
#else
struct weft__worker *weft__world_worker(void);
#endif
void weft__world_set_worker(struct weft__worker *worker);

/* The pool thread that the caller is (thread_pool.h), or NULL. A loop that one of its jobs runs makes it a worker,
 * too: that comes first. */
struct weft__pool_thread *weft__world_pool_thread(void);
void weft__world_set_pool_thread(struct weft__pool_thread *thread);

/* More of what belongs to the calling thread: the context variables of code outside tasks and loops, the loop
 * that weft_set_event_loop chose, and numbers that are unique in this process (up to 2^37, then they wrap). */
struct weft__context **weft__world_context(void);
struct weft_loop **weft__world_event_loop(void);
uint64_t weft__world_serial(void);
struct weft__slab_cache *weft__world_slab(void); /* its free records: thread.c */

/* Calls fn() when the calling thread ends; one function per process, asking again changes nothing. */
void weft__world_at_thread_exit(void (*fn)(void));

/* Threads. `start` returns 0 or -errno; the thread begins with SIGPIPE blocked. */
typedef struct weft__thread {
    pthread_t handle;
    void (*run)(void *arg);
    void *arg;
} weft__thread;
int weft__world_thread_start(weft__thread *thread, void (*run)(void *arg), void *arg);
/* The same for a thread that nobody joins, with a name of at most 15 characters for debuggers. */
int weft__world_thread_start_detached(const char *name, void (*run)(void *arg), void *arg);
pid_t weft__world_thread_id(void); /* the kernel's; the process's own for the main thread */
void weft__world_thread_join(weft__thread *thread);
/* Whether the calling thread, when it is woken, lets whoever runs finish (moderation.h); returns whether it did.
 * It stays as it is if the kernel refuses, or somebody has chosen its scheduling class. Threads that it starts and
 * children that it forks do not inherit it. */
bool weft__world_moderate(bool on);

/* A number that changes in the child of every fork; and what to call around forks (once per process). In
 * the child no thread is a worker, whatever it was in the parent. */
uint32_t weft__world_generation(void);
void weft__world_on_fork(void (*prepare)(void), void (*done)(void));

/* CPUs that this process may use. */
unsigned weft__world_cpus(void);

/* Blocks while *word == expected, until woken or `deadline_ns` (INT64_MAX: no limit). May return early. */
void weft__world_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns);
void weft__world_wake_all(_Atomic uint32_t *word);

/* A lock for short critical sections: spins a little, then sleeps. Zero-initialised; not recursive. */
typedef struct weft__lock {
    _Atomic uint32_t word;
} weft__lock;
void weft__lock_slow(weft__lock *lock);
void weft__unlock_slow(weft__lock *lock);

static inline bool weft__try_lock(weft__lock *lock) {
    uint32_t free = 0; /* pairs with the exchange in weft__lock_release */
    return cas_acq_rel(&lock->word, &free, 1);
}
static inline void weft__lock_acquire(weft__lock *lock) {
    if (!weft__try_lock(lock)) weft__lock_slow(lock);
}
static inline void weft__lock_release(weft__lock *lock) {
    /* pairs with weft__try_lock and weft__lock_slow; 2 means that somebody sleeps */
    if (exchange_acq_rel(&lock->word, 0) == 2) weft__unlock_slow(lock);
}

/* An alarm clock: a descriptor, or -errno. `set`: it rings `after_ns` from now, and then every `period_ns`; 0 and
 * 0: no more. Thread: any, and signal handlers. `wait` blocks until it has rung since the last wait. */
int weft__world_alarm_open(void);
void weft__world_alarm_set(int alarm, int64_t after_ns, int64_t period_ns);
void weft__world_alarm_wait(int alarm);
void weft__world_alarm_close(int alarm);

/* Another thread of this process. `open`: something to watch it by, to be closed, or negative; asked once, so that
 * no descriptor number that the program has just freed is taken and given back behind its back. `runs`: whether
 * the thread is on a CPU or waits for one, as opposed to being blocked in a system call; false also if /proc is
 * not there. `delay`: for how many ns it has waited for a CPU since it began, the wait that goes on excepted; 0 if
 * that is not counted. `signal`: for that thread alone. */
int weft__world_thread_open(pid_t thread);
bool weft__world_thread_runs(int thread);
int weft__world_thread_open_delays(pid_t thread);
int64_t weft__world_thread_delay(int delays);
void weft__world_thread_close(int thread);
void weft__world_thread_signal(pid_t thread, int number);
/* No signal is delivered to the calling thread from here on. */
void weft__world_block_signals(void);

/* CLOCK_MONOTONIC in nanoseconds, and the CPU time of the calling thread. */
int64_t weft__world_now(void);

/* A pseudo-random number, from a generator of the calling thread. */
uint32_t weft__world_random(void);

/* One round of a spin loop; the caller counts its rounds. After some, it gives the CPU away. */
void weft__world_relax(unsigned round);

/* The calling thread's errno, as an address and as a value to carry over a switch. */
int *weft__world_errno(void);

#endif
