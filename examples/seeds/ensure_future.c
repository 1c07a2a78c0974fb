/* Two ways to make a task. Both need a running loop. */
#include <stdio.h>

#include <weft/weft.h>

weft_async(coro) { return 1; }

static void print_result(intptr_t result) {
    if (weft_is_error(result))
        printf("%s\n", weft_strerror(result));
    else
        printf("%d\n", (int)result);
}

static void make_two_tasks(void) {
    weft_task *task1 = weft_create_task(coro());
    weft_future *task2 = weft_ensure_future(coro());

    print_result(weft_join(task1));
    print_result(weft_join(task2));
}

weft_async(async_main) {
    make_two_tasks();
    return 0;
}

int main(void) {
    make_two_tasks();
    return weft_is_error(weft_run(async_main()));
}
