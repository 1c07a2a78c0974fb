/* weft_run makes a runtime, runs one coroutine on it, cleans up, and returns the coroutine's result. */
#include <stdio.h>

#include <weft/weft.h>

weft_async(coroutine_add_one, (int, number)) { return number + 1; }

int main(void) {
    int result = weft_run(coroutine_add_one(1));

    printf("%d\n", result);
    return 0;
}
