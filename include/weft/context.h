/* weft/context.h: context variables (contextvars), values that follow a task instead of a thread.
 *
 *     static weft_context_var request_id = WEFT_CONTEXT_VAR("request_id", NULL);
 *
 *     weft_context_var_set(&request_id, "7f3a", NULL);
 *     weft_create_task(handle(fd));                    // sees "7f3a", whatever is set here later
 *
 * A task copies its creator's context when it is scheduled, and later changes stay separate; a coroutine that is
 * awaited directly shares the caller's. A callback runs in a copy of the context in which it was registered. */
#ifndef WEFT_CONTEXT_H
#define WEFT_CONTEXT_H

#include <weft/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A variable. Its identity is its address: it must live as long as any context that holds a value of it. */
typedef struct weft_context_var {
    const char *name;
    void *default_value;
} weft_context_var;

#define WEFT_CONTEXT_VAR(name, default_value) {name, default_value}

/* What a variable was before it was set, for weft_context_var_reset. Its content is weft's. */
typedef struct weft_context_token {
    const weft_context_var *variable;
    void *value;
    bool was_set;
} weft_context_token;

/* The value of `variable` in the current context, or its default.
 * Thread: any; a plain thread has a context of its own. Suspends: no. Owns: values stay their owner's.
 * Errors: none; NULL for a NULL variable. */
void *weft_context_var_get(const weft_context_var *variable);

/* Sets it in the current context. `token`, if not NULL, gets what reset needs.
 * Thread: any. Suspends: no. Owns: borrows `value` for as long as a context holds it.
 * Errors: -EINVAL (NULL variable), -ENOMEM. */
int weft_context_var_set(const weft_context_var *variable, void *value, weft_context_token *token);

/* Restores what the variable was before the set that filled `token`; a token is good for one reset.
 * Thread: any; in the context in which it was set. Suspends: no. Errors: -EINVAL (NULL, not a token of this
 * variable, used already), -ENOMEM. */
int weft_context_var_reset(const weft_context_var *variable, weft_context_token *token);

/* An explicit context: a copy of the current one, which a callback can be given, and code can be run in. */
typedef struct weft_context weft_context;

/* Copies the current context.
 * Thread: any. Suspends: no. Owns: the caller, until weft_context_release. Errors: NULL without memory. */
weft_context *weft_copy_context(void);

/* Takes and gives up a reference. NULL is fine.
 * Thread: any. Suspends: no. Owns: one reference. Errors: none. */
weft_context *weft_context_ref(weft_context *context);
void weft_context_release(weft_context *context);

/* Calls fn(arg) with `context` as the current one; what it sets stays in `context`.
 * Thread: any. Suspends: if fn does. Errors: fn's own; -EINVAL (NULL), -EBUSY (somebody runs in it now). */
intptr_t weft_context_run(weft_context *context, weft_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif
