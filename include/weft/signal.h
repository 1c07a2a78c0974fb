/* weft/signal.h: signals as callbacks of a loop.
 *
 * weft_run and weft_runner_run treat SIGINT as asyncio does, if they are called on the main thread and the signal
 * has its default disposition: the first one cancels main, and if main then ends with -ECANCELED they return
 * -EINTR; a second one kills the process at once. */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <weft/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls fn(arg) as a callback of `loop` after every signal `number`, whichever thread the kernel picked; wakes the
 * loop. Signals that come before the callback has run are one with it. Replaces a former handler.
 * Thread: the main thread. Suspends: no. Owns: `arg` stays the caller's; the loop removes its handlers when it is
 * closed. Errors: -EINVAL (NULL, no such signal, SIGKILL or SIGSTOP), -EPERM (not the main thread), -ESHUTDOWN. */
int weft_loop_add_signal_handler(weft_loop *loop, int number, void (*fn)(void *arg), void *arg);

/* Restores the default disposition. Returns whether `loop` had a handler for the signal.
 * Thread: the main thread. Suspends: no. Errors: none. */
bool weft_loop_remove_signal_handler(weft_loop *loop, int number);

#ifdef __cplusplus
}
#endif
#endif
