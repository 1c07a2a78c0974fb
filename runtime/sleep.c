/* Giving up control: for one turn, or for a while. */
#include <weft/timeout.h>

#include <time.h>

#include "worker.h"

/* ---- yield ---- */

/* Behind everything that is ready: the LIFO slot comes before the ring, the ring is FIFO, and what has not
 * started yet goes before it this time. */
static bool commit_yield(struct weft__task *task, void *none) {
    struct weft__worker *worker = weft__world_worker();
    (void)none;
    if (task->pinned || worker->strict) weft__fifo_push(&worker->local, &task->runnable.link);
    else weft__ready_push_yielded(worker, task);
    return true;
}

int weft_yield(void) {
    struct weft__worker *worker = weft__world_worker();
    if (!worker) return weft__blocked_task() ? -EPERM : 0;
    if (!worker->current) return -EPERM;
    weft__task_suspend(commit_yield, NULL);
    return 0;
}

/* ---- sleep ---- */

struct sleeper {
    struct weft__wait wait;
    struct weft__timer timer;
    struct weft__runnable runnable; /* strict order: the timer's callback takes a turn of the queue */
    struct weft__task *task;
    int64_t deadline_ns;
};

static void wake_sleeper(struct sleeper *self) {
    struct weft__task *task = self->task;
    weft__timer_fired(&self->timer); /* the task still cannot leave: it is not woken yet */
    weft__task_wake(task);
}

static void run_due(struct weft__worker *worker, struct weft__runnable *runnable) {
    (void)worker;
    wake_sleeper(weft__container_of(runnable, struct sleeper, runnable));
}

static void fire(struct weft__timer *timer) {
    struct sleeper *self = weft__container_of(timer, struct sleeper, timer);
    struct weft__worker *worker = weft__world_worker();
    if (worker && worker->strict) weft__fifo_push(&worker->local, &self->runnable.link);
    else wake_sleeper(self);
}

/* Whoever takes the timer out of the wheel wakes the task. */
static void cancel(struct weft__wait *wait) {
    struct sleeper *self = weft__container_of(wait, struct sleeper, wait);
    if (weft__timer_cancel(&self->timer) == WEFT__CANCEL_DONE) weft__task_wake(self->task);
}

static bool commit_sleep(struct weft__task *task, void *arg) {
    struct sleeper *self = arg;
    weft__wait_publish(task, &self->wait);
    return weft__timer_arm(&self->timer, self->deadline_ns);
}

static int sleep_on_thread(int64_t deadline_ns) {
    struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)) {}
    return 0;
}

int weft_sleep_until(int64_t deadline_ns) {
    struct weft__worker *worker = weft__world_worker();
    if (!worker && weft__blocked_task()) return -EPERM;
    if (!worker) return sleep_on_thread(deadline_ns > 0 ? deadline_ns : 0);
    struct weft__task *task = worker->current;
    if (!task) return -EPERM;
    struct sleeper self = {.wait.cancel = cancel, .runnable.run = run_due, .task = task, .deadline_ns = deadline_ns};
    weft__timer_init(&self.timer, &worker->timers, fire);
    weft__task_suspend(commit_sleep, &self);
    weft__wait_retract(task);
    if (load_relaxed(&self.timer.state) != WEFT__TIMER_CANCELLED) return 0;
    weft__cancel_consume(task); /* unless it was taken back meanwhile: the sleep is over all the same */
    return -ECANCELED;
}

int weft_sleep(int64_t duration_ns) {
    if (duration_ns > 0) {
        int64_t now = weft__world_now();
        return weft_sleep_until(duration_ns > INT64_MAX - now ? INT64_MAX : now + duration_ns);
    }
    struct weft__worker *worker = weft__world_worker();
    struct weft__task *task = worker ? worker->current : NULL;
    int error = weft_yield();
    if (error || !task) return error;
    weft__hosts_publish(task->stack); /* a request to one of them is for us */
    return weft__cancel_consume(task) ? -ECANCELED : 0;
}
