/* Context variables: immutable, reference-counted maps from variable to value, copied when they are shared.
 *
 * A task owns one reference in `context` (NULL is the empty map), a callback takes its registrar's; copying a
 * context is one increment, and setting a variable makes a new map unless nobody else holds the old one. */
#ifndef WEFT_RUNTIME_CONTEXT_H
#define WEFT_RUNTIME_CONTEXT_H

#include <weft/context.h>

struct weft__context;

/* The map of the code that runs: the task's, the callback's, or the plain thread's. Thread: any. */
struct weft__context **weft__context_current(void);

/* The same on a thread that is about to become, or is no more, a loop's: the thread's, or that of a blocking
 * region. */
struct weft__context **weft__context_outside(void);

struct weft__context *weft__context_ref(struct weft__context *map);
void weft__context_release(struct weft__context *map);

/* Makes `map` the current one of the worker's callbacks, for what an explicit context or a registrar's copy
 * asks; leave gives up the reference, or stores what the map has become in `explicit_context`. */
bool weft__context_enter(weft_context *explicit_context);
void weft__context_leave(weft_context *explicit_context);

#endif
