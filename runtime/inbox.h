/* Messages to one worker: any thread posts; the owner takes all at once, each poster's in its order.
 *
 * An array of slots, so that the owner can fetch many messages into its cache at a time, where a list is one
 * cache miss after the other (a submit from another thread: 110 -> 65 ns). What finds no slot goes to a Treiber stack,
 * which is only ever emptied whole, so there is no ABA. Neither waits: posting is lock-free and async-signal-safe, and a
 * poster that is preempted before it has filled its slot keeps nobody else's messages back.
 *
 *     post                                          take_all
 *     P1 overflow empty, and a slot free?           T1 overflow anything? then exchange it for DRAINING
 *        no: push onto overflow                     T2 read tail
 *     P2 tail += 1 (CAS): the slot is ours          T3 take whatever slots [head, tail) are filled
 *     P3 fill the slot                              T4 then what T1 found, oldest first
 *                                                   T5 if it is still just DRAINING: overflow := empty
 *
 * Order: whoever has posted to the overflow finds it not empty in P1 until T5, so what he posts next comes behind it.
 * And whoever posts to it has filled the slots of all that he posted before, which T3 sees through T1. A slot is free
 * again when head has passed it; what T3 takes behind one that is not filled yet is remembered in `taken`.
 *
 * Rejected: an intrusive MPSC queue after Vyukov, where a preempted poster keeps the others' messages back. */
#ifndef WEFT_RUNTIME_INBOX_H
#define WEFT_RUNTIME_INBOX_H

#include "atomics.h"
#include "list.h"

#ifndef WEFT__INBOX_SLOTS
#define WEFT__INBOX_SLOTS 256 /* a power of two; tests build with fewer */
#endif

struct weft__inbox {
    /* any thread */
    _Alignas(WEFT__CACHE_LINE) _Atomic uint32_t tail;
    _Atomic(struct weft__item *) overflow; /* newest first, down to NULL or DRAINING */
    /* written by the owner alone */
    _Alignas(WEFT__CACHE_LINE) _Atomic uint32_t head;
    uint64_t taken[(WEFT__INBOX_SLOTS + 63) / 64];
    /* any thread; a slot that was taken is empty */
    _Alignas(WEFT__CACHE_LINE) _Atomic(struct weft__item *) slots[WEFT__INBOX_SLOTS];
};

void weft__inbox_init(struct weft__inbox *inbox);

/* Thread: any. The message belongs to the inbox until it is taken. */
void weft__inbox_post(struct weft__inbox *inbox, struct weft__item *message);

/* Appends all messages to `to`. Thread: the owner. */
void weft__inbox_take_all(struct weft__inbox *inbox, struct weft__fifo *to);

/* Whether take_all would find nothing. Thread: the owner. */
bool weft__inbox_empty(struct weft__inbox *inbox);

#endif
