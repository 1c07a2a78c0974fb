/* This file is compiled without TSan: __tsan_switch_to_fiber changes the shadow call stack, so the
 * function that calls it must not have instrumented entry and exit. */
#define _GNU_SOURCE
#include "fiber.h"

#include <pthread.h>

#include "assert.h"

#ifdef WEFT__TSAN_FIBERS /* set by the build: this file itself does not see -fsanitize=thread */
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

extern void *make_fcontext(void *stack_top, size_t bytes, void (*entry)(struct weft__transfer));

void weft__fiber_adopt_thread(struct weft__fiber *fiber) {
    *fiber = (struct weft__fiber){0};
#ifdef WEFT__ASAN
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
            fiber->low = low;
            fiber->high = (char *)low + bytes;
        }
        pthread_attr_destroy(&attributes);
    }
#endif
#ifdef WEFT__TSAN_FIBERS
    fiber->tsan_fiber = __tsan_get_current_fiber();
#endif
}

static void first_frame(struct weft__transfer transfer) {
#if defined(__x86_64__)
    __asm__ volatile(".cfi_undefined rip"); /* unwinders stop here */
#endif
    struct weft__fiber *fiber = weft__fiber_arrive(transfer);
    fiber->entry(fiber);
    weft__assert(!"a fiber's entry returned");
}

void weft__fiber_init(struct weft__fiber *fiber, char *low, char *high,
                      void (*entry)(struct weft__fiber *fiber)) {
    *fiber = (struct weft__fiber){.low = low, .high = high};
    fiber->context = make_fcontext(high, (size_t)(high - low), first_frame);
    fiber->valgrind_stack = VALGRIND_STACK_REGISTER(low, high);
#ifdef WEFT__TSAN_FIBERS
    fiber->tsan_fiber = __tsan_create_fiber(0);
#endif
    fiber->entry = entry;
}

void weft__fiber_fini(struct weft__fiber *fiber) {
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_stack);
#ifdef WEFT__TSAN_FIBERS
    __tsan_destroy_fiber(fiber->tsan_fiber);
#endif
}

#ifdef WEFT__TSAN_FIBERS
void weft__fiber_switch(struct weft__fiber *from, struct weft__fiber *to) {
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
    weft__fiber_jump(from, to);
}
#endif
