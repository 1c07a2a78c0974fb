/* The arguments of a combinator: which of them it may have, and the reference that it holds on each. */
#ifndef WEFT_RUNTIME_AWAITABLES_H
#define WEFT_RUNTIME_AWAITABLES_H

#include "task.h"

/* 0, or why `awaitables` cannot be taken: -EINVAL (NULL or a driven coroutine among them), -EPERM (coroutines,
 * and no loop to make them tasks). */
int weft__awaitables_check(weft_future *const *awaitables, size_t count);

/* Takes awaitables[i] of a checked array, of which those before it have been taken: a coroutine becomes a task,
 * a temporary's reference is taken over, any other one is referenced. The caller owns one reference. */
weft_future *weft__awaitables_take(weft_future *const *awaitables, size_t i);

/* What a call does that cannot take them: consumes the temporaries, without warnings. */
void weft__awaitables_discard(weft_future *const *awaitables, size_t count);

/* Copies `count` futures to `distinct`, each once, in the order in which they first appear. Returns how many, or
 * -ENOMEM. */
#define WEFT__FEW 32 /* up to here it compares each with each, and needs no memory */
ptrdiff_t weft__awaitables_distinct(weft_future *const *awaitables, size_t count, weft_future **distinct);

#endif
