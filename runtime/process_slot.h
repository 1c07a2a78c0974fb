/* The process pool: who speaks with whom, and through which memory.
 *
 *     program (any thread, the pool's watcher)            fork server            worker 0, 1, ...
 *         | ---- a channel per pool: FORK, KILL, CLOSE -------> |  ---- fork, kill ---> |
 *         | <--- DIED with the wait status, CLOSED ------------ |  <--- wait ---------- |
 *         | ---- the worker's slot, in shared memory ---------------------------------> |
 *         | <--- the slot, and the worker's bell (an eventfd) ------------------------- |
 *
 * The fork server is a process without threads, forked from the program before that has any. It alone makes and
 * reaps workers. It ends, and kills all it has made, when the program closes its control channel or dies; a pool's
 * when the pool closes its own. All that it needs to know arrives in messages; it maps nothing.
 *
 * All memory of a pool is one file without a name (memfd): first the slots, one per worker, then regions for
 * payloads that do not fit into a slot (process_arena.c). A worker maps its own slot, and the regions of the job
 * that it runs: the input to be read only. So a job that writes where it should not, and does not crash, spoils
 * its own job at worst; the program takes nothing from a slot that it has not checked, and keeps all state of its
 * own outside.
 *
 * A slot carries one job at a time. `number` counts the jobs that were given to the slot, from 1:
 *
 *     the program                                     the worker
 *     P1 job, input, output := ...                    W1 sees command == number, begun := number
 *     P2 command := number                            W2 runs the job
 *     P3 if sleeping: futex wake                      W3 result, output := ..., done := number; rings its bell
 *     P4 (watcher) sees done == number                W4 spins, sleeping := 1, waits while command == number
 *
 * P2 and W4 are each followed by a seq_cst fence before the other's word is read: one sees the other. `begun`
 * tells a job that died with its worker from one that its worker never looked at, which may be given to another.
 * After a death the program makes `done` and `begun` its own number again, and the next worker begins there. */
#ifndef WEFT_RUNTIME_PROCESS_SLOT_H
#define WEFT_RUNTIME_PROCESS_SLOT_H

#include <weft/process_pool.h>

#include <sys/types.h>

#include "atomics.h"

#define WEFT__SLOT_INLINE 4096 /* payloads up to this size travel in the slot: a copy costs less than a mapping */
#define WEFT__SLOT_BYTES (3 * 4096)

struct weft__slot {
    /* the program writes before P2, the worker reads after W1 */
    _Atomic uint32_t command;
    uint32_t job;                 /* index into the table of jobs */
    uint64_t input_bytes;
    uint64_t input_offset;        /* of the region in the file; 0: `input` */
    uint64_t output_offset;       /* of a region of the cap's size, for what does not fit into `output` */
    /* the worker writes, before W3 where not atomic */
    _Alignas(WEFT__CACHE_LINE) _Atomic uint32_t begun;
    _Atomic uint32_t done;
    _Atomic uint32_t sleeping;
    uint32_t output_in_region;
    int64_t result;
    uint64_t output_bytes;
    /* payloads */
    _Alignas(4096) char input[WEFT__SLOT_INLINE];
    char output[WEFT__SLOT_INLINE];
};
_Static_assert(sizeof(struct weft__slot) == WEFT__SLOT_BYTES, "a slot is three pages");

/* What travels over channels. */
enum weft__process_word {
    WEFT__PROCESS_OPEN,   /* program to server, on the control channel: a pool; its channel and file */
    WEFT__PROCESS_FORK,   /* a worker for slot `index`; its bell */
    WEFT__PROCESS_KILL,
    WEFT__PROCESS_CLOSE,  /* kill all of the pool; answered by CLOSED */
    WEFT__PROCESS_DIED,   /* server to program: `value` is the wait status; or -errno: it could not be forked */
    WEFT__PROCESS_CLOSED,
};
struct weft__process_message {
    uint32_t word;
    uint32_t index;       /* of the worker */
    uint32_t life;        /* which worker of this slot; from 1 */
    int32_t value;
    uint64_t cap_bytes;   /* OPEN: the largest output */
};

/* process_worker.c: what a worker begins with; it never returns. Its slot is the one of `index` in `file`. */
struct weft__worker_start {
    pid_t server;
    uint32_t index;
    int file, bell;
    uint64_t cap_bytes;
};
__attribute__((noreturn)) void weft__process_worker_main(struct weft__worker_start start);

/* The table of jobs, which the linker has made: the same in all processes. */
size_t weft__jobs_count(void);
const weft_job_descriptor *weft__jobs_at(size_t index);
/* -1: not one of them. */
ptrdiff_t weft__jobs_index(const weft_job_descriptor *job);

/* process_server.c. wanted: whether weft_run is to start the fork server: not in a program without jobs, nor in a
 * worker, where a job may call it. acquire starts it unless it runs: 0, -EBUSY (the process has other threads, or
 * runs a loop here), -ENOMEM, -EAGAIN, -EMFILE; release stops it when nobody needs it any more. open hands it a
 * pool's file, and returns the program's end of the pool's channel, or -errno. */
bool weft__process_server_wanted(void);
int weft__process_server_acquire(void);
void weft__process_server_release(void);
int weft__process_server_open(int file, uint64_t cap_bytes);

#endif
