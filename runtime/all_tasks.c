/* All tasks of a runtime: a walk over the slab, which takes a reference on each. A task that lives from before the
 * walk until after it is in the list, once; one that comes or goes meanwhile may be. */
#include <weft/task.h>

#include <stdlib.h>

#include "assert.h"
#include "worker.h"

struct collection {
    struct weft__runtime *runtime;
    weft_task **tasks;
    size_t count, capacity;
    bool failed;
};

static bool make_room(struct collection *self) {
    if (self->count < self->capacity) return true;
    size_t capacity = self->capacity ? 2 * self->capacity : 64;
    weft_task **tasks = realloc(self->tasks, capacity * sizeof *tasks);
    if (!tasks) return false;
    self->tasks = tasks;
    self->capacity = capacity;
    return true;
}

static void collect(void *record, void *arg) {
    struct collection *self = arg;
    struct weft__task *task = record;
    if (self->failed || !weft__future_try_ref(&task->future)) return;
    bool ours = task->future.kind == WEFT__KIND_TASK && task->runtime == self->runtime;
    if (ours && make_room(self)) {
        self->tasks[self->count++] = &task->future;
        return;
    }
    self->failed = ours;
    weft_release(&task->future);
}

void weft_all_tasks_release(weft_task **tasks, int count) {
    for (int i = 0; tasks && i < count; i++) weft_release(tasks[i]);
    free(tasks);
}

int weft__tasks_collect(struct weft__runtime *runtime, weft_task ***tasks) {
    struct collection self = {.runtime = runtime};
    weft__slab_each(collect, &self);
    if (self.failed) {
        weft_all_tasks_release(self.tasks, (int)self.count);
        return -ENOMEM;
    }
    *tasks = self.tasks;
    return (int)self.count;
}

int weft_all_tasks(weft_loop *loop, weft_task ***tasks) {
    struct weft__worker *worker = weft__world_worker();
    if (!tasks || (!loop && !worker)) return tasks ? -EPERM : -EINVAL;
    bool inside = worker && (!loop || worker->loop == loop);
    int error = inside ? 0 : weft__gate_enter(loop);
    if (error) return error;
    int count = weft__tasks_collect(inside ? worker->runtime : loop->worker->runtime, tasks);
    if (!inside) weft__gate_leave(loop);
    return count;
}
