/* weft/process_pool.h: jobs in processes of their own.
 *
 *     WEFT_JOB_OF(area, struct rectangle, double) {                // in: const struct rectangle *, out: double *
 *         *out = in->width * in->height;
 *         return 0;
 *     }
 *     ...
 *     double square_metres;
 *     intptr_t r = weft_process_pool_call(pool, area, &room, sizeof room, &square_metres, sizeof square_metres);
 *
 * A job is a named function over bytes. It runs in a worker process, which was forked from the program as it was
 * when weft_run began, or when weft_process_pool_prepare was called: it sees the program's variables as they were
 * then, and nothing that it changes comes back but its result and its output. A worker runs one job after the
 * other; what a job leaves behind there (variables, the working directory) its next job finds.
 *
 * A job that crashes, exits or is killed fails alone, with -EOWNERDEAD, and its worker is replaced. A job that is
 * cancelled or takes too long is killed. Processes that a job has started die with it, or with its worker.
 *
 * Workers have stdout and stderr from the program, /dev/null for stdin, no other descriptor, the signal mask that
 * the program had then, and default handlers. What a job prints is flushed when it returns, and lost if it dies
 * before. It may call weft_run.
 *
 * If the program has any job, weft_run begins by starting the fork server, a process which makes the workers, and
 * stops it when neither a run nor a pool needs it. If the program is killed, the fork server kills them. It is the
 * only child that the program gets: a wait for any child may meet it. */
#ifndef WEFT_PROCESS_POOL_H
#define WEFT_PROCESS_POOL_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- jobs ---- */

/* A job, seen from within. `input` may be read until it returns, and is aligned for every type. */
typedef struct weft_job {
    const void *input;
    size_t input_bytes;
    void *opaque[4];    /* weft's */
} weft_job;

/* What a job is called by; a name that WEFT_JOB defines. */
typedef struct weft_job_descriptor {
    const char *name;
    intptr_t (*run)(weft_job *job);
} weft_job_descriptor;

/* The input, if it has exactly `bytes` bytes, else NULL.
 * Thread: any, inside the job. Suspends: no. Owns: borrowed until the job returns. Errors: NULL. */
const void *weft_job_input(const weft_job *job, size_t bytes);

/* Gives the job an output of `bytes` bytes, and returns where to write it; what is there at first is garbage.
 * Called again, it changes the size: what was written stays, but may move. An output takes memory only where it is
 * written: one may ask for the pool's payload_cap_bytes first, and for what was used in the end.
 * Thread: any, inside the job. Suspends: no. Owns: borrowed until the job returns. Errors: NULL (over the cap, no
 * memory). */
void *weft_job_reply(weft_job *job, size_t bytes);

#ifdef __cplusplus
}
#endif

/* Defines the job `name`; what follows is the body of `intptr_t name(weft_job *job)`. Its result is the future's,
 * errors in [-4095, -1] included. WEFT_JOB_DECLARE is for a header. */
#define WEFT_JOB(name)                                                                                       \
    static intptr_t name##__run(weft_job *job);                                                              \
    WEFT_JOB_DECLARE(name);                                                                                  \
    const weft_job_descriptor name[1]                                                                        \
        __attribute__((used, section("weft_jobs"), aligned(16))) = {{#name, name##__run}};                   \
    static intptr_t name##__run(__attribute__((unused)) weft_job *job)
#ifdef __cplusplus
#define WEFT_JOB_DECLARE(name) extern "C" const weft_job_descriptor name[1]
#else
#define WEFT_JOB_DECLARE(name) extern const weft_job_descriptor name[1]
#endif

/* The same for a job that takes one `input_type` as `in` and gives one `output_type` as `*out`, zeroed. -EINVAL if
 * the input has another size. */
#define WEFT_JOB_OF(name, input_type, output_type)                                                           \
    typedef __typeof__(input_type) name##__input;                                                            \
    typedef __typeof__(output_type) name##__output;                                                          \
    static intptr_t name##__typed(weft_job *job, const name##__input *in, name##__output *out);              \
    WEFT_JOB(name) {                                                                                         \
        const name##__input *in = (const name##__input *)weft_job_input(job, sizeof *in);                    \
        name##__output *out = (name##__output *)weft_job_reply(job, sizeof *out);                            \
        if (!in || !out) return -EINVAL;                                                                     \
        __builtin_memset(out, 0, sizeof *out);                                                               \
        return name##__typed(job, in, out);                                                                  \
    }                                                                                                        \
    static intptr_t name##__typed(__attribute__((unused)) weft_job *job,                                     \
                                  __attribute__((unused)) const name##__input *in,                           \
                                  __attribute__((unused)) name##__output *out)

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pools ---- */

typedef struct weft_process_pool weft_process_pool;

/* Zero is the default of every option. */
typedef struct weft_process_pool_options {
    unsigned workers;           /* processes, at most 1024; 0: one per CPU allowed to us */
    size_t queue_length;        /* jobs that may wait for a worker; 0: 1024 */
    size_t payload_cap_bytes;   /* what an input or an output may have, at most 16 GiB; 0: 64 MiB */
} weft_process_pool_options;

typedef struct weft_job_options {
    int64_t timeout_ns;         /* how long the job may run, waiting not counted; 0 or WEFT_FOREVER: no limit */
    unsigned retries;           /* how often it is run again when its worker has died under it */
} weft_job_options;

/* Makes a pool, and asks for its workers. A pool that cannot work is made, too, and says why: each submission
 * fails with that error.
 * Thread: any. Suspends: no. Owns: the caller closes and releases it. Errors: never NULL; see
 * weft_process_pool_error. */
weft_process_pool *weft_process_pool_new(weft_process_pool_options options);

/* Why the pool does not work; 0: it does. -EBUSY: the fork server is not there, and can no longer be started since
 * the process has other threads or runs a loop: call weft_process_pool_prepare earlier.
 * Thread: any. Suspends: no. Errors: 0; -EINVAL (NULL, an option out of range), -EBUSY, -EPERM (a forked child;
 * the parent's pool), -EOWNERDEAD (the fork server was killed), -ESHUTDOWN (closed), -ENOMEM, -EMFILE, -EAGAIN and
 * other errors of fork, sockets and threads. */
int weft_process_pool_error(const weft_process_pool *pool);

/* Starts the fork server, which otherwise weft_run does, and keeps it as long as the process lives: for programs
 * that have other threads before weft_run. Again: nothing happens. In a program without jobs it does nothing.
 * Thread: any, as the only one, without a running loop. Suspends: no. Errors: -EBUSY (there are other threads, or
 * a loop runs here), -ENOMEM, -EAGAIN, -EMFILE. */
int weft_process_pool_prepare(void);

/* Ends the pool: no more jobs are taken (-ESHUTDOWN), and those that there are have `timeout_ns` to end; the rest
 * then ends with -ESHUTDOWN, killed if it runs. When this returns no process of the pool is left. If the wait is
 * cancelled, the pool takes no more jobs, but those that there are go on, and close can be called again.
 * Thread: any but a loop's callback. Suspends: yes. Owns: the handle stays the caller's.
 * Errors: 0 (closed, also if it was before), -ECANCELED, -ETIMEDOUT (closed, and jobs were killed), -EINVAL
 * (NULL), -EDEADLK (a loop's callback), -EPERM (a forked child). */
int weft_process_pool_close(weft_process_pool *pool, int64_t timeout_ns);

/* Gives up the handle of a pool that is closed, or closes it with a timeout of 0.
 * Thread: any but a loop's callback. Suspends: yes, if it is not closed. Owns: takes the handle; NULL is fine.
 * Errors: as weft_process_pool_close: with -EDEADLK and -EPERM nothing happens. */
int weft_process_pool_release(weft_process_pool *pool);

typedef struct weft_process_pool_stats {
    size_t workers;      /* processes that live */
    size_t running;      /* jobs */
    size_t queued;
    uint64_t submitted;  /* since the beginning, as all that follow */
    uint64_t completed;  /* with whatever result of their own */
    uint64_t crashed;    /* with -EOWNERDEAD */
    uint64_t timed_out;
    uint64_t cancelled;
    uint64_t abandoned;  /* when the pool was closed, or for want of workers */
    uint64_t retried;    /* jobs that were run again */
    uint64_t restarts;   /* workers that were replaced */
} weft_process_pool_stats;

/* What the pool has done.
 * Thread: any. Suspends: no. Errors: none; zeroes for NULL and for a pool that does not work. */
weft_process_pool_stats weft_process_pool_get_stats(const weft_process_pool *pool);

/* ---- submitting ---- */

/* Submits `job` with a copy of `input`. The future completes with the job's result. Cancelling it, or a task that
 * awaits it, takes the job out of the queue, or kills it, and it ends when the worker is dead. Giving it up lets
 * the job go on.
 * Thread: any. Suspends: no. Owns: the caller holds one reference; `input` stays the caller's.
 * Errors: never NULL; the job's own; -EINVAL (NULL, not a job), -EAGAIN (the queue is full), -EMSGSIZE (the input
 * is over the cap), -ENOMEM; -EOWNERDEAD (it crashed: see weft_job_status; or no worker can be had), -ETIMEDOUT,
 * -ECANCELED, -EBADMSG (it has overwritten what was not its own), -ESHUTDOWN (closed), and those of
 * weft_process_pool_error. */
weft_future *weft_process_pool_submit(weft_process_pool *pool, const weft_job_descriptor *job, const void *input,
                                      size_t input_bytes, weft_job_options options);

/* The same, but waits for room in the queue; in the order of the calls.
 * Thread: any but a loop's callback. Suspends: yes. Errors: also -ECANCELED (while it waited), -EDEADLK. */
weft_future *weft_process_pool_submit_wait(weft_process_pool *pool, const weft_job_descriptor *job,
                                           const void *input, size_t input_bytes, weft_job_options options);

/* Submits a job, awaits it, and copies its output, if it does not fail, to `output`, where there is room for
 * `output_bytes`; what is left is zeroed.
 * Thread: any but a loop's callback. Suspends: yes. Owns: borrows input and output until it returns.
 * Errors: as weft_process_pool_submit_wait and weft_await; -EMSGSIZE (the output has more bytes). */
intptr_t weft_process_pool_call(weft_process_pool *pool, const weft_job_descriptor *job, const void *input,
                                size_t input_bytes, void *output, size_t output_bytes);

/* The output of a job that is done, and its size, if `bytes` is not NULL. Aligned as malloc does.
 * Thread: any. Suspends: no. Owns: borrowed; it lives as long as the future is referenced.
 * Errors: NULL (not a future of submit, not done, failed, no output). */
const void *weft_job_output(const weft_future *future, size_t *bytes);

/* How the worker died under a job that has failed with -EOWNERDEAD (or -ETIMEDOUT, -ECANCELED ...), as a status
 * for the macros of <sys/wait.h>: WIFSIGNALED, WTERMSIG, WEXITSTATUS. The last one's, if there were retries.
 * Thread: any. Suspends: no. Errors: -EINVAL (not a future of submit), -EINPROGRESS (not done), -ENODATA (no
 * worker died). */
int weft_job_status(const weft_future *future);

#ifdef __cplusplus
}
#endif
#endif
