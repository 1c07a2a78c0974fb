/* A task can cancel its coroutine, or simply be awaited. (The note prints nothing.) */
#include <stdio.h>

#include "python_text.h"

weft_async(nested) { return 42; }

weft_async(async_main) {
    weft_task *task = weft_create_task(nested());

    /* "task" can now be used to cancel "nested()", or
     * can simply be awaited to wait until it is complete: */
    int result = weft_await(task);
    printf("%d %s\n", result, python_bool(weft_done(task)));
    weft_release(task);
    return 0;
}

WEFT_MAIN(async_main)
