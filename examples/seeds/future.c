/* A future is empty, then holds a value. It needs no loop. */
#include <stdio.h>

#include "python_text.h"

int main(void) {
    weft_future *my_future = weft_future_new();

    printf("Is my_future done? %s\n", python_bool(weft_done(my_future)));
    weft_future_set_result(my_future, 42);

    printf("Is my_future done? %s\n", python_bool(weft_done(my_future)));
    printf("What is the result of my_future? %d\n", (int)weft_result(my_future));
    weft_release(my_future);
    return 0;
}
