/* A process pool in the program: seats for workers, the queue, and the jobs. The protocol with the workers stands
 * in process_slot.h, the one inside the program in process_pool.c. */
#ifndef WEFT_RUNTIME_PROCESS_POOL_H
#define WEFT_RUNTIME_PROCESS_POOL_H

#include <weft/process_pool.h>

#include "future.h"
#include "parker.h"
#include "process_arena.h"

/* What a submission returns: one slab record. */
struct weft__job {
    struct weft__custom custom;
    _Atomic uint32_t state;           /* any thread; protocol in process_job.c */
    uint32_t index;                   /* const after init: in the table of jobs */
    /* const after init */
    weft_process_pool *pool;          /* referenced */
    int64_t timeout_ns;
    /* whoever has the job: its submitter, the queue (pool lock), the watcher; in the end its references */
    struct weft__list link;           /* in the queue */
    struct weft__seat *seat;          /* where it runs; NULL: nowhere */
    void *input;                      /* its own; or */
    struct weft__region *input_region;
    size_t input_bytes;
    void *output;                     /* its own, or in */
    struct weft__region *output_region;
    size_t output_bytes;
    uint32_t retries;                 /* left */
    int verdict;                      /* what its worker is being killed for; 0: it is not */
    int status;                       /* of the worker that died under it last; -1: none */
    uint8_t not_begun;                /* workers that died before they looked at it */
    bool queued;
};
_Static_assert(sizeof(struct weft__job) <= WEFT__SLAB_RECORD_BYTES, "a job is one slab record");

/* A slot, and the worker that sits there at present. */
struct weft__seat {
    /* const after init */
    uint32_t index;
    struct weft__slot *slot;
    int bell;                         /* rung by the worker */
    /* pool lock */
    struct weft__seat *next_idle;
    struct weft__job *job;            /* with the job's own reference */
    struct weft__region *window;      /* for an output that does not fit into the slot; NULL: no memory */
    int64_t deadline_ns;              /* of the job; INT64_MAX: none */
    uint32_t number;                  /* of the last job: see process_slot.h */
    uint32_t life;                    /* of the worker, counted from 1 */
    uint32_t first_number;            /* what `number` was at the beginning of this life */
    uint8_t barren;                   /* lives in a row in which it was given no job */
    bool alive;                       /* asked for, and not known to be dead */
    bool doomed;                      /* being killed: gets no more jobs */
};

struct weft_process_pool {
    /* const after init */
    int failure;                      /* why it never worked; 0: it did */
    uint32_t generation;              /* of the process that made it */
    size_t queue_length, cap_bytes;
    struct weft__arena arena;
    struct weft__seat *seats;
    unsigned seat_count;
    int poller, bell;                 /* the watcher's */
    weft__thread watcher;
    /* any thread */
    _Atomic size_t references;        /* the handle's, and one per job that is not freed */
    /* lock */
    weft__lock lock;
    int channel;                      /* -1: closed, or the server is gone */
    _Atomic int error;                /* why no more jobs are taken; 0: they are. Read by any thread */
    bool stopping, gone, joined;      /* the watcher is to end; has ended; is joined */
    struct weft__list queue;
    size_t granted;                   /* places in the queue that are promised to who waited for room */
    struct weft__seat *idle;          /* the one that worked last first: it may still spin */
    int64_t watched_until_ns;         /* when the watcher will look at deadlines */
    struct weft__line room, drained, ended;
    weft_process_pool_stats stats;
};

/* process_job.c: gives up what a job holds, and completes it. The caller has taken it out of the queue or off its
 * seat, and gives up that reference. Thread: any, without the pool's lock. */
void weft__job_finish(struct weft__job *job, intptr_t result);
bool weft__job_is_cancelled(struct weft__job *job);
/* From here on no cancel request is accepted. False: one was, and the job ends cancelled. */
bool weft__job_settle(struct weft__job *job);

/* process_seat.c. Thread: any, with the pool's lock. */
void weft__seats_fill(weft_process_pool *pool);      /* asks for workers for all empty seats */
bool weft__seat_fill(weft_process_pool *pool, struct weft__seat *seat); /* false: it could not even be asked for */
void weft__seat_give(weft_process_pool *pool, struct weft__seat *seat, struct weft__job *job);
/* The job that has waited longest; none: the seat is idle. */
void weft__seat_give_next(weft_process_pool *pool, struct weft__seat *seat, struct weft__line *woken);
void weft__seat_leave_idle(weft_process_pool *pool, struct weft__seat *seat);
void weft__seat_doom(weft_process_pool *pool, struct weft__seat *seat);
bool weft__seat_is_done(const struct weft__seat *seat);
void weft__seat_wake(struct weft__seat *seat);       /* without the lock, after it was given a job */
bool weft__waiting_has_room(const weft_process_pool *pool);
void weft__waiting_grant_room(weft_process_pool *pool, struct weft__line *woken);
/* `in_front`: a job that is run again. */
void weft__waiting_add(weft_process_pool *pool, struct weft__job *job, bool in_front);
void weft__waiting_remove(weft_process_pool *pool, struct weft__job *job);
void weft__waiting_take_all(weft_process_pool *pool, struct weft__list *taken);
void weft__waiting_finish(struct weft__list *taken, int error); /* without the lock */
/* Grants those that wait for the end of all jobs, if that has come. */
void weft__waiting_look_if_drained(weft_process_pool *pool, struct weft__line *woken);
int weft__pool_tell_server(weft_process_pool *pool, enum weft__process_word word, const struct weft__seat *seat);

/* process_watcher.c: the watcher's thread; arg is the pool. Its poller has tags for bell and channel; others are
 * the addresses of seats. */
enum { WEFT__TAG_BELL = 1, WEFT__TAG_CHANNEL };
void weft__pool_watch(void *arg);

/* process_pool.c: takes a job, and its reference: gives it to an idle worker, or queues it. `permit`: a place in
 * the queue was granted to the caller. 0, -EAGAIN (no room), or the pool's error: then the job is the caller's. */
int weft__pool_take(weft_process_pool *pool, struct weft__job *job, bool permit);
/* Waits for room in the queue, and takes a permit for one place. 0, also if the pool has an error, -ECANCELED,
 * -EDEADLK. */
int weft__pool_await_room(weft_process_pool *pool);
void weft__pool_return_permit(weft_process_pool *pool);
/* Sees to it that a cancelled job ends. Thread: any. */
void weft__pool_cancel(weft_process_pool *pool, struct weft__job *job);
void weft__pool_release(weft_process_pool *pool);

#endif
