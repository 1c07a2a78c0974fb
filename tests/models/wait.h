/* runtime/cancel.c in short, for models in which one task can be cancelled, once at a time: the request, the wait that
 * the task publishes, and the bit that keeps the wait in place while somebody ends it. task.c has the real one. */
#ifndef WEFT_TESTS_MODEL_WAIT_H
#define WEFT_TESTS_MODEL_WAIT_H

#include "model.h"

#include "runtime/worker.h"

/* ---- a word that is told once ---- */

static void tell(_Atomic uint32_t *word, uint32_t value) {
    store_release(word, value);
    weft__world_wake_all(word);
}

static uint32_t await(_Atomic uint32_t *word) {
    uint32_t value;
    while ((value = load_acquire(word)) == 0) weft__world_wait(word, 0, INT64_MAX);
    return value;
}

/* ---- the task that can be cancelled ---- */

static struct weft__task *cancellable;
static _Atomic(struct weft__wait *) published;
static _Atomic bool requested, busy;

static void wait_reset(struct weft__task *task) {
    cancellable = task;
    published = NULL;
    requested = busy = false;
}

static void deliver(void) {
    while (exchange_seq_cst(&busy, true)) weft__world_relax(0);
    struct weft__wait *wait = exchange_seq_cst(&published, NULL);
    if (wait) wait->cancel(wait);
    store_release(&busy, false);
}

static void request_cancel(void) {
    exchange_seq_cst(&requested, true);
    deliver();
}

void weft__wait_publish(struct weft__task *task, struct weft__wait *wait) {
    store_release(&task->wait, (uintptr_t)wait);
    if (task != cancellable) return;
    exchange_seq_cst(&published, wait);
    if (load_seq_cst(&requested)) deliver();
}

void weft__wait_retract(struct weft__task *task) {
    store_relaxed(&task->wait, 0);
    if (task != cancellable) return;
    exchange_seq_cst(&published, NULL);
    while (load_seq_cst(&busy)) weft__world_relax(0); /* pairs with deliver */
}

bool weft__cancel_consume(struct weft__task *task) {
    return task == cancellable && exchange_seq_cst(&requested, false);
}

bool weft__cancel_pending(struct weft__task *task) { return task == cancellable && load_seq_cst(&requested); }

#endif
