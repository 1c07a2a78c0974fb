/* run_forever and stop: before the run, what is scheduled runs once; during the run, the batch finishes. */
#include "delay.h"
#include "python_text.h"

static weft_loop *loop;

static void print(void *text) { puts(text); }

static void print_and_queue_child(void *text) {
    puts(text);
    weft_loop_call_soon(loop, print, "child");
}

static void stop_and_queue_child(void *text) {
    weft_loop_stop(loop);
    print_and_queue_child(text);
}

int main(void) {
    loop = weft_new_event_loop();
    weft_loop_call_soon(loop, print_and_queue_child, "a");
    weft_loop_stop(loop);
    weft_loop_run_forever(loop);
    puts("bar");
    weft_loop_stop(loop);
    weft_loop_run_forever(loop);

    weft_loop_call_soon(loop, print, "1");
    weft_loop_call_soon(loop, stop_and_queue_child, "stop");
    weft_loop_call_soon(loop, print, "3");
    weft_loop_run_forever(loop);
    puts("bar");
    weft_loop_stop(loop);
    weft_loop_run_forever(loop);

    printf("running? %s\n", python_bool(weft_loop_is_running(loop)));
    weft_loop_close(loop);
    weft_loop_close(loop);
    printf("closed? %s\n", python_bool(weft_loop_is_closed(loop)));
    weft_loop_release(loop);
    return 0;
}
