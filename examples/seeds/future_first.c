/* A future is empty, then holds a value. It needs no loop. */
#include <stdio.h>

#include "python_text.h"

int main(void) {
    weft_future *my_future = weft_future_new();

    printf("%s\n", python_bool(weft_done(my_future)));
    weft_future_set_result(my_future, 42);

    printf("%s %d\n", python_bool(weft_done(my_future)), (int)weft_result(my_future));
    weft_release(my_future);
    return 0;
}
