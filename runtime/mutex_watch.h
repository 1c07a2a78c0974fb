/* Debug mode's report of a pthread mutex that a task holds when it gives up its thread: because it awaits something,
 * goes into a blocking region or comes out of it, or ends. Then another task may run on this thread, find the mutex
 * locked and block the thread that would have to let the first one go on; and that one may go on, and unlock, on
 * another thread, of which pthreads say that it must not. A weft_lock is meant for that. (How it is seen:
 * world_mutexes.h.)
 *
 * A mutex is a task's if it was locked on the task's stack: so what callbacks and threads hold is theirs. */
#ifndef WEFT_RUNTIME_MUTEX_WATCH_H
#define WEFT_RUNTIME_MUTEX_WATCH_H

struct weft__stack;
struct weft__task;

/* The task, which runs on the stack, gives up the calling thread: once for each place in the program that locks. */
void weft__mutex_watch_look(struct weft__task *task, struct weft__stack *stack);

#endif
