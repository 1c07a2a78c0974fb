/* Creating a task returns at once; awaiting it extracts the value. */
#include "delay.h"
#include "python_text.h"

weft_async(async_main) {
    weft_task *sleep_for_three = weft_create_task(delay(3));
    printf("%s\n", python_type(sleep_for_three));
    int result = weft_join(sleep_for_three);
    printf("%d\n", result);
    return result;
}

/* Strict order: the task starts when its creator first suspends, as in asyncio, after the first line. */
int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
