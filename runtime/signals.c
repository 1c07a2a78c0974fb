/* Signals as callbacks of a loop, and SIGINT as asyncio.run treats it.
 *
 * The kernel may pick any thread to run a handler. It only posts the signal's runnable, which is set aside here,
 * to the loop's inbox: a CAS, and a system call if the loop sleeps; both are async-signal-safe. While a
 * runnable waits to be run, further signals of its number are one with it, as POSIX signals are anyway.
 *
 * A handler may still run on another thread when its signal has been removed: `inside` counts handlers, and
 * whoever takes a worker away from a slot waits until they have left. */
#include <weft/signal.h>

#include <signal.h>
#include <unistd.h>

#include "assert.h"
#include "worker.h"

#define SIGNALS 65

static struct slot {
    _Atomic(struct weft__worker *) worker; /* NULL: nobody handles the signal */
    /* main thread only, while `worker` is NULL */
    weft_loop *loop;
    void (*fn)(void *arg);
    void *arg;
    bool abort_on_second;
    /* any thread */
    struct weft__runnable runnable;
    _Atomic bool posted;
    _Atomic uint32_t raised;
} slots[SIGNALS];

static _Atomic uint32_t inside;

static void on_signal(int number) {
    struct slot *slot = &slots[number];
    atomic_fetch_add_explicit(&inside, 1, memory_order_seq_cst); /* pairs with vacate */
    struct weft__worker *worker = load_seq_cst(&slot->worker);
    if (worker && fetch_add_relaxed(&slot->raised, 1) > 0 && slot->abort_on_second) {
        signal(number, SIG_DFL);
        raise(number);
    }
    if (worker && !exchange_acq_rel(&slot->posted, true)) weft__worker_post(worker, &slot->runnable);
    atomic_fetch_sub_explicit(&inside, 1, memory_order_seq_cst);
}

static void run_slot(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct slot *slot = weft__container_of(runnable, struct slot, runnable);
    store_release(&slot->posted, false); /* pairs with the exchange in on_signal */
    if (worker && load_acquire(&slot->worker) == worker) slot->fn(slot->arg);
}

static void vacate(struct slot *slot) {
    exchange_seq_cst(&slot->worker, NULL);
    for (unsigned round = 0; load_seq_cst(&inside) > 0; round++) weft__world_relax(round);
}

static int occupy(int number, weft_loop *loop, void (*fn)(void *arg), void *arg, bool abort_on_second) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct slot *slot = &slots[number];
    vacate(slot);
    slot->loop = loop;
    slot->fn = fn;
    slot->arg = arg;
    slot->abort_on_second = abort_on_second;
    slot->runnable.run = run_slot;
    store_relaxed(&slot->raised, 0);
    exchange_seq_cst(&slot->worker, loop->worker);
    sigfillset(&action.sa_mask);
    if (sigaction(number, &action, NULL) == 0) return 0;
    vacate(slot);
    return -EINVAL;
}

int weft_loop_add_signal_handler(weft_loop *loop, int number, void (*fn)(void *arg), void *arg) {
    if (!loop || !fn || number < 1 || number >= SIGNALS) return -EINVAL;
    if (getpid() != weft__world_thread_id()) return -EPERM;
    int error = weft__gate_enter(loop);
    if (error) return error;
    error = occupy(number, loop, fn, arg, false);
    weft__gate_leave(loop);
    return error;
}

bool weft_loop_remove_signal_handler(weft_loop *loop, int number) {
    if (!loop || number < 1 || number >= SIGNALS || slots[number].loop != loop) return false;
    if (!load_acquire(&slots[number].worker)) return false;
    vacate(&slots[number]);
    signal(number, SIG_DFL);
    return true;
}

void weft__signals_forget(struct weft__worker *worker) {
    for (int number = 1; number < SIGNALS; number++) {
        if (load_acquire(&slots[number].worker) != worker) continue;
        vacate(&slots[number]);
        signal(number, SIG_DFL);
    }
}

static void cancel_main(void *task) { weft_cancel(task); }

/* As a handler reads it: `inside` keeps the slot as it is. */
bool weft__signals_any(struct weft__runtime *runtime) {
    bool any = false;
    atomic_fetch_add_explicit(&inside, 1, memory_order_seq_cst); /* pairs with vacate */
    for (int number = 1; number < SIGNALS; number++) {
        struct weft__worker *worker = load_seq_cst(&slots[number].worker);
        any |= worker && worker->runtime == runtime && slots[number].fn != cancel_main;
    }
    atomic_fetch_sub_explicit(&inside, 1, memory_order_seq_cst);
    return any;
}

/* ---- SIGINT during a run: the first cancels main, the second kills ---- */

bool weft__interrupt_begin(weft_loop *loop, weft_task *main) {
    struct sigaction now;
    if (getpid() != weft__world_thread_id() || sigaction(SIGINT, NULL, &now) != 0) return false;
    if ((now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_DFL) return false;
    return occupy(SIGINT, loop, cancel_main, main, true) == 0;
}

intptr_t weft__interrupt_end(bool begun, intptr_t result) {
    struct slot *slot = &slots[SIGINT];
    if (!begun || slot->fn != cancel_main) return result; /* replaced by the program */
    bool raised = load_relaxed(&slot->raised) > 0;
    weft_loop_remove_signal_handler(slot->loop, SIGINT);
    return raised && result == -ECANCELED ? -EINTR : result;
}
