/* A first long-running coroutine. A string travels as the result. */
#include "delay.h"

weft_async(hello_god_message) {
    int error = weft_sleep(seed_seconds(1)); /* Pause hello_god_message for 1 second. */
    if (error < 0)
        return error;
    return (intptr_t) "Hello God!";
}

weft_async(async_main) {
    intptr_t message = weft_await(hello_god_message()); /* Pause until hello_god_message finishes. */
    if (weft_is_error(message))
        return message;
    printf("%s\n", (const char *)message);
    return 0;
}

WEFT_MAIN(async_main)
