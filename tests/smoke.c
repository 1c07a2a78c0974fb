/* The first thing to look at when everything is broken: one task, two tasks, a sleep. */
#include "support.h"

weft_async(add_one, (int, n)) { return n + 1; }

weft_async(delay, (int, ms)) {
    int r = weft_sleep(WEFT_MS(ms));
    return r < 0 ? r : ms;
}

weft_async(everything) {
    must_equal(weft_await(add_one(1)), 2);
    weft_task *a = weft_create_task(delay(20)), *b = weft_create_task(delay(10));
    must_equal(weft_join(a), 20);
    must_equal(weft_join(b), 10);
    return 42;
}

static void test_everything(void **state) {
    (void)state;
    assert_int_equal(weft_run(everything()), 42);
    assert_int_equal(weft_run_with((weft_options){.workers = 1}, everything()), 42);
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, everything()), 42);
    assert_int_equal(weft_run_with((weft_options){.workers = 4}, everything()), 42);
    assert_int_equal(weft_run_with((weft_options){.driver = "epoll"}, everything()), 42);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything)};
    return run_group(tests);
}
