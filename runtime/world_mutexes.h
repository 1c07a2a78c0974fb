/* Which pthread mutexes, read-write locks and spinlocks the calling thread holds, and where it locked them: for debug
 * mode, which reports those that a task holds when it gives up its thread (mutex_watch.h).
 *
 * How they are seen: when debug mode is switched on for the first time, the program's imports of the locking
 * functions (world_imports.h) are redirected to functions here, which call the real ones and write down what was
 * locked, in a table of the thread. From then on a lock or unlock costs some 5 ns more, until the process ends;
 * before, and in a program without debug mode, nothing, and nothing needs to be linked, preloaded or wrapped for it.
 *
 * A redirected call goes on to whatever the program would have called: under ASan and TSan to their interceptors,
 * which are otherwise left alone. What goes unseen: calls in a static executable and in a library that is loaded
 * later, calls of interceptors that clang links into the executable, locks made of futexes by hand.
 *
 * Rejected:
 *  - functions of these names in libweft.a, which the linker takes before the C library's. Everybody would pay for
 *    them, allocators included, before the program's first line; they collide with sanitizers, with other
 *    interposers, and with the C library itself in a static executable;
 *  - a library to preload, or -Wl,--wrap: nobody does so before he knows that he needs it;
 *  - reading the owner out of the mutexes: only robust ones are on a list, and a normal one's owner is the thread,
 *    not the task: that says nothing once both have moved on;
 *  - error-checking mutexes: they tell the thread that unlocks in vain, too late and with no word on where it was
 *    locked. */
#ifndef WEFT_RUNTIME_WORLD_MUTEXES_H
#define WEFT_RUNTIME_WORLD_MUTEXES_H

#include <stdbool.h>

struct weft__held {
    const void *mutex;
    const char *kind;  /* "mutex" and the like */
    const void *place; /* the call that locked it */
    const char *stack; /* an address on the stack where that was */
};

/* From here on. Again: nothing happens. Thread: any. */
void weft__world_watch_mutexes(void);

/* Forgets one that the calling thread has locked on the stack between low and high, and still holds; false: there is
 * none. Whoever unlocks it on another thread does so unseen. */
bool weft__world_held_mutex(const char *low, const char *high, struct weft__held *held);

#endif
