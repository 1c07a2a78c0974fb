/* current_task and all_tasks. */
#include "delay.h"

weft_async(child) {
    printf("child is %s\n", weft_task_name(weft_current_task()));
    return weft_sleep(seed_seconds(1));
}

weft_async(async_main) {
    weft_task **tasks, *task = weft_create_task_with((weft_task_options){.name = "a child"}, child());

    printf("main is %s\n", weft_task_name(weft_current_task()));
    int count = weft_all_tasks(NULL, &tasks);
    printf("%d tasks\n", count);
    weft_all_tasks_release(tasks, count);
    weft_join(task);
    count = weft_all_tasks(NULL, &tasks);
    printf("%d task, the current one: %d\n", count, tasks[0] == weft_current_task());
    weft_all_tasks_release(tasks, count);
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
