/* Calling a coroutine function runs nothing and needs no loop: it gives a coroutine object. */
#include "delay.h"
#include "python_text.h"

weft_async(func) { return weft_sleep(seed_seconds(1)); }

int main(void) {
    weft_future *obj = func();

    printf("%s\n", python_bool(weft_iscoroutine(obj)));
    weft_coroutine_close(obj); /* it never ran; without a warning */
    return 0;
}
