/* A worker: the thread that drives one event loop, and what belongs to it. */
#ifndef WEFT_RUNTIME_WORKER_H
#define WEFT_RUNTIME_WORKER_H

#include <weft/loop.h>
#include <weft/run.h>

#include "crowding.h"
#include "deadlock.h"
#include "deque.h"
#include "driver.h"
#include "idle.h"
#include "inbox.h"
#include "moderation.h"
#include "ring_queue.h"
#include "task.h"
#include "timer.h"
#include "watchdog.h"
#include "watchman.h"

/* Picked by Go and Tokio before us; 61 is prime, so it does not fall in step with users' patterns. */
#define WEFT__TICKS 61
#define WEFT__BUDGET 128
#define WEFT__BUDGET_NS 100000
#define WEFT__STACK_CLASSES 16
#define WEFT__SPIN_LEAST_NS 1000

struct weft__counters { /* written by the owner, read by any thread */
    _Atomic uint64_t switches, spawns, finished, in_place, steals, steal_attempts, parks, wakes;
};

struct weft__worker {
    /* const after init */
    struct weft__runtime *runtime;
    weft_loop *loop;
    unsigned index;
    bool strict;                     /* one FIFO, CPython's order */
    bool alone;                      /* no other worker: nobody steals */
    struct weft__driver *driver;     /* opened by the worker's own thread */
    weft__thread thread;             /* not of worker 0: that is the caller of weft_run */

    int *errno_location;             /* of the thread that drives it; set before anything runs */
    pid_t thread_id;                 /* of that thread */

    /* owner worker only */
    struct weft__fiber scheduler;    /* the loop's own context, on the thread's stack */
    struct weft__task *current;      /* whom the worker runs; NULL in the scheduler and in callbacks */
    struct weft__task *left;         /* who has switched away last, */
    bool (*commit)(struct weft__task *task, void *arg); /* and what to do for him; NULL: done */
    void *commit_arg;
    unsigned steps_left;             /* of this turn: so many tasks may follow each other without the loop */
    struct weft__fifo local;         /* pinned tasks, callbacks, messages; strict order: everything */
    struct weft__slab_cache slab;
    struct weft__stack_cache stacks;
    int64_t now_ns;                  /* the clock at the start of the turn */
    int64_t worked_ns;               /* when the worker last found something to do */
    uint32_t tick;                   /* steps taken */
    unsigned lifo_streak;
    size_t deque_first;              /* items of the deque that go before the ring: see ready.c */
    int budget;                      /* units left for the current step */
    int64_t budget_ends_ns;
    int64_t spin_ns;                 /* how long to look for work before sleeping; adapts */
    bool debug;                      /* the loop's, looked up once a turn */
    bool spinning;
    bool moderated;                  /* moderation.h */
    bool searching;
    struct weft__worker *lifo_victim; /* whose LIFO slot a search saw last, at which tick, and when */
    uint32_t lifo_tick;
    int64_t lifo_seen_ns;
    struct weft__task *spare;        /* a record for a parallel call that is taken from a deque */
    struct weft__context *context;   /* of the callback that runs; NULL between callbacks */
    struct weft__list watchers;      /* watcher.c */

    /* any thread */
    _Alignas(WEFT__CACHE_LINE) _Atomic(struct weft__task *) lifo; /* the task woken last */
    _Atomic uint32_t visible_tick;   /* steps, callbacks and turns: who moves on is left alone (steal.c, watchman.c) */
    struct weft__deque deque;        /* unstarted tasks and parallel calls (lowest bit set) */
    struct weft__ring_queue ring;    /* resumed tasks */
    struct weft__inbox inbox;        /* becomes `local` */
    _Alignas(WEFT__CACHE_LINE) _Atomic uint32_t sleep_state; /* protocol in idle.h */
    struct weft__timers timers;
    struct weft__counters counters;
    _Atomic(struct weft__worker *) host; /* who submits what tasks begin here: crowding.h */
    _Atomic(struct weft__item *) posted; /* what others begin, and we submit */
    struct weft__watch watch;        /* watchman.h */
    struct weft__crowding crowding;
    struct weft__watchdog watchdog;
};

/* Never unmapped, and used again after the last reference has gone: see loop.c. */
struct weft_loop {
    _Atomic uint64_t serial;         /* of this use of the record */
    _Atomic uint32_t references;
    _Atomic uint32_t gate;           /* protocol in loop.c */
    _Atomic bool running;
    /* const while in use */
    struct weft__worker *worker;     /* valid inside the gate */
    _Atomic unsigned index;          /* of that worker; who holds a handle of a former use may read it */
    _Atomic uint32_t generation;     /* of the process that made it, see world.h; likewise */
    bool own;                        /* made by weft_new_event_loop: can be run again and again */
    /* any thread */
    _Atomic bool debug;
    _Atomic int64_t slow_ns;         /* slow_callback_duration */
    weft__lock lock;
    void (*on_exception)(weft_loop *loop, const weft_exception_record *record, void *arg); /* lock */
    void *on_exception_arg;          /* lock */
    struct weft_loop *next_free;     /* the list in loop.c */
};

struct weft__runtime {
    /* const after init */
    weft_options options;
    unsigned worker_count;
    struct weft__worker *workers;
    struct weft__stack_pool pools[WEFT__STACK_CLASSES]; /* 32 KiB << class */
    unsigned default_class;
    /* any thread */
    struct weft__idle idle;
    struct weft__watchman watchman;
    struct weft__deadlock deadlock;
    struct weft__moderation moderation;
    struct weft__crowd crowd;
    struct {
        _Alignas(WEFT__CACHE_LINE) weft__lock lock;
        struct weft__fifo queue;     /* lock: tasks from elsewhere, and what overflowed a ring */
        _Atomic size_t count;        /* written under lock */
    } injector;
    struct {
        weft__lock lock;
        struct weft__list started;   /* lock: generators that are suspended or run; made by the first */
    } generators;
    _Atomic uint64_t foreign_spawns; /* tasks scheduled by threads that are no worker of ours */
    _Atomic uint32_t guests;         /* foreign threads inside wake: the runtime waits for them to leave */
    _Atomic bool stopping;           /* leftovers are being cancelled: new tasks are born cancelled */
    _Atomic bool ended;              /* the loops return */
    _Atomic uint32_t watchers;       /* a runtime that stops waits until they are gone */
    _Atomic bool paused;             /* one's own loop: it returns, to be run again (weft_loop_stop) */
    struct {                         /* see executor.c */
        weft__lock lock;
        struct weft_thread_pool *executor, *resolver, *blocking; /* lock; made at first use */
        bool executor_shut;          /* lock */
        int64_t wait_ns;             /* const once the loops run: how long its end waits for the executor's jobs */
    } executors;
    struct {                         /* protocol in shutdown.c */
        struct weft__runnable begin;
        struct weft__runnable *notices; /* one per worker */
        _Atomic uint32_t unnoticed;  /* workers that have not run theirs */
        _Atomic uint32_t quiet;      /* odd: nothing is left */
        bool clean_up_done;          /* of whoever made `quiet` odd */
    } shutdown;
};

/* ready.c: the queues. All but `inject` are for the worker's own thread. */
void weft__ready_push_woken(struct weft__worker *worker, struct weft__task *task);   /* LIFO slot */
void weft__ready_push_resumed(struct weft__worker *worker, struct weft__task *task); /* FIFO ring */
void weft__ready_push_yielded(struct weft__worker *worker, struct weft__task *task); /* behind all others */
int weft__ready_push_item(struct weft__worker *worker, uintptr_t item);              /* deque; -ENOMEM */
void weft__ready_inject(struct weft__runtime *runtime, struct weft__task *task);
struct weft__task *weft__ready_next(struct weft__worker *worker);
bool weft__ready_any(struct weft__worker *worker); /* something to run, or to take in first */

/* Gives some of what lies in the queues of a stuck worker to everybody, at least the oldest of each. `spare`: a slab
 * record, or NULL. Thread: the watchman. */
void weft__ready_evacuate(struct weft__worker *victim, struct weft__task **spare);

/* Takes from a deque, with weft__deque_pop or weft__deque_steal, the first item that is not stale, claimed. */
struct weft__task *weft__ready_claim(struct weft__worker *worker, struct weft__deque *deque,
                                     uintptr_t (*take)(struct weft__deque *deque));

/* steal.c: takes work from another worker. NULL if there is none. */
struct weft__task *weft__steal(struct weft__worker *worker);
/* Whether any other worker has something to steal: the sleeper's recheck. */
bool weft__steal_worthwhile(struct weft__worker *worker);

/* parallel.c: makes of `record` the task that runs the parallel call taken from a deque. The caller counts the spawn. */
struct weft__task *weft__parallel_adopt(struct weft__runtime *runtime, struct weft__task *record, uintptr_t item);

/* worker.c */
void weft__worker_loop(struct weft__worker *worker);
/* The next ready task of this turn, claimed; NULL: back to the loop. For a task that leaves: weft__task_leave. */
struct weft__task *weft__worker_next(struct weft__worker *worker);
bool weft__worker_spare_ready(struct weft__worker *worker);

/* thread.c: the free records of a calling thread that is no worker; and: what is kept for it is given back at its end. */
struct weft__slab_cache *weft__thread_slab(void);
void weft__thread_remember(void);

/* The slab cache of the calling thread. */
static inline struct weft__slab_cache *weft__worker_slab(void) {
    struct weft__worker *worker = weft__world_worker();
    return worker ? &worker->slab : weft__thread_slab();
}

/* generator.c: closes every generator that has started in the runtime and not ended, in the order of their
 * starting, and reports errors on stderr. Thread: a task of the runtime, one that may suspend. */
void weft__generators_close(struct weft__runtime *runtime);
/* Whether any has begun and not ended. */
bool weft__generators_any(struct weft__runtime *runtime);
/* Gives up those that even then have not ended: their bodies never go on. Thread: nobody's, after the end. */
void weft__generators_fini(struct weft__runtime *runtime);

/* blocking.c: the task between weft_enter_blocking and weft_leave_blocking on the calling pool thread, or NULL.
 * It has no worker: whatever would suspend returns -EPERM. The second: the running task, there too.
 * Async-signal-safe. */
struct weft__task *weft__blocked_task(void);
static inline struct weft__task *weft__running_task(void) {
    struct weft__worker *worker = weft__world_worker();
    return worker ? worker->current : weft__blocked_task();
}
/* Takes a body that has just returned out of its blocking region, if it is in one. Returns its worker.
 * Thread: a task's. */
struct weft__worker *weft__blocking_forgotten(void);
static inline struct weft__worker *weft__blocking_end(void) {
    struct weft__worker *worker = weft__world_worker();
    return __builtin_expect(worker != NULL, 1) ? worker : weft__blocking_forgotten();
}

/* budget.c: charges the running task one unit for something that did not suspend; yields when it is used up, after
 * which `look` looks every 16 units. Thread: task. */
void weft__budget_look(struct weft__worker *worker);
static inline void weft__budget_charge(void) {
    struct weft__worker *worker = weft__world_worker();
    if (!worker->strict && --worker->budget % 16 == 0) weft__budget_look(worker);
}
void weft__budget_renew(struct weft__worker *worker);

/* loop.c: a loop's handle for `worker`, with one reference; NULL without memory. */
weft_loop *weft__loop_new(struct weft__worker *worker);

/* The gate of a loop. enter returns 0, -ESHUTDOWN once it is closed, -EPERM in a forked child; close waits until
 * everybody has left. `try` is for a loop that is not referenced: it may have become another one's. */
int weft__gate_enter(weft_loop *loop);
bool weft__gate_try_enter(weft_loop *loop, uint64_t serial);
void weft__gate_leave(weft_loop *loop);
void weft__gate_close(weft_loop *loop);
bool weft__gate_any_inside(weft_loop *loop);

/* Schedules a coroutine on the runtime of `loop` from outside, inside its gate. 0 or -EINVAL. */
int weft__loop_submit(weft_loop *loop, struct weft__task *task);

/* runtime.c: one that can run: `options` are complete. NULL without memory. fini: every loop has returned. */
struct weft__runtime *weft__runtime_new(const weft_options *options);
void weft__runtime_free(struct weft__runtime *runtime);
/* The calling thread becomes the worker's: its driver is opened, or bound to the thread. 0 or -errno. leave undoes
 * that but for the driver. */
int weft__worker_enter(struct weft__worker *worker);
void weft__worker_leave(struct weft__worker *worker);

/* run.c: fills in the defaults. 0 or -EINVAL. */
int weft__options_check(weft_options *options);
/* fn(arg) with SIGPIPE blocked: a write to a closed pipe raises it whatever the call. */
intptr_t weft__without_sigpipe(intptr_t (*fn)(void *arg), void *arg);

/* shutdown.c: begins to cancel what is left; the loops return when it is gone. Thread: any, until then. */
void weft__shutdown_begin(struct weft__runtime *runtime);
/* Something that a stopping runtime waits for is gone. Thread: a worker's. */
void weft__shutdown_look(struct weft__runtime *runtime);
/* Makes the loops return at once. */
void weft__shutdown_end(struct weft__runtime *runtime);
/* Counts the end of a task; the last one ends a runtime that is stopping. */
void weft__runtime_task_finished(struct weft__worker *worker);

/* all_tasks.c: the tasks of the runtime, each with a reference. How many, or -ENOMEM. Thread: any. */
int weft__tasks_collect(struct weft__runtime *runtime, weft_task ***tasks);

/* watcher.c: begins to poll for what was added while the loop did not run; removes everything. */
void weft__watchers_arm(struct weft__worker *worker);
void weft__watchers_remove_all(struct weft__worker *worker);

/* signals.c: SIGINT cancels `main` from here on, if the program has not decided otherwise; returns whether. end
 * makes -EINTR of the -ECANCELED that comes out of it. */
bool weft__interrupt_begin(weft_loop *loop, weft_task *main);
intptr_t weft__interrupt_end(bool begun, intptr_t result);
/* Removes the handlers of a loop that ends. */
void weft__signals_forget(struct weft__worker *worker);
/* Whether the program handles a signal on a loop of the runtime. Thread: any. */
bool weft__signals_any(struct weft__runtime *runtime);

/* callback.c: the call that scheduled a callback, in debug mode; NULL for other runnables. */
const void *weft__callback_site(const struct weft__runnable *runnable);

/* debug.c: whether debug mode has ever been on: then things remember the call that made them. */
extern _Atomic bool weft__debug_sites;
#define WEFT__SITE() (load_relaxed(&weft__debug_sites) ? __builtin_return_address(0) : NULL)

/* 1 or -1, as $WEFT_DEBUG says. */
int weft__debug_from_environment(void);
/* Reports a failed future whose record is about to be freed to the loop, if that is still the one of `serial`. */
void weft__debug_unretrieved(weft_future *future, weft_loop *loop, uint64_t serial);
/* Reports a coroutine that is discarded without ever having been driven. */
void weft__debug_never_awaited(weft_future *coroutine);
/* " (made at FILE+0xOFFSET)", which addr2line understands, or nothing. */
const char *weft__debug_site_text(const void *site, char *text, size_t bytes);
/* The same for what was done there. */
const char *weft__debug_place_text(const char *what, const void *place, char *text, size_t bytes);
/* Reports a step or callback if it took long. */
void weft__debug_slow(struct weft__worker *worker, const char *kind, const char *name, const void *site, int64_t took_ns);

/* The worker of a loop, if it is one of this runtime; a loop of an ended runtime is only a handle. */
static inline struct weft__worker *weft__worker_of(struct weft__runtime *runtime, weft_loop *loop) {
    unsigned index = load_relaxed(&loop->index);
    bool ours = index < runtime->worker_count && runtime->workers[index].loop == loop;
    return ours ? &runtime->workers[index] : NULL;
}

/* Posts a runnable to the worker's inbox and wakes it. Thread: any, inside the gate or of the runtime. */
void weft__worker_post(struct weft__worker *worker, struct weft__runnable *runnable);

/* overflow.c: reports stack overflows of tasks that the calling thread runs. */
void weft__overflow_watch(void);
void weft__overflow_unwatch(void);

#endif
