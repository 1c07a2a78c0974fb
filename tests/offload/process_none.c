/* A program without jobs pays nothing: weft_run starts no process. */
#include "process_support.h"

static intptr_t look_around(void *arg) {
    pid_t children[4];
    (void)arg;
    must_equal(children_of(0, children, 4), 0);
    return 0;
}

static void test_no_process(void **state) {
    (void)state;
    on_all(look_around);
    assert_int_equal(weft_process_pool_prepare(), 0);
    on_all(look_around);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_process)};
    return run_process_group(tests);
}
