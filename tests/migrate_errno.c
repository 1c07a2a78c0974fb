/* errno belongs to the task: what it was before an await it is afterwards, on whichever thread. The build
 * "migrate" moves the task at every wake-up. */
#include "api_support.h"

static _Atomic long moves;

__attribute__((noinline)) static void set_errno(int value) { errno = value; }

static intptr_t keeps_errno(void *arg) {
    int mine = (int)(intptr_t)arg + 1;
    for (int i = 0; i < ROUNDS(300); i++) {
        weft_loop *before = weft_get_running_loop(); /* pthread_self() is folded over the await */
        errno = mine;
        switch (i % 4) {
        case 0: must_equal(weft_sleep(0), 0); break;
        case 1: must_equal(weft_yield(), 0); break;
        case 2: must_equal(weft_sleep(WEFT_US(i % 30)), 0); break;
        default: must_equal(weft_sleep_until(weft_time()), 0);
        }
        must_equal(errno, mine);
        must_equal(*weft_errno_location(), mine);
        must_equal(open("/nonexistent/weft", O_RDONLY), -1);
        must_equal(errno, ENOENT); /* the address is that of this thread */
        set_errno(-mine);
        must_equal(errno, -mine);
        if (before != weft_get_running_loop()) atomic_fetch_add(&moves, 1);
    }
    return mine;
}

static intptr_t many(void *arg) {
    weft_task *tasks[16];
    (void)arg;
    for (intptr_t i = 0; i < 16; i++) tasks[i] = weft_spawn(keeps_errno, (void *)i);
    for (intptr_t i = 0; i < 16; i++) must_equal(weft_join(tasks[i]), i + 1);
    return 0;
}

static void test_errno(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 4; workers += workers == 2 ? 2 : 1)
        assert_int_equal(run_on(workers, many, NULL), 0);
#ifdef WEFT_FORCE_MIGRATION
    assert_true(atomic_load(&moves) > 0);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_errno)};
    return run_group(tests);
}
