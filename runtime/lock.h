/* What a condition needs of a lock beyond weft/sync.h. */
#ifndef WEFT_RUNTIME_LOCK_H
#define WEFT_RUNTIME_LOCK_H

#include <weft/sync.h>

/* weft_lock_acquire that is no cancellation point. Thread: a task or a plain thread. Suspends: yes. */
void weft__lock_take_back(weft_lock *lock);

#endif
