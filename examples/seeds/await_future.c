/* Awaiting a future that another task completes. */
#include "delay.h"
#include "python_text.h"

/* Holds a reference on `future` of its own, as a Python argument does. */
weft_async(set_future_value, (weft_future *, future)) {
    int error = weft_sleep(seed_seconds(1)); /* Wait 1 second before setting the value of the future */
    if (error == 0)
        weft_future_set_result(future, 42);
    weft_release(future);
    return error;
}

static weft_future *make_request(void) {
    weft_future *future = weft_future_new();
    /* Create a task to asynchronously set the value of the future; it goes on alone. */
    weft_release(weft_create_task(set_future_value(weft_ref(future))));
    return future;
}

weft_async(async_main) {
    weft_future *future = make_request();
    printf("Is the future done? %s\n", python_bool(weft_done(future)));
    int value = weft_await(future);
    printf("Is the future done? %s\n", python_bool(weft_done(future)));
    printf("%d\n", value);
    weft_release(future);
    return 0;
}

WEFT_MAIN(async_main)
