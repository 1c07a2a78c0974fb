/* The simplest coroutine. */
#include <stdio.h>

#include <weft/weft.h>

weft_async(my_coroutine) {
    puts("Hello World");
    return 0;
}

WEFT_MAIN(my_coroutine)
