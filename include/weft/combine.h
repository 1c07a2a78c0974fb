/* weft/combine.h: waiting for several things, or for one with a limit (asyncio's gather, wait, wait_for, shield,
 * as_completed, TaskGroup).
 *
 *     intptr_t pages[2];
 *     intptr_t r = weft_await(weft_gather_into(pages, fetch("a"), fetch("b")));
 *
 * Coroutines, gathers, shields and what weft_to_thread returns are temporaries: each call here that takes one
 * consumes it, one reference of the caller's, even when it fails; weft_ref first keeps it longer. Tasks and
 * futures are borrowed. */
#ifndef WEFT_COMBINE_H
#define WEFT_COMBINE_H

#include <weft/task.h>
#include <weft/timeout.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- gather ---- */

typedef struct weft_gather_options {
    bool return_exceptions; /* errors are results like others: the gather waits for all, and holds 0 */
    intptr_t *results;      /* array of as many as there are awaitables; NULL: not wanted */
} weft_gather_options;

/* A future that is done when all of `awaitables` are; it holds 0, and `results` then hold theirs, in the order
 * of the arguments. Coroutines become tasks. Without return_exceptions the first error, -ECANCELED included,
 * completes the gather at once (the results stay unwritten); the others go on.
 * Cancelling the gather, or the task that awaits it, cancels all that are not done; it then completes when they
 * have ended, with -ECANCELED whatever they say, as an error: weft_cancelled stays false.
 * Naming one awaitable twice is fine. Of nothing: a completed gather.
 * Thread: any; loop if there are coroutines. Suspends: no. Owns: the gather is a temporary, the caller's; it
 * borrows `results` until it is done, and keeps a reference on each awaitable until it is released and all are
 * done; the array `awaitables` is not needed after the call.
 * Errors: never NULL; a completed future that holds -EINVAL (NULL, a coroutine driven already), -EPERM
 * (coroutines without a running loop), -ENOMEM; then nothing was started. */
weft_future *weft_gather(weft_future *const *awaitables, size_t count, weft_gather_options options);

/* weft_gather of `count` arguments; what the macros below make. */
weft_future *weft_gather_list(intptr_t *results, size_t count, ...);

#ifndef __cplusplus
/* weft_gather_all(a, b, c), and weft_gather_into(results, a, b, c): weft_gather of their arguments. */
#define weft_gather_all(...) weft_gather_into(NULL, __VA_ARGS__)
#define weft_gather_into(results, ...) \
    weft_gather_list(results, sizeof((weft_future *[]){__VA_ARGS__}) / sizeof(weft_future *), __VA_ARGS__)
#endif

/* ---- shield ---- */

/* A future that completes as `awaitable` does, and stands between: cancelling the shield, or the task that
 * awaits it, ends the shield alone. What was cancelled inside cancels the shield. A coroutine becomes a task; the
 * shield of a completed future is a completed shield (not that future itself, as in asyncio: a shield is a
 * temporary, a future is not).
 * Thread: any; loop for a coroutine. Suspends: no. Owns: the shield is a temporary, the caller's.
 * Errors: never NULL; a completed future that holds -EINVAL (NULL, a coroutine driven already), -EPERM,
 * -ENOMEM. */
weft_future *weft_shield(weft_future *awaitable);

/* ---- wait ---- */

enum weft_return_when { WEFT_ALL_COMPLETED, WEFT_FIRST_COMPLETED, WEFT_FIRST_EXCEPTION };

/* Waits until all of `futures` are done, or the first one, or the first one that failed (a cancelled one did
 * not), for `timeout_ns` at most (WEFT_FOREVER: no limit). Never cancels anything, and no error of theirs is
 * returned. Returns how many are done, and sorts the array: first those, then the pending ones, each in their
 * order, then NULL for each duplicate.
 * Thread: any but a loop's callback; on a plain thread it blocks. Suspends: yes. Owns: borrows them all.
 * Errors: -EINVAL (NULL, no futures, a coroutine or NULL among them, an unknown condition), -EDEADLK (a loop's
 * callback), -ENOMEM, -ECANCELED; then the array is as it was. */
int weft_wait(weft_future **futures, size_t count, enum weft_return_when when, int64_t timeout_ns);

/* ---- wait_for ---- */

/* weft_await with a limit: when `timeout_ns` are over first, cancels `awaitable`, waits until it has really
 * ended, and returns -ETIMEDOUT (or what it ended with, if that is no cancellation). WEFT_FOREVER: no limit.
 * Zero or less: what is done gives its result, all else times out at once, a coroutine without being started. A
 * coroutine runs as a plain call within the calling task. If the calling task is cancelled, so is `awaitable`,
 * and its end is waited for. A shield times out alone.
 * Thread: any but a loop's callback; on a plain thread it blocks. Suspends: yes. Owns: borrows a task or future.
 * Errors: as weft_await, and -ETIMEDOUT. */
intptr_t weft_wait_for(weft_future *awaitable, int64_t timeout_ns);

/* ---- as_completed ---- */

/* An iteration over awaitables in the order in which they complete. Its content is weft's.
 *
 *     weft_as_completed each;
 *     weft_future *next;
 *     weft_as_completed_init(&each, tasks, 3, WEFT_SEC(1));
 *     while (weft_as_completed_next(&each, &next) > 0) printf("%ld\n", (long)weft_result(next));
 *     weft_as_completed_fini(&each); */
typedef struct weft_as_completed {
    void *opaque[2];
} weft_as_completed;

/* Begins an iteration, for `timeout_ns` in all (WEFT_FOREVER: no limit). Coroutines become tasks; duplicates
 * collapse. Of nothing: an iteration that is over.
 * Thread: any; loop if there are coroutines. Suspends: no. Owns: keeps a reference on each awaitable until
 * weft_as_completed_fini; the array is not needed after the call.
 * Errors: -EINVAL (NULL, a coroutine driven already), -EPERM (coroutines without a running loop), -ENOMEM; then
 * nothing was started, and there is nothing to end. */
int weft_as_completed_init(weft_as_completed *each, weft_future *const *awaitables, size_t count,
                           int64_t timeout_ns);

/* Waits for the next one, and stores it in *next: the very future or task that was passed in, done. Returns 1,
 * or 0 after the last one.
 * Thread: any but a loop's callback, one at a time; on a plain thread it blocks. Suspends: yes. Owns: *next is
 * borrowed until weft_as_completed_fini.
 * Errors: -ETIMEDOUT (the time is over; again at each further call), -ECANCELED (the iteration can go on),
 * -EINVAL (NULL, not begun), -EDEADLK (a loop's callback). */
int weft_as_completed_next(weft_as_completed *each, weft_future **next);

/* Ends the iteration; what is not done goes on.
 * Thread: any. Suspends: no. Owns: gives up the references. Errors: none. */
void weft_as_completed_fini(weft_as_completed *each);

/* ---- task groups ---- */

/* A scope that does not end before the tasks that were created in it.
 *
 *     static intptr_t body(weft_task_group *group) {
 *         weft_task_group_create_task(group, fetch("a"));
 *         weft_task_group_create_task(group, fetch("b"));
 *         return weft_sleep(WEFT_SEC(1));
 *     }
 *     weft_task_group group;
 *     weft_task_group_enter(&group);
 *     intptr_t r = weft_task_group_exit(&group, body(&group));
 *
 * The first error of a member cancels the other members and the body. A member that is merely cancelled does
 * not. Lives on the stack of the task that entered it; its content is weft's. */
typedef struct weft_task_group {
    void *opaque[16];
} weft_task_group;

/* Begins a group.
 * Thread: task. Suspends: no. Owns: the group must stay where it is until weft_task_group_exit.
 * Errors: -EINVAL (NULL, entered and not exited), -EPERM (not in a task). */
int weft_task_group_enter(weft_task_group *group);

/* Schedules `coroutine` as a member, as weft_create_task does. Legal from the body, until weft_task_group_exit
 * returns, and from the members.
 * Thread: loop. Suspends: no. Owns: consumes the coroutine, and closes it without a warning if it fails. The task
 * is the group's, and may be gone once it has ended: who wants to look at it then takes a weft_ref on the
 * coroutine before.
 * Errors: never NULL; a completed future that holds -EINVAL (NULL, not a coroutine, a group that was not entered
 * or has ended), -ESHUTDOWN (the group is being cancelled), -EPERM (no running loop), -ENOMEM. */
weft_task *weft_task_group_create_task(weft_task_group *group, weft_future *coroutine);

/* What a group collects: errors in the order in which they were recorded, at exit the body's too. */
typedef struct weft_group_errors {
    intptr_t *values;
    size_t count;
} weft_group_errors;

/* Has the group list every error in *errors, of which weft_task_group_exit returns only the first (asyncio's
 * ExceptionGroup). To be called after enter, before the first member. Without memory, later ones are lost.
 * Thread: the task that entered. Suspends: no. Owns: borrows *errors until weft_task_group_exit; after it,
 * errors->values is the caller's to free(). Errors: -EINVAL (NULL, not entered, members already). */
int weft_task_group_errors(weft_task_group *group, weft_group_errors *errors);

/* Ends the group: waits for all members, those too that come meanwhile. `body_result` is what the body came to:
 * an error, -ECANCELED included, cancels the members. Returns the first error that was recorded; without one
 * `body_result`, or -ECANCELED if the task was cancelled while it waited. A cancel request that the group itself
 * made of its task is withdrawn, and the count is as before. If there were errors and a cancel request from
 * outside, the request comes out of the next await.
 * Thread: the task that entered. Suspends: yes. Errors: as said, and -EINVAL (not entered, or by another task). */
intptr_t weft_task_group_exit(weft_task_group *group, intptr_t body_result);

#ifdef __cplusplus
}

/* weft_gather_all(a, b, c), and weft_gather_into(results, a, b, c): weft_gather of their arguments. */
template <class... Awaitables> weft_future *weft_gather_into(intptr_t *results, Awaitables... awaitables) {
    weft_future *all[] = {awaitables...};
    weft_gather_options options = weft_gather_options();
    options.results = results;
    return weft_gather(all, sizeof...(awaitables), options);
}
template <class... Awaitables> weft_future *weft_gather_all(Awaitables... awaitables) {
    return weft_gather_into(static_cast<intptr_t *>(nullptr), awaitables...);
}
#endif
#endif
