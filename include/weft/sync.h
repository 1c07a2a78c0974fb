/* weft/sync.h: locks and what else tasks synchronise with (asyncio's Lock, Event, Condition, Semaphore,
 * Barrier; and rwlock, once, wait group).
 *
 *     static weft_lock lock = WEFT_LOCK_INIT;
 *     int error = weft_lock_acquire(&lock);
 *     if (error) return error;                  // cancelled: the lock is not ours
 *     ...
 *     weft_lock_release(&lock);
 *
 * They work between the tasks of all loops and workers, and plain threads, which block where a task suspends.
 * They live where you put them, need no memory of their own, and may be freed when nobody is inside a call on
 * them; whoever has just been let in, or told that a wait is over, may free them at once.
 *
 * Whoever waits is served in the order of the requests, and what is released goes directly to the first who
 * waits: nobody overtakes him, and a lock with waiters stays locked from one to the next (asyncio's is unlocked
 * in between). A call that can go through does so without suspending.
 *
 * A task that is cancelled while it waits leaves the line, and the call returns -ECANCELED. If what it waited
 * for came first, the call returns 0, and the request waits for the next await: nothing granted is ever lost. */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- lock (asyncio.Lock) ---- */

/* Mutual exclusion; not re-entrant. Its content is weft's. */
typedef struct weft_lock {
    uint64_t opaque[4];
} weft_lock;
#define WEFT_LOCK_INIT {{0}}

/* Makes an unlocked lock; the same as WEFT_LOCK_INIT.
 * Thread: any. Suspends: no. Owns: nothing, there is no fini. Errors: -EINVAL (NULL). */
int weft_lock_init(weft_lock *lock);

/* Waits until the lock is ours.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -ECANCELED, -EDEADLK (a loop's callback that would have
 * to wait). */
int weft_lock_acquire(weft_lock *lock);

/* The same without waiting.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EAGAIN (locked). */
int weft_lock_try_acquire(weft_lock *lock);

/* Gives the lock to the first who waits, else unlocks it. Any task or thread may release a locked one.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EPERM (not locked; nothing changes). */
int weft_lock_release(weft_lock *lock);

/* Whether anybody holds the lock.
 * Thread: any. Suspends: no. Errors: none; NULL is not locked. */
bool weft_lock_locked(const weft_lock *lock);

/* ---- event (asyncio.Event) ---- */

/* A flag to wait for. Its content is weft's. */
typedef struct weft_event {
    uint64_t opaque[4];
} weft_event;
#define WEFT_EVENT_INIT {{0}}

/* Makes an event that is not set; the same as WEFT_EVENT_INIT.
 * Thread: any. Suspends: no. Owns: nothing, there is no fini. Errors: -EINVAL (NULL). */
int weft_event_init(weft_event *event);

/* Waits until the event is set. It may have been cleared again by the time this returns.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -ECANCELED, -EDEADLK (a loop's callback that would have
 * to wait). */
int weft_event_wait(weft_event *event);

/* Sets the flag, and wakes all who wait now, in order, even if weft_event_clear follows at once.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL). */
int weft_event_set(weft_event *event);

/* Clears the flag.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL). */
int weft_event_clear(weft_event *event);

/* Whether the flag is set.
 * Thread: any. Suspends: no. Errors: none; NULL is not set. */
bool weft_event_is_set(const weft_event *event);

/* ---- condition (asyncio.Condition) ---- */

/* Waiting for a change of what a lock protects. Its content is weft's. */
typedef struct weft_condition {
    weft_lock *lock;
    uint64_t opaque[3];
} weft_condition;
#define WEFT_CONDITION_INIT(lock_pointer) {(lock_pointer), {0}}

/* Makes a condition over `lock`, which must outlive it; the same as WEFT_CONDITION_INIT(lock). Several
 * conditions may share a lock.
 * Thread: any. Suspends: no. Owns: borrows the lock; there is no fini. Errors: -EINVAL (NULL). */
int weft_condition_init(weft_condition *condition, weft_lock *lock);

/* Gives the lock up, waits for a notification, and takes the lock again: the lock is held whenever this
 * returns, also with -ECANCELED. While it takes the lock again it cannot be cancelled; a request then waits for
 * the next await.
 * Thread: any; the lock must be held. Suspends: yes. Errors: -EINVAL (NULL, no lock), -EPERM (the lock is not
 * locked), -ECANCELED (not notified), -EDEADLK (a loop's callback). */
int weft_condition_wait(weft_condition *condition);

/* Waits until predicate(arg) is true; it is called with the lock held, first of all and after each
 * notification.
 * As weft_condition_wait; Errors: and -EINVAL (no predicate). */
int weft_condition_wait_for(weft_condition *condition, bool (*predicate)(void *arg), void *arg);

/* Wakes the first `count` who wait, or fewer if there are not that many. They proceed, one after the other,
 * once the lock is released.
 * Thread: any; the lock must be held. Suspends: no. Errors: -EINVAL (NULL, no lock), -EPERM (the lock is not
 * locked). */
int weft_condition_notify(weft_condition *condition, size_t count);
int weft_condition_notify_all(weft_condition *condition);

/* ---- semaphore (asyncio.Semaphore, asyncio.BoundedSemaphore) ---- */

/* A number of permits, at most INT32_MAX. Its content is weft's. The macros are for values that are not
 * negative; a bounded one refuses a release above its initial value. */
typedef struct weft_semaphore {
    uint64_t opaque[5];
} weft_semaphore;
#define WEFT_SEMAPHORE_INIT(value) {{(uint64_t)(value), 0}}
#define WEFT_BOUNDED_SEMAPHORE_INIT(value) {{(uint64_t)(value), (uint64_t)(value) + 1}}

/* Makes a semaphore with `value` permits; zero: locked at once.
 * Thread: any. Suspends: no. Owns: nothing, there is no fini. Errors: -EINVAL (NULL, a negative value). */
int weft_semaphore_init(weft_semaphore *semaphore, int32_t value);
int weft_bounded_semaphore_init(weft_semaphore *semaphore, int32_t value);

/* Waits for a permit, and takes it.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -ECANCELED, -EDEADLK (a loop's callback that would have
 * to wait). */
int weft_semaphore_acquire(weft_semaphore *semaphore);

/* The same without waiting.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EAGAIN (no permit is left). */
int weft_semaphore_try_acquire(weft_semaphore *semaphore);

/* Gives a permit to the first who waits, else keeps it.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EOVERFLOW (bounded: all permits are there already;
 * else: INT32_MAX of them are. Nothing changes). */
int weft_semaphore_release(weft_semaphore *semaphore);

/* Whether no permit is left.
 * Thread: any. Suspends: no. Errors: none; NULL is not locked. */
bool weft_semaphore_locked(const weft_semaphore *semaphore);

/* ---- barrier (asyncio.Barrier) ---- */

/* A place where `parties` wait for each other. Its content is weft's. */
typedef struct weft_barrier {
    uint64_t opaque[5];
} weft_barrier;
#define WEFT_BARRIER_INIT(parties) {{(uint64_t)(parties), 0}}

/* Makes a barrier for `parties`.
 * Thread: any. Suspends: no. Owns: nothing, there is no fini. Errors: -EINVAL (NULL, parties below 1). */
int weft_barrier_init(weft_barrier *barrier, int32_t parties);

/* Waits until `parties` wait here; then all go on, and the barrier is as new. All are let go in one instant, so
 * whoever comes next is of the next round at once, while the former may still have to be run (asyncio's
 * "draining"). A waiter that is cancelled no longer counts. Returns its index in the order of arrival, 0 to
 * parties - 1.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -ENOTRECOVERABLE (the barrier is broken, or was broken or
 * reset meanwhile), -ECANCELED, -EDEADLK (a loop's callback that would have to wait). */
int weft_barrier_wait(weft_barrier *barrier);

/* Makes the barrier as new; whoever waits gets -ENOTRECOVERABLE.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL). */
int weft_barrier_reset(weft_barrier *barrier);

/* Breaks the barrier: whoever waits, and whoever comes until a reset, gets -ENOTRECOVERABLE.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL). */
int weft_barrier_abort(weft_barrier *barrier);

/* How many wait at the moment; and whether the barrier is broken.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL); none, NULL is not broken. */
int weft_barrier_waiting(weft_barrier *barrier);
bool weft_barrier_broken(weft_barrier *barrier);

/* ---- readers and writers ---- */

/* Many readers or one writer. Fair: who comes later waits behind those who wait already, and neighbouring
 * readers are let in together. So a reader that asks again waits behind a writer that waits for it: not
 * re-entrant. Its content is weft's. */
typedef struct weft_rwlock {
    uint64_t opaque[4];
} weft_rwlock;
#define WEFT_RWLOCK_INIT {{0}}

/* Makes an unlocked one; the same as WEFT_RWLOCK_INIT.
 * Thread: any. Suspends: no. Owns: nothing, there is no fini. Errors: -EINVAL (NULL). */
int weft_rwlock_init(weft_rwlock *rwlock);

/* Waits until no writer has it and none waits before us; until nobody has it.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -ECANCELED, -EDEADLK (a loop's callback that would have
 * to wait). */
int weft_rwlock_read_acquire(weft_rwlock *rwlock);
int weft_rwlock_write_acquire(weft_rwlock *rwlock);

/* The same without waiting.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EAGAIN (one would have to wait). */
int weft_rwlock_try_read_acquire(weft_rwlock *rwlock);
int weft_rwlock_try_write_acquire(weft_rwlock *rwlock);

/* A reader leaves; the writer leaves.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL), -EPERM (no reader, or no writer, has it; nothing
 * changes). */
int weft_rwlock_read_release(weft_rwlock *rwlock);
int weft_rwlock_write_release(weft_rwlock *rwlock);

/* ---- once ---- */

/* Something that is done once. Its content is weft's. */
typedef struct weft_once_flag {
    uint64_t opaque[6];
} weft_once_flag;
#define WEFT_ONCE_INIT {{0}}

/* The first call runs fn(arg) in place; others wait for it. All return what it returned. Once means once: an
 * error, -ECANCELED included, is the result for everybody ever after.
 * Thread: any. Suspends: yes. Errors: fn's own; -EINVAL (NULL), -ECANCELED (while waiting for another caller's
 * fn), -EDEADLK (called from within its own fn; a loop's callback that would have to wait). */
intptr_t weft_once(weft_once_flag *once, weft_fn *fn, void *arg);

/* ---- wait group ---- */

/* A count of what is under way, to be waited for. Its content is weft's. */
typedef struct weft_wait_group {
    uint64_t opaque[4];
} weft_wait_group;
#define WEFT_WAIT_GROUP_INIT {{0}}

/* Makes an empty group; the same as WEFT_WAIT_GROUP_INIT.
 * Thread: any. Suspends: no. Owns: nothing, there is no fini. Errors: -EINVAL (NULL). */
int weft_wait_group_init(weft_wait_group *group);

/* Adds `count`, which may be negative, to the number of what is under way; at zero whoever waits goes on.
 * Thread: any. Suspends: no. Errors: -EINVAL (NULL, or the number would be negative), -EOVERFLOW (above
 * INT32_MAX). Nothing changes then. */
int weft_wait_group_add(weft_wait_group *group, int32_t count);

/* weft_wait_group_add(group, -1). */
int weft_wait_group_done(weft_wait_group *group);

/* Waits until nothing is under way.
 * Thread: any. Suspends: yes. Errors: -EINVAL (NULL), -ECANCELED, -EDEADLK (a loop's callback that would have
 * to wait). */
int weft_wait_group_wait(weft_wait_group *group);

#ifdef __cplusplus
}
#endif
#endif
