/* Reports: errors that nobody would see, slow steps; and debug mode's switches. */
#define _GNU_SOURCE
#include <weft/debug.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "worker.h"

int weft__debug_from_environment(void) {
    const char *value = getenv("WEFT_DEBUG");
    return value && *value ? 1 : -1;
}

_Atomic bool weft__debug_sites;

const char *weft__debug_place_text(const char *what, const void *place, char *text, size_t bytes) {
    Dl_info info;
    *text = '\0';
    if (place && dladdr(place, &info))
        snprintf(text, bytes, " (%s at %s+0x%zx)", what, info.dli_fname,
                 (size_t)((char *)place - (char *)info.dli_fbase));
    return text;
}

const char *weft__debug_site_text(const void *site, char *text, size_t bytes) {
    return weft__debug_place_text("made", site, text, bytes);
}

static void print_record(const weft_exception_record *record) {
    char site[256];
    fprintf(stderr, "weft: %s: '%s'%s%s%s\n", record->message, record->name ? record->name : "",
            record->error ? " " : "", record->error ? weft_strerror(record->error) : "",
            weft__debug_site_text(record->site, site, sizeof site));
}

int weft_loop_default_exception_handler(weft_loop *loop, const weft_exception_record *record) {
    if (!loop || !record) return -EINVAL;
    print_record(record);
    return 0;
}

int weft_loop_set_exception_handler(weft_loop *loop, weft_exception_handler *handler, void *arg) {
    if (!loop) return -EINVAL;
    weft__lock_acquire(&loop->lock);
    loop->on_exception = handler;
    loop->on_exception_arg = arg;
    weft__lock_release(&loop->lock);
    return 0;
}

int weft_loop_call_exception_handler(weft_loop *loop, const weft_exception_record *record) {
    if (!loop || !record) return -EINVAL;
    weft__lock_acquire(&loop->lock);
    weft_exception_handler *handler = loop->on_exception;
    void *arg = loop->on_exception_arg;
    weft__lock_release(&loop->lock);
    if (!handler) return weft_loop_default_exception_handler(loop, record);
    handler(loop, record, arg);
    return 0;
}

/* ---- failures that nobody looked at ---- */

/* A report that travels to its loop. */
struct report {
    struct weft__runnable runnable;
    weft_loop *loop;
    weft_exception_record record;
};

static void run_report(struct weft__worker *worker, struct weft__runnable *runnable) {
    struct report *self = weft__container_of(runnable, struct report, runnable);
    if (worker) weft_loop_call_exception_handler(self->loop, &self->record);
    else print_record(&self->record);
    free(self);
}

static bool post_report(weft_loop *loop, uint64_t serial, const weft_exception_record *record) {
    struct report *self = malloc(sizeof *self);
    if (!self) return false;
    *self = (struct report){{.run = run_report}, loop, *record};
    self->record.future = NULL; /* gone by then */
    if (weft__gate_try_enter(loop, serial)) {
        weft__worker_post(loop->worker, &self->runnable);
        weft__gate_leave(loop);
        return true;
    }
    free(self);
    return false;
}

void weft__debug_unretrieved(weft_future *future, weft_loop *loop, uint64_t serial) {
    struct weft__task *task = weft__task_of(future);
    weft_exception_record record = {.message = "an error was never retrieved", .error = future->result,
                                    .future = future, .name = task ? weft_task_name(future) : "future",
                                    .site = future->site};
    struct weft__worker *here = weft__world_worker();
    if (here && here->loop == loop) weft_loop_call_exception_handler(loop, &record);
    else if (!post_report(loop, serial, &record)) print_record(&record);
}

void weft__debug_never_awaited(weft_future *coroutine) {
    char site[256];
    fprintf(stderr, "weft: coroutine '%s' was never awaited%s\n", weft_task_name(coroutine),
            weft__debug_site_text(coroutine->site, site, sizeof site));
}

/* ---- slow steps ---- */

void weft__debug_slow(struct weft__worker *worker, const char *kind, const char *name, const void *site,
                      int64_t took_ns) {
    char text[256];
    if (took_ns < load_relaxed(&worker->loop->slow_ns)) return;
    fprintf(stderr, "weft: executing %s '%s' took %.3f seconds%s\n", kind, name, (double)took_ns / 1e9,
            weft__debug_site_text(site, text, sizeof text));
}
