/* Awaiting coroutines one after the other: main pauses for add_one(1), resumes, pauses for add_one(2). */
#include <stdio.h>

#include <weft/weft.h>

weft_async(add_one, (int, number)) { return number + 1; }

weft_async(async_main) {
    int one_plus_one = weft_await(add_one(1)); /* Pause, and wait for the result of add_one(1). */
    int two_plus_one = weft_await(add_one(2)); /* Pause, and wait for the result of add_one(2). */

    printf("%d\n", one_plus_one);
    printf("%d\n", two_plus_one);
    return 0;
}

WEFT_MAIN(async_main)
