/* A function's call is its value; a coroutine function's call is an object whose body has not run. */
#include <stdio.h>

#include "python_text.h"

weft_async(coroutine_add_one, (int, number)) { return number + 1; }

static int add_one(int number) { return number + 1; }

int main(void) {
    int function_result = add_one(1);
    weft_future *coroutine_result = coroutine_add_one(1);

    printf("Function result is %d and the type is %s\n", function_result,
           _Generic(function_result, int: "int", default: "another"));
    printf("Coroutine result is <coroutine object %s at %p> and the type is %s\n",
           weft_task_name(coroutine_result), (void *)coroutine_result, python_type(coroutine_result));
    weft_release(coroutine_result); /* warns: never awaited. Python does so when it collects the object */
    return 0;
}
