/* A process pool with one worker process: runtime/process_pool.c, process_watcher.c, process_seat.c, process_job.c and
 * process_worker.c themselves. A thread submits two jobs and may cancel one of them at any moment; it closes the pool,
 * at once or when all is done. The second thread is the watcher, the third one the worker; the fourth one is the fork
 * server, as short as can be. The worker dies when it is killed, and some die by themselves: before they look at a
 * job, in it, after it, before or after they have said that it is done. A worker may not come to be at all. The first
 * job may run until it is killed; it may have a limit of time, and may be run again.
 *
 * A process that is killed here dies where it next leaves the code: at a call of its world, or in its job. What a job
 * reads and writes is left out.
 *
 * Found when it was written: SHUT_IS_ORPHANED, which is how the code was.
 *
 * Checked: each job ends once, and as it should: with its result, if it was done; else cancelled, late, or orphaned,
 * if that is what has happened to it, and not if it has happened to the other one. It is begun no more often than it
 * may be. The worker does not oversleep a job, and the closing ends.
 *
 * Code: runtime/process_pool.c runtime/process_watcher.c runtime/process_seat.c runtime/process_job.c
 * Code: runtime/process_worker.c runtime/parker.c -D_exit=model_exit -DSPIN_ROUNDS=1
 *
 * Mutants, each of which must be rejected:
 *     NO_WAKER_FENCE      runtime/process_seat.c weft__seat_wake  /fence_seq_cst/d
 *     NO_SLEEPER_FENCE    runtime/process_worker.c next_command  /fence_seq_cst/d
 *     NOBODY_WAKES        runtime/process_pool.c weft__pool_take  /weft__seat_wake/d
 *     NEXT_NOT_WOKEN      runtime/process_watcher.c collect  /weft__seat_wake/d
 *     HEIR_NOT_WOKEN      runtime/process_watcher.c on_death  /weft__seat_wake/d
 *     COMMAND_UNORDERED   runtime/process_seat.c weft__seat_give  /P2/s/store_release/store_relaxed/
 *     COMMAND_FIRST       runtime/process_seat.c weft__seat_give  /write_slot/d;s/pool->stats.running\+\+;/store_release(\&seat->slot->command, seat->number); write_slot(pool, seat, job);/
 *     BEGUN_LATE          runtime/process_worker.c run  /store_release/d;s/fflush\(stdout\);/store_release(\&slot->begun, number);/
 *     NEVER_BEGUN         runtime/process_watcher.c bury  s/bool begun = .*;/bool begun = false;/
 *     ALWAYS_BEGUN        runtime/process_watcher.c bury  s/bool begun = .*;/bool begun = true;/
 *     DONE_TOO_EARLY      runtime/process_worker.c weft__process_worker_main  /W3/d;s/run\(&self, last\);/store_release(\&self.slot->done, last); run(\&self, last);/
 *     DONE_UNSEEN         runtime/process_watcher.c on_death  s/done = job && weft__seat_is_done\(seat\)/done = false/
 *     BELL_IS_BELIEVED    runtime/process_watcher.c collect  s/ \|\| !weft__seat_is_done\(seat\)//
 *     DOOMED_SEAT_GIVES   runtime/process_watcher.c collect  s/seat->doomed \|\| //;s/bool next = !seat->doomed/bool next = true/
 *     DEAD_SEAT_IS_IDLE   runtime/process_watcher.c on_death  /weft__seat_leave_idle/d
 *     SLOT_NOT_RESET      runtime/process_seat.c weft__seat_fill  /slot->done, seat->number/d
 *     NOT_KILLED          runtime/process_pool.c weft__pool_cancel  /weft__seat_doom/d
 *     LATE_NOT_KILLED     runtime/process_watcher.c expire  /weft__seat_doom/d
 *     KILLED_FOR_NOTHING  runtime/process_watcher.c expire  /verdict/d
 *     STAYS_QUEUED        runtime/process_pool.c weft__pool_cancel  /weft__waiting_remove/d
 *     CANCEL_NOT_SETTLED  runtime/process_job.c weft__job_finish  s/weft__job_is_cancelled\(job\)/result == -ECANCELED/
 *     CANCEL_ALWAYS       runtime/process_job.c leave_open  s/return cas_acq_rel.*$/store_release(\&self->state, to); return true;/
 *     NO_RETRY            runtime/process_watcher.c bury  s/job->retries > 0/false/
 *     NO_HEIR             runtime/process_watcher.c refill  s/!made \|\|/true ||/
 *     QUEUE_LEFT          runtime/process_watcher.c on_death  /weft__waiting_take_all/d
 *     SHUT_IS_ORPHANED    runtime/process_watcher.c on_death  s/pool->stopping \? -ESHUTDOWN : //
 *     NOT_DRAINED         runtime/process_watcher.c on_death  /weft__waiting_look_if_drained/d
 */
#include "model.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include <weft/process_pool.h>

#include "runtime/process_pool.h"
#include "runtime/world_process.h"
#include "runtime/worker.h"

#include "wait.h"

_Atomic uint32_t weft__elsewhere; /* of runtime/deadlock.c */

enum { BELL = 1, SEAT_BELL, POLLER, CHANNEL, DESCRIPTORS };
enum { VALUE = 5, LIMIT_NS = 1000, MESSAGES = 32 };

static struct job {
    weft_future *future;
    _Atomic int references;
    _Atomic uint32_t done;
    intptr_t result;
    bool cancelled;
    bool accepted;          /* a request */
    /* the worker's own */
    unsigned begun;
    bool finished;          /* and the slot says so */
} jobs[2];

static weft_process_pool *pool;
static struct weft__slot *slot;
static struct weft__region window;
static unsigned made;       /* jobs */
static enum { AWAITS, DRAINS, HURRIES } ends;
static bool retries, limited, endless, cancels, may_crash, may_not_start;
static unsigned target;
static _Atomic uint32_t watcher_over;

enum { DEAD, STARTED, OVER };
static _Atomic uint32_t worker_state, killed;
/* the worker's own */
static jmp_buf death;
static int running;         /* a job; -1: none */
static bool unfit;
static unsigned crashes;    /* to come */

/* ---- the worker's death ---- */

static bool is_worker(void) { return weft__world_pool_thread() == (void *)slot; }

/* The worker is somewhere where it may be killed, or crash. */
static void mortal(void) {
    bool dies = load_acquire(&killed);
    if (!dies && crashes > 0 && model_choose(6) == 0) {
        crashes--;
        dies = true;
    }
    if (dies) longjmp(death, 1);
}

__attribute__((noreturn)) void model_exit(int status) {
    if (unfit) jobs[running].finished = true;
    longjmp(death, 1);
}

/* ---- descriptors: bells, and a channel ---- */

struct pipe {
    struct weft__process_message messages[MESSAGES];
    unsigned head, tail;
};
static weft__lock kernel;
static struct pipe to_server, to_program;   /* kernel */
static bool rung[DESCRIPTORS];              /* kernel */
static _Atomic uint32_t happenings;         /* of what anybody may wait for */

static void happen(void) {
    atomic_fetch_add_explicit(&happenings, 1, memory_order_release);
    weft__world_wake_all(&happenings);
}

static void send(struct pipe *pipe, const struct weft__process_message *message) {
    weft__lock_acquire(&kernel);
    model_assert(pipe->tail < MESSAGES);
    pipe->messages[pipe->tail++] = *message;
    weft__lock_release(&kernel);
    happen();
}

static bool receive(struct pipe *pipe, struct weft__process_message *message) {
    weft__lock_acquire(&kernel);
    bool any = pipe->head < pipe->tail;
    if (any) *message = pipe->messages[pipe->head++];
    weft__lock_release(&kernel);
    return any;
}

int weft__world_send(int end, const void *message, size_t bytes, const int *fds, unsigned count) {
    send(&to_server, message);
    for (unsigned rounds = model_choose(2) * 16; rounds > 0; rounds--) weft__world_relax(0); /* who sends is slow */
    return 0;
}

int weft__world_receive(int end, void *message, size_t bytes, int fds[WEFT__MESSAGE_FDS], bool wait) {
    for (;;) {
        uint32_t seen = load_acquire(&happenings);
        if (receive(&to_program, message)) return 1;
        if (!wait) return -EAGAIN;
        weft__world_wait(&happenings, seen, INT64_MAX);
    }
}

static void set_rung(int bell, bool value) {
    weft__lock_acquire(&kernel);
    rung[bell] = value;
    weft__lock_release(&kernel);
}

void weft__world_ring(int bell) {
    if (is_worker()) {
        jobs[running].finished = true;
        running = -1;
        mortal();
    }
    set_rung(bell, true);
    happen();
    if (is_worker()) mortal();
}

void weft__world_drain(int bell) { set_rung(bell, false); }

/* The seat's bell is told of once, the others as long as there is something. */
unsigned weft__world_poll(int poller, uint64_t *tags, unsigned most, int64_t deadline_ns) {
    for (;;) {
        unsigned count = 0;
        uint32_t seen = load_acquire(&happenings);
        weft__lock_acquire(&kernel);
        if (rung[BELL]) tags[count++] = WEFT__TAG_BELL;
        if (to_program.head < to_program.tail) tags[count++] = WEFT__TAG_CHANNEL;
        if (rung[SEAT_BELL]) tags[count++] = (uintptr_t)pool->seats;
        rung[SEAT_BELL] = false;
        weft__lock_release(&kernel);
        if (count > 0 || weft__world_now() >= deadline_ns) return count;
        weft__world_wait(&happenings, seen, deadline_ns);
    }
}

int weft__world_bell(void) { return pool ? SEAT_BELL : BELL; }
int weft__world_poller(void) { return POLLER; }
int weft__world_poller_add(int poller, int fd, uint64_t tag, bool edge) { return 0; }
void weft__world_close(int fd) {}

/* ---- the rest of the world ---- */

uint32_t weft__world_generation(void) { return 1; }
unsigned weft__world_cpus(void) { return 1; }
int weft__world_thread_start(weft__thread *thread, void (*run)(void *arg), void *arg) { return 0; }
void weft__world_thread_join(weft__thread *thread) { await(&watcher_over); }
int weft__process_server_acquire(void) { return 0; }
void weft__process_server_release(void) {}
int weft__process_server_open(int file, uint64_t cap_bytes) { return CHANNEL; }
int weft__arena_init(struct weft__arena *arena, unsigned workers) {
    arena->slots = slot;
    return 0;
}
void weft__arena_fini(struct weft__arena *arena) {}
struct weft__region *weft__arena_take(struct weft__arena *arena, size_t bytes) { return &window; }
void weft__arena_give(struct weft__arena *arena, struct weft__region *region) {}
void *weft__arena_read(struct weft__arena *arena, struct weft__region *region, size_t bytes) { return NULL; }
void *weft__arena_write(struct weft__arena *arena, struct weft__region *region, size_t bytes) { return NULL; }

int64_t weft__deadline(int64_t timeout_ns) {
    return timeout_ns == WEFT_FOREVER ? INT64_MAX : weft__world_now() + timeout_ns;
}
struct weft__task *weft__blocked_task(void) { return NULL; }

/* Only threads wait. */
struct weft__fiber *weft__task_leave(bool (*commit)(struct weft__task *task, void *arg), void *arg,
                                     struct weft__task **self) { model_fail("a task"); }
void weft__task_arrive(struct weft__task *self) {}
void weft__task_wake(struct weft__task *task) { model_fail("a task"); }
bool weft__timer_arm(struct weft__timer *timer, int64_t deadline_ns) { model_fail("a task"); }
enum weft__timer_cancel weft__timer_cancel(struct weft__timer *timer) { model_fail("a task"); }
void weft__timer_settle(struct weft__timer *timer) {}

/* The worker's. */
int weft__world_become_worker(pid_t parent, int *keep, unsigned count) {
    mortal();
    return 0;
}
uint64_t weft__world_identity(int fd) { return 1; }
void weft__world_name_process(const char *name) {}
void *weft__world_map(int file, uint64_t offset, size_t bytes, enum weft__mapping how, bool fences) { return slot; }
void weft__world_unmap(void *memory, size_t bytes, bool fences) {}
/* 0: the job has left a child behind. */
pid_t weft__world_reap(pid_t child, bool wait, bool keep, int *status) {
    mortal();
    unfit = crashes > 0 && model_choose(4) == 0;
    crashes -= unfit;
    return unfit ? 0 : -ECHILD;
}
void weft__world_shared_wait(_Atomic uint32_t *word, uint32_t expected) {
    mortal();
    weft__world_wait(word, expected, INT64_MAX);
    mortal();
}
void weft__world_shared_wake(_Atomic uint32_t *word) { weft__world_wake_all(word); }

/* ---- futures ---- */

static struct job *job_of(weft_future *future) { return &jobs[future != jobs[0].future]; }

void *weft__custom_new(const struct weft__future_ops *ops) {
    struct weft__custom *custom = model_calloc(1, sizeof(struct weft__job));
    custom->ops = ops;
    jobs[made].references = 1;
    return jobs[made++].future = &custom->future;
}
weft_future *weft_future_new(void) { model_fail("a submission fails"); }

weft_future *weft_ref(weft_future *future) {
    fetch_add_relaxed(&job_of(future)->references, 1);
    return future;
}
void weft_release(weft_future *future) {
    if (fetch_sub_acq_rel(&job_of(future)->references, 1) > 1) return;
    ((struct weft__custom *)future)->ops->fini(future);
    model_poison(future, sizeof(struct weft__job));
}
bool weft__future_complete(weft_future *future, intptr_t result, bool cancelled, unsigned gone) {
    struct job *job = job_of(future);
    model_assert(gone == 1);
    job->result = result;
    job->cancelled = cancelled;
    model_assert(exchange_acq_rel(&job->done, 1) == 0);
    weft__world_wake_all(&job->done);
    weft_release(future);
    return true;
}

static void cancel_job(struct job *job) {
    const struct weft__future_ops *ops = ((struct weft__custom *)job->future)->ops;
    if (load_acquire(&job->done) || !ops->accept_cancel(job->future)) return;
    job->accepted = true;
    ops->pass_cancel(job->future, NULL);
}

/* ---- the threads ---- */

static intptr_t run(int number) {
    running = number;
    jobs[number].begun++;
    mortal();
    if (endless && number == 0) await(&killed);
    mortal();
    return VALUE + number;
}
WEFT_JOB(first) { return run(0); }
WEFT_JOB(second) { return run(1); }

static void before(void) {
    memset(jobs, 0, sizeof jobs);
    memset(&kernel, 0, sizeof kernel);
    memset(&to_server, 0, sizeof to_server);
    memset(&to_program, 0, sizeof to_program);
    memset(rung, 0, sizeof rung);
    pool = NULL;
    happenings = watcher_over = worker_state = killed = made = 0;
    ends = model_choose(3);
    retries = model_choose(2);
    limited = model_choose(2);
    cancels = model_choose(2);
    target = model_choose(2);
    endless = (limited || (cancels && target == 0)) && model_choose(2);
    crashes = model_choose(3);
    may_crash = crashes > 0;
    may_not_start = model_choose(8) == 0;
    slot = model_calloc(1, sizeof *slot);
    pool = weft_process_pool_new((weft_process_pool_options){.workers = 1});
    model_assert(weft_process_pool_error(pool) == 0);
}

static void be_program(void) {
    weft_process_pool_submit(pool, first, NULL, 0,
                             (weft_job_options){.timeout_ns = limited ? LIMIT_NS : 0, .retries = retries});
    weft_process_pool_submit(pool, second, NULL, 0, (weft_job_options){0});
    for (unsigned rounds = model_choose(3) * 20; rounds > 0; rounds--) weft__world_relax(0);
    if (cancels) cancel_job(&jobs[target]);
    for (unsigned i = 0; ends == AWAITS && i < 2; i++) await(&jobs[i].done);
    int error = weft_process_pool_close(pool, ends == HURRIES ? 0 : WEFT_FOREVER);
    model_assert(error == 0 || (error == -ETIMEDOUT && ends == HURRIES));
    for (unsigned i = 0; i < 2; i++) weft_release(jobs[i].future);
    weft_process_pool_release(pool);
}

static void be_worker(void) {
    weft__world_set_pool_thread((void *)slot);
    while (await(&worker_state) == STARTED) {
        running = -1;
        unfit = false;
        if (!_setjmp(death)) weft__process_worker_main((struct weft__worker_start){.bell = SEAT_BELL});
        store_release(&worker_state, DEAD);
        happen();
    }
}

static void answer(enum weft__process_word word, uint32_t life, int value) {
    send(&to_program, &(struct weft__process_message){.word = word, .life = life, .value = value});
}

static void kill_worker(void) {
    tell(&killed, 1);
    while (load_acquire(&worker_state) != DEAD) {
        weft__world_wake_all(&slot->command);
        weft__world_relax(0);
    }
}

static void serve(void) {
    struct weft__process_message message = {0};
    for (uint32_t life = 0; message.word != WEFT__PROCESS_CLOSE;) {
        uint32_t seen = load_acquire(&happenings);
        if (life && load_acquire(&worker_state) == DEAD) {
            answer(WEFT__PROCESS_DIED, life, 1);
            life = 0;
        } else if (!receive(&to_server, &message)) {
            weft__world_wait(&happenings, seen, INT64_MAX);
        } else if (message.word == WEFT__PROCESS_FORK && may_not_start && model_choose(2)) {
            answer(WEFT__PROCESS_DIED, message.life, -EAGAIN);
        } else if (message.word == WEFT__PROCESS_FORK) {
            life = message.life;
            store_relaxed(&killed, 0);
            tell(&worker_state, STARTED);
        } else if (life && (message.word == WEFT__PROCESS_CLOSE || message.life == life)) {
            kill_worker();
            answer(WEFT__PROCESS_DIED, life, 1);
            life = 0;
        }
    }
    answer(WEFT__PROCESS_CLOSED, 0, 0);
    tell(&worker_state, OVER);
}

static void thread(unsigned index) {
    if (index == 0) {
        be_program();
    } else if (index == 1) {
        weft__pool_watch(pool);
        tell(&watcher_over, 1);
    } else if (index == 2) {
        be_worker();
    } else {
        serve();
    }
}

static bool is_plausible(struct job *job) {
    bool is_first = job == jobs;
    if (job->accepted || job->cancelled) return job->accepted && job->cancelled && job->result == -ECANCELED;
    if (job->finished) return job->result == VALUE + !is_first;
    switch (job->result) {
    case -EOWNERDEAD: return may_crash && job->begun == 1 + (is_first && retries);
    case -ETIMEDOUT: return is_first && limited;
    case -ESHUTDOWN: return ends == HURRIES;
    case -EAGAIN: return may_not_start;
    default: return false;
    }
}

static void after(void) {
    for (unsigned i = 0; i < 2; i++) {
        model_assert(jobs[i].done && is_plausible(&jobs[i]));
        model_assert(jobs[i].begun <= 1 + (i == 0 && retries));
    }
}

const struct model model = {.threads = 4, .rounds = 50000, .before = before, .thread = thread, .after = after};
