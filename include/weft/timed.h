/* weft/timed.h: how long a coroutine takes (the decorator async_timed of many an asyncio text).
 *
 *     weft_await(weft_timed(delay, 2));
 *
 * is weft_await(delay(2)), and prints, whether it ends with a value, an error or by cancellation,
 *
 *     starting <function delay> with args (2) {}
 *     finished <function delay> in 2.0003 second(s)
 *
 * Python wraps the function, C the call; so the arguments are printed as they stand in the source. */
#ifndef WEFT_TIMED_H
#define WEFT_TIMED_H

#include <weft/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a coroutine that awaits `coroutine`, prints the two lines on stdout, and returns its result. Cancelled
 * before its first step it prints nothing, and `coroutine` is discarded ("was never awaited"), as in Python.
 * `clock` tells the time in nanoseconds; NULL: weft_time. `function` and `args` are borrowed for ever.
 * Thread: any. Suspends: no. Owns: consumes `coroutine`, or the caller's reference on a future; the caller
 * holds the new one.
 * Errors: never NULL; as weft_coroutine, and -EINVAL (NULL). */
weft_future *weft_timed_coroutine(int64_t (*clock)(void), const char *function, const char *args,
                                  weft_future *coroutine);

/* The coroutine function(...), timed; and the same by another clock. weft_async_timed is another name for
 * weft_timed. Without arguments they need the compiler's GNU mode, as weft_async.
 * As weft_timed_coroutine. */
#define weft_timed(function, ...) weft_timed_coroutine(NULL, #function, #__VA_ARGS__, function(__VA_ARGS__))
#define weft_async_timed(function, ...) weft_timed_coroutine(NULL, #function, #__VA_ARGS__, function(__VA_ARGS__))
#define weft_timed_with(clock, function, ...)                                                        \
    weft_timed_coroutine(clock, #function, #__VA_ARGS__, function(__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
