/* Pitfall 2: blocking calls in a coroutine. The call stalls its loop; the ways out, with the loop alive: in a
 * thread of a pool, in place, or without blocking at all. */
#include "watch.h"

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What a library does that knows no loops: it keeps its thread for two seconds. */
static intptr_t blocking_io(void *arg) {
    int64_t ns = seed_seconds(2);
    (void)arg;
    nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
    return 42;
}

/* The same without blocking: somebody answers in two seconds, and meanwhile others run. */
weft_async(answer, (int, fd)) {
    weft_sleep(seed_seconds(2));
    return weft_send_all(fd, "42", 2);
}

weft_async(non_blocking_io) {
    char text[3] = "";
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        return -EIO;
    weft_task *other = weft_create_task(answer(ends[1]));
    intptr_t error = weft_recv(ends[0], text, 2, 0);
    weft_join(other);
    weft_close(ends[0]);
    weft_close(ends[1]);
    return error < 0 ? error : atoi(text);
}

weft_async(stalling) { return blocking_io(NULL); }

weft_async(in_a_thread) { return weft_await(weft_to_thread(blocking_io, NULL)); }

weft_async(in_place) {
    int error = weft_enter_blocking();
    if (error < 0)
        return error;
    intptr_t result = blocking_io(NULL);
    weft_leave_blocking();
    return result;
}

weft_async(async_main) {
    weft_await(watch("a blocking call", stalling()));
    weft_await(watch("in a thread", in_a_thread()));
    weft_await(watch("in place", in_place()));
    weft_await(watch("without blocking", non_blocking_io()));
    return 0;
}

int main(void) { return weft_is_error(weft_run_with((weft_options){.fifo = true}, async_main())); }
