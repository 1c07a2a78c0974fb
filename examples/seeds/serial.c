/* Awaits without tasks do not overlap: the message takes its second before add_one begins. */
#include "delay.h"

weft_async(add_one, (int, number)) { return number + 1; }

weft_async(hello_world_message) {
    intptr_t result = weft_await(delay(1));
    if (weft_is_error(result))
        return result;
    return (intptr_t) "Hello World!";
}

weft_async(async_main) {
    intptr_t message = weft_await(hello_world_message());
    if (weft_is_error(message))
        return message;
    int one_plus_one = weft_await(add_one(1));
    printf("%d\n", one_plus_one);
    printf("%s\n", (const char *)message);
    return 0;
}

WEFT_MAIN(async_main)
