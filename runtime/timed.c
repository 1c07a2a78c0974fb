/* A coroutine that tells how long another one takes. */
#include <weft/timed.h>

#include <stdio.h>

#include "worker.h"

struct timed {
    weft_future *coroutine; /* first: the record's, until the body takes it */
    int64_t (*clock)(void);
    const char *function, *args;
};

static intptr_t run_timed(void *arg) {
    struct timed *self = arg;
    weft_future *coroutine = self->coroutine;
    self->coroutine = NULL;
    printf("starting <function %s> with args (%s) {}\n", self->function, self->args);
    int64_t start_ns = self->clock();
    intptr_t result = weft_join(coroutine); /* a value, an error or -ECANCELED: all of them pass on */
    int64_t end_ns = self->clock();
    printf("finished <function %s> in %.4f second(s)\n", self->function, (double)(end_ns - start_ns) / 1e9);
    return result;
}

weft_future *weft_timed_coroutine(int64_t (*clock)(void), const char *function, const char *args,
                                  weft_future *coroutine) {
    if (!coroutine) return weft__future_failed(-EINVAL);
    if (coroutine->kind == WEFT__KIND_IMMORTAL) return coroutine; /* a failed weft_coroutine */
    struct timed self = {coroutine, clock ? clock : weft_time, function ? function : "?", args ? args : ""};
    weft_future *timed = weft_coroutine_copy("timed", run_timed, &self, sizeof self);
    struct weft__task *task = weft__task_of(timed);
    if (task) task->future.arg_kind = WEFT__ARG_HOLDS_FUTURE;
    else if (weft_iscoroutine(coroutine)) weft_coroutine_close(coroutine);
    else weft_release(coroutine);
    return timed;
}
