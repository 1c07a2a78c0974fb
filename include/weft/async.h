/* weft/async.h: typed coroutine functions (async def).
 *
 *     weft_async(delay, (int, seconds)) {
 *         int r = weft_sleep(WEFT_SEC(seconds));
 *         return r < 0 ? r : seconds;
 *     }
 *
 * defines `weft_future *delay(int seconds)`, which makes a coroutine and runs nothing, so that
 * weft_await(delay(3)) and weft_create_task(delay(3)) read as in Python. The body returns intptr_t. Up to
 * eight arguments, each (type, name); they are copied into the task record. A type that does not stand
 * before its name (an array, a pointer to function) needs a typedef.
 *
 * Without arguments, weft_async(name), it needs the compiler's GNU mode (-std=gnu11, -std=gnu++17).
 *
 * weft_async makes the function static; weft_async_extern gives it external linkage, and
 * weft_async_declare is its prototype for a header.
 *
 * Thread: any, for the call that makes the coroutine. Suspends: no. Owns: the caller holds the coroutine.
 * Errors: as weft_coroutine. */
#ifndef WEFT_ASYNC_H
#define WEFT_ASYNC_H

#include <weft/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any function, whatever it takes and returns. */
typedef void (*weft_coroutine_function)(void);

/* What weft_async leaves in the section weft_coroutines for each function that it defines. */
struct weft_coroutine_descriptor {
    const char *name;
    weft_coroutine_function maker;
};

/* Whether `function` was defined by weft_async or weft_async_extern, in the program or library that weft is
 * linked into. False for every other function, also for one that returns a coroutine, and for NULL. Takes
 * time in proportion to the number of coroutine functions. weft_iscoroutinefunction(delay) is the same
 * without the cast.
 * Thread: any. Suspends: no. Errors: none. */
bool weft_is_coroutine_function(weft_coroutine_function function);
#define weft_iscoroutinefunction(function) weft_is_coroutine_function((weft_coroutine_function)(function))

#ifdef __cplusplus
}
#endif

#define weft_async(name, ...) WEFT_ASYNC_(static, name, ##__VA_ARGS__)
#define weft_async_extern(name, ...) WEFT_ASYNC_(, name, ##__VA_ARGS__)
#define weft_async_declare(name, ...) weft_future *name(WEFT_PARAMETERS_(__VA_ARGS__))

/* Five names per coroutine function: name (the maker), name__arguments (the copy), name__start (what the
 * task runs), name__body (what the user writes) and name__descriptor. */
#define WEFT_ASYNC_(linkage, name, ...)                                                              \
    WEFT_MAKER_(linkage, weft_future, weft_coroutine_copy, name, ##__VA_ARGS__)                      \
    static struct weft_coroutine_descriptor name##__descriptor                                       \
        __attribute__((used, section("weft_coroutines"), aligned(16))) = {                           \
            #name, (weft_coroutine_function)name};                                                   \
    static intptr_t name##__body(WEFT_PARAMETERS_(__VA_ARGS__))

/* The maker: a function that copies its arguments and returns what make(name, start, copy, bytes) makes. */
#define WEFT_MAKER_(linkage, type, make, name, ...)                                                  \
    static intptr_t name##__body(WEFT_PARAMETERS_(__VA_ARGS__));                                     \
    struct name##__arguments {                                                                       \
        WEFT_FIELDS_(__VA_ARGS__)                                                                    \
    };                                                                                               \
    static intptr_t name##__start(void *arg) {                                                       \
        struct name##__arguments *weft__arguments = (struct name##__arguments *)arg;                 \
        (void)weft__arguments;                                                                       \
        return name##__body(WEFT_UNPACK_(__VA_ARGS__));                                              \
    }                                                                                                \
    __attribute__((unused)) linkage type *name(WEFT_PARAMETERS_(__VA_ARGS__)) {                      \
        struct name##__arguments weft__arguments;                                                    \
        WEFT_PACK_(__VA_ARGS__)                                                                      \
        return make(#name, name##__start, &weft__arguments, WEFT_BYTES_(__VA_ARGS__));               \
    }

/* The number of arguments, 0 to 8, pasted onto `prefix`. */
#define WEFT_COUNT_(...) WEFT_NINTH_(0, ##__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define WEFT_NINTH_(z, a, b, c, d, e, f, g, h, n, ...) n
#define WEFT_PASTE_(prefix, n) WEFT_PASTE__(prefix, n)
#define WEFT_PASTE__(prefix, n) prefix##n

/* One (type, name) pair as a parameter, a field, an argument, a copy. */
#define WEFT_PARAMETER_(type, name) __attribute__((unused)) type name
#define WEFT_FIELD_(type, name) type name;
#define WEFT_UNPACK_ONE_(type, name) weft__arguments->name
#define WEFT_PACK_ONE_(type, name) weft__arguments.name = name;

#define WEFT_PARAMETERS_(...) \
    WEFT_PASTE_(WEFT_COMMA_, WEFT_COUNT_(__VA_ARGS__))(void, WEFT_PARAMETER_, ##__VA_ARGS__)
#define WEFT_UNPACK_(...) WEFT_PASTE_(WEFT_COMMA_, WEFT_COUNT_(__VA_ARGS__))(, WEFT_UNPACK_ONE_, ##__VA_ARGS__)
#define WEFT_FIELDS_(...) WEFT_PASTE_(WEFT_EACH_, WEFT_COUNT_(__VA_ARGS__))(char none;, WEFT_FIELD_, ##__VA_ARGS__)
#define WEFT_PACK_(...) \
    WEFT_PASTE_(WEFT_EACH_, WEFT_COUNT_(__VA_ARGS__))(weft__arguments.none = 0;, WEFT_PACK_ONE_, ##__VA_ARGS__)
#define WEFT_BYTES_(...) \
    WEFT_PASTE_(WEFT_EACH_, WEFT_COUNT_(__VA_ARGS__))(0 *, WEFT_NOTHING_, ##__VA_ARGS__) sizeof(weft__arguments)
#define WEFT_NOTHING_(type, name)

/* f applied to each pair, separated by commas or by nothing; `none` where there is no pair. */
#define WEFT_COMMA_0(none, f) none
#define WEFT_COMMA_1(none, f, a1) f a1
#define WEFT_COMMA_2(none, f, a1, a2) f a1, f a2
#define WEFT_COMMA_3(none, f, a1, a2, a3) f a1, f a2, f a3
#define WEFT_COMMA_4(none, f, a1, a2, a3, a4) f a1, f a2, f a3, f a4
#define WEFT_COMMA_5(none, f, a1, a2, a3, a4, a5) f a1, f a2, f a3, f a4, f a5
#define WEFT_COMMA_6(none, f, a1, a2, a3, a4, a5, a6) f a1, f a2, f a3, f a4, f a5, f a6
#define WEFT_COMMA_7(none, f, a1, a2, a3, a4, a5, a6, a7) f a1, f a2, f a3, f a4, f a5, f a6, f a7
#define WEFT_COMMA_8(none, f, a1, a2, a3, a4, a5, a6, a7, a8) f a1, f a2, f a3, f a4, f a5, f a6, f a7, f a8
#define WEFT_EACH_0(none, f) none
#define WEFT_EACH_1(none, f, a1) f a1
#define WEFT_EACH_2(none, f, a1, a2) f a1 f a2
#define WEFT_EACH_3(none, f, a1, a2, a3) f a1 f a2 f a3
#define WEFT_EACH_4(none, f, a1, a2, a3, a4) f a1 f a2 f a3 f a4
#define WEFT_EACH_5(none, f, a1, a2, a3, a4, a5) f a1 f a2 f a3 f a4 f a5
#define WEFT_EACH_6(none, f, a1, a2, a3, a4, a5, a6) f a1 f a2 f a3 f a4 f a5 f a6
#define WEFT_EACH_7(none, f, a1, a2, a3, a4, a5, a6, a7) f a1 f a2 f a3 f a4 f a5 f a6 f a7
#define WEFT_EACH_8(none, f, a1, a2, a3, a4, a5, a6, a7, a8) f a1 f a2 f a3 f a4 f a5 f a6 f a7 f a8

#endif
