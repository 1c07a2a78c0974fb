/* What debug mode's watchdog knows of a worker; protocol in watchdog.c. */
#ifndef WEFT_RUNTIME_WATCHDOG_H
#define WEFT_RUNTIME_WATCHDOG_H

#include "atomics.h"

#define WEFT__WATCHDOG_FRAMES 48

struct weft__worker;

struct weft__watchdog_step {
    const char *kind, *name;
    const void *site;
    int64_t began_ns;
};

struct weft__watchdog {
    /* written by the worker, read by the watchman */
    _Atomic(const char *) kind;
    _Atomic(const char *) name;
    _Atomic(const void *) site;
    _Atomic int64_t began_ns;  /* 0: no step runs, or debug mode is off */
    /* the watchman's own */
    int64_t asked_ns, reported_ns; /* when the step began whose stack was asked for, and that was reported */
    int64_t give_up_ns;
    /* watchman and signal handler */
    _Atomic uint32_t wanted;
    int count;                 /* TAKING: the handler's; READY: the watchman's */
    void *at, *frames[WEFT__WATCHDOG_FRAMES];
};

/* Around a step or callback in debug mode. Thread: the worker's. */
void weft__watchdog_begin(struct weft__watchdog *dog, const char *kind, const char *name, const void *site,
                          int64_t now_ns);
void weft__watchdog_end(struct weft__watchdog *dog);

/* In the worker's signal handler. */
void weft__watchdog_take_stack(struct weft__watchdog *dog, void *context);

/* The worker is stuck: reports its step once if that is slow. Returns whether to send the signal for its stack
 * first.
 * Thread: the watchman's. */
bool weft__watchdog_look(struct weft__worker *worker, int64_t now_ns, bool runs, bool may_signal);

#endif
