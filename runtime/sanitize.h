/* Which sanitizer this build runs under, and the annotations that tell it what it cannot see. */
#ifndef WEFT_RUNTIME_SANITIZE_H
#define WEFT_RUNTIME_SANITIZE_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT__ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WEFT__TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEFT__ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WEFT__TSAN 1
#endif

#ifdef WEFT__ASAN
#include <sanitizer/asan_interface.h>
#define WEFT__POISON(address, bytes) __asan_poison_memory_region(address, bytes)
#define WEFT__UNPOISON(address, bytes) __asan_unpoison_memory_region(address, bytes)
#else
#define WEFT__POISON(address, bytes) ((void)0)
#define WEFT__UNPOISON(address, bytes) ((void)0)
#endif

/* The kernel hands a completion from the submitter to the reaper; TSan does not see the kernel. */
#ifdef WEFT__TSAN
#include <sanitizer/tsan_interface.h>
#define WEFT__HANDED_TO_KERNEL(address) __tsan_release(address)
#define WEFT__HANDED_BY_KERNEL(address) __tsan_acquire(address)
#else
#define WEFT__HANDED_TO_KERNEL(address) ((void)0)
#define WEFT__HANDED_BY_KERNEL(address) ((void)0)
#endif

#endif
