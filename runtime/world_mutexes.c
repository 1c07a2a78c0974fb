#define _GNU_SOURCE
#include "world_mutexes.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <threads.h>

#include "atomics.h"
#include "world_imports.h"

#define HELD_MOST 16 /* with more the oldest is forgotten */

static _Thread_local struct {
    unsigned count;
    struct weft__held held[HELD_MOST]; /* oldest first */
} mine __attribute__((tls_model("initial-exec"))); /* any other kind may call malloc, which may lock */

/* ---- the thread's table ---- */

static void forget(unsigned index) {
    mine.count--;
    for (unsigned i = index; i < mine.count; i++) mine.held[i] = mine.held[i + 1];
}

static void note_locked(int error, const void *mutex, const char *kind, const void *place, const void *stack) {
    if (error != 0 && error != EOWNERDEAD) return;
    if (mine.count == HELD_MOST) forget(0);
    mine.held[mine.count++] = (struct weft__held){mutex, kind, place, stack};
}

static void note_unlocked(const void *mutex) {
    for (unsigned i = mine.count; i-- > 0;) {
        if (mine.held[i].mutex != mutex) continue;
        forget(i);
        return;
    }
}

bool weft__world_held_mutex(const char *low, const char *high, struct weft__held *held) {
    for (unsigned i = 0; i < mine.count; i++) {
        *held = mine.held[i];
        if (held->stack < low || held->stack >= high) continue;
        forget(i);
        return true;
    }
    return false;
}

/* ---- what is called instead ---- */

/* All return 0 when they have locked. */
#define LOCKING_FUNCTIONS(ONE, TWO, THREE)                                                                       \
    ONE(pthread_mutex_lock, pthread_mutex_t, "mutex")                                                            \
    ONE(pthread_mutex_trylock, pthread_mutex_t, "mutex")                                                         \
    TWO(pthread_mutex_timedlock, pthread_mutex_t, "mutex")                                                       \
    THREE(pthread_mutex_clocklock, pthread_mutex_t, "mutex")                                                     \
    ONE(pthread_rwlock_rdlock, pthread_rwlock_t, "read-write lock")                                              \
    ONE(pthread_rwlock_wrlock, pthread_rwlock_t, "read-write lock")                                              \
    ONE(pthread_rwlock_tryrdlock, pthread_rwlock_t, "read-write lock")                                           \
    ONE(pthread_rwlock_trywrlock, pthread_rwlock_t, "read-write lock")                                           \
    TWO(pthread_rwlock_timedrdlock, pthread_rwlock_t, "read-write lock")                                         \
    TWO(pthread_rwlock_timedwrlock, pthread_rwlock_t, "read-write lock")                                         \
    THREE(pthread_rwlock_clockrdlock, pthread_rwlock_t, "read-write lock")                                       \
    THREE(pthread_rwlock_clockwrlock, pthread_rwlock_t, "read-write lock")                                       \
    ONE(pthread_spin_lock, pthread_spinlock_t, "spinlock")                                                       \
    ONE(pthread_spin_trylock, pthread_spinlock_t, "spinlock")                                                    \
    ONE(mtx_lock, mtx_t, "mutex")                                                                                \
    ONE(mtx_trylock, mtx_t, "mutex")                                                                             \
    TWO(mtx_timedlock, mtx_t, "mutex")
#define UNLOCKING_FUNCTIONS(ONE)                                                                                 \
    ONE(pthread_mutex_unlock, pthread_mutex_t)                                                                   \
    ONE(pthread_rwlock_unlock, pthread_rwlock_t)                                                                 \
    ONE(pthread_spin_unlock, pthread_spinlock_t)                                                                 \
    ONE(mtx_unlock, mtx_t)

#define NUMBER(function, ...) NUMBER_##function,
enum { LOCKING_FUNCTIONS(NUMBER, NUMBER, NUMBER) UNLOCKING_FUNCTIONS(NUMBER) FUNCTIONS };
static struct weft__import imports[FUNCTIONS];

#define HERE __builtin_return_address(0), __builtin_frame_address(0)
#define NOTE(kind) note_locked(error, (const void *)mutex, kind, HERE)
#define REAL(function, ...) ((int (*)(__VA_ARGS__))imports[NUMBER_##function].real)
typedef const struct timespec *until;

#define DEFINE_ONE(function, type, kind)                                                                         \
    static int function##_instead(type *mutex) {                                                                 \
        int error = REAL(function, type *)(mutex);                                                               \
        NOTE(kind);                                                                                              \
        return error;                                                                                            \
    }
#define DEFINE_TWO(function, type, kind)                                                                         \
    static int function##_instead(type *mutex, until time) {                                                     \
        int error = REAL(function, type *, until)(mutex, time);                                                  \
        NOTE(kind);                                                                                              \
        return error;                                                                                            \
    }
#define DEFINE_THREE(function, type, kind)                                                                       \
    static int function##_instead(type *mutex, clockid_t clock, until time) {                                    \
        int error = REAL(function, type *, clockid_t, until)(mutex, clock, time);                                \
        NOTE(kind);                                                                                              \
        return error;                                                                                            \
    }
#define DEFINE_UNLOCK(function, type)                                                                            \
    static int function##_instead(type *mutex) {                                                                 \
        note_unlocked((const void *)mutex); /* before: then its memory may be somebody else's */                 \
        return REAL(function, type *)(mutex);                                                                    \
    }
LOCKING_FUNCTIONS(DEFINE_ONE, DEFINE_TWO, DEFINE_THREE)
UNLOCKING_FUNCTIONS(DEFINE_UNLOCK)

#define IMPORT(function, ...) [NUMBER_##function] = {.name = #function, .instead = (void *)function##_instead},
static struct weft__import imports[FUNCTIONS] = {
    LOCKING_FUNCTIONS(IMPORT, IMPORT, IMPORT) UNLOCKING_FUNCTIONS(IMPORT)};

void weft__world_watch_mutexes(void) {
    static _Atomic bool begun;
    if (exchange_acq_rel(&begun, true)) return;
    weft__world_redirect(imports, FUNCTIONS);
}
