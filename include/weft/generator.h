/* weft/generator.h: asynchronous generators (async def with yield).
 *
 *     weft_async_generator(countdown, (int, from)) {
 *         for (; from > 0; from--) {
 *             intptr_t r = weft_yield_value(from);
 *             if (r < 0) return r;                          // closed, or an error was thrown in
 *             int error = weft_sleep(WEFT_SEC(1));
 *             if (error) return error;
 *         }
 *         return 0;
 *     }
 *
 *     weft_generator *numbers = countdown(3);               // async for n in countdown(3)
 *     intptr_t n;
 *     int r;
 *     while ((r = weft_anext(numbers, &n)) > 0) printf("%d\n", (int)n);
 *     weft_generator_release(numbers);                      // r is 0 here, or the error that ended the body
 *
 * The body has a stack of its own, but no task: it runs as a part of the task that asks for the next value,
 * with that task's identity, cancellation and context, and suspends it when it awaits. One task after the
 * other may ask, on whatever worker, two at a time may not (-EBUSY). A timeout scope belongs to the task that
 * entered it: leave it before you yield.
 *
 * A generator begins with its first weft_anext and ends when its body returns; what it returns is thrown
 * away unless it is an error, which comes out of the call that was waiting for a value. */
#ifndef WEFT_GENERATOR_H
#define WEFT_GENERATOR_H

#include <weft/async.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_generator weft_generator;

/* What weft_yield_value returns when the generator is being closed (GeneratorExit): clean up and return an
 * error, this one or another. No call of the kernel or of weft returns this code otherwise. */
#define WEFT_GENERATOR_EXIT (-ESTRPIPE)

/* Makes a generator of `fn` and `arg`. Nothing runs; needs no loop.
 * Thread: any. Suspends: no. Owns: the caller, until weft_generator_release.
 * Errors: never NULL; a generator whose first weft_anext, and every other, returns -EINVAL (no function) or
 * -ENOMEM. */
weft_generator *weft_generator_new(weft_fn *fn, void *arg);

/* weft_generator_new with a name (borrowed for ever) and a copy of `args`: fn gets the copy's address,
 * aligned to 16 bytes. As weft_generator_new otherwise. */
weft_generator *weft_generator_copy(const char *name, weft_fn *fn, const void *args, size_t args_bytes);

/* Gives the generator up. If it has begun and not ended, a task is made that closes it, as Python's garbage
 * collector does; away from the generator's runtime the closing waits for the end of that. NULL is fine.
 * Thread: any. Suspends: no. Owns: takes the generator. Errors: none. */
void weft_generator_release(weft_generator *generator);

/* From the body of a generator, or a function that it calls: hands `value`, any value, to whoever asked, and
 * waits to be asked again. Returns what was sent, 0 by weft_anext.
 * Thread: the task that asked. Suspends: no; but the next one to ask may be another task on another thread.
 * Errors: WEFT_GENERATOR_EXIT (being closed), what weft_athrow threw in, -EPERM (not in a generator's body). */
intptr_t weft_yield_value(intptr_t value);

/* Runs the generator up to its next yield. 1: *value is what it yielded (NULL: not wanted). 0: it has ended,
 * now or before.
 * Thread: task. Suspends: yes, where the body does. Owns: borrows the generator.
 * Errors: what the body returned, which has ended thereby; nothing changes with -EINVAL (NULL), -EBUSY (it is
 * running, perhaps suspended in an await), -EPERM (not in a task, or begun in another runtime), -ENOMEM. */
int weft_anext(weft_generator *generator, intptr_t *value);

/* weft_anext whose yield returns `sent`.
 * As weft_anext; Errors: also -EINVAL (an error, or something but 0 for a generator that has not begun). */
int weft_asend(weft_generator *generator, intptr_t sent, intptr_t *value);

/* weft_anext whose yield returns `error`. A generator that has not begun ends with it, and does not run.
 * As weft_anext; Errors: also -EINVAL (not an error). */
int weft_athrow(weft_generator *generator, int error, intptr_t *value);

/* Ends the generator: its yield returns WEFT_GENERATOR_EXIT, and the call returns when the body has. One that
 * has not begun or has ended: nothing runs.
 * Thread: task. Suspends: yes, where the body's clean-up does. Owns: borrows the generator.
 * Errors: what the body returned, but for WEFT_GENERATOR_EXIT; -EAGAIN (the body yielded instead; it is
 * suspended there, and the value is lost); -EINVAL, -EBUSY, -EPERM as weft_anext. */
int weft_aclose(weft_generator *generator);

/* Closes every generator that has begun in this runtime and not ended, one after the other in the order in
 * which they began. Errors of their bodies are reported on stderr, and the next one follows. Ending a runtime
 * does this by itself.
 * Thread: task. Suspends: yes. Errors: -EPERM (not in a task). */
int weft_shutdown_asyncgens(void);

#ifdef __cplusplus
}
#endif

/* Defines `weft_generator *name(...)`, typed as weft_async does it. The body returns intptr_t. */
#define weft_async_generator(name, ...) WEFT_ASYNC_GENERATOR_(static, name, ##__VA_ARGS__)
#define weft_async_generator_extern(name, ...) WEFT_ASYNC_GENERATOR_(, name, ##__VA_ARGS__)
#define weft_async_generator_declare(name, ...) weft_generator *name(WEFT_PARAMETERS_(__VA_ARGS__))

#define WEFT_ASYNC_GENERATOR_(linkage, name, ...)                                                    \
    WEFT_MAKER_(linkage, weft_generator, weft_generator_copy, name, ##__VA_ARGS__)                   \
    static intptr_t name##__body(WEFT_PARAMETERS_(__VA_ARGS__))

#endif
