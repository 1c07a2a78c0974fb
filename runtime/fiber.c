/* This file is compiled without TSan: __tsan_switch_to_fiber changes the shadow call stack, so the
 * function that calls it must not have instrumented entry and exit. */
#define _GNU_SOURCE
#include "fiber.h"

#include <pthread.h>

#include "assert.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT__ASAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WEFT__ASAN 1
#endif
#ifdef WEFT__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
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

/* boost/context/detail/fcontext.hpp, which is C++. */
struct transfer {
    void *context, *data;
};
extern struct transfer jump_fcontext(void *to, void *data);
extern void *make_fcontext(void *stack_top, size_t bytes, void (*entry)(struct transfer));

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

/* What a switch carries to the other side; lives on the stack that is being left. */
struct passage {
    struct weft__fiber *from, *to;
};

static struct weft__fiber *arrive(struct transfer transfer) {
    struct passage passage = *(struct passage *)transfer.data;
    passage.from->context = transfer.context;
#ifdef WEFT__ASAN
    __sanitizer_finish_switch_fiber(passage.to->asan_fake_stack, NULL, NULL);
#endif
    return passage.to;
}

static void first_frame(struct transfer transfer) {
#if defined(__x86_64__)
    __asm__ volatile(".cfi_undefined rip"); /* unwinders stop here */
#endif
    struct weft__fiber *fiber = arrive(transfer);
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

void weft__fiber_switch(struct weft__fiber *from, struct weft__fiber *to) {
#ifdef WEFT__ASAN
    __sanitizer_start_switch_fiber(&from->asan_fake_stack, to->low, (size_t)(to->high - to->low));
#endif
#ifdef WEFT__TSAN_FIBERS
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    struct passage passage = {from, to};
    arrive(jump_fcontext(to->context, &passage));
}
