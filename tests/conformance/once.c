/* weft_once: done once, whoever comes first; others wait, and get the same result. */
#include "sync_support.h"

static weft_once_flag flag;
static _Atomic long calls;
static int plain;

static intptr_t makes(void *arg) {
    atomic_fetch_add(&calls, 1);
    plain = 7;
    weft_yield();
    return (intptr_t)arg;
}

static intptr_t asks(void *arg) {
    intptr_t result = weft_once(&flag, makes, arg);
    must_equal(plain, 7);
    return result;
}

static intptr_t calls_itself(void *arg) { return weft_once(arg, calls_itself, arg); }

static intptr_t misuse(void *arg) {
    weft_once_flag mine = WEFT_ONCE_INIT;
    (void)arg;
    must_equal(weft_once(NULL, makes, NULL), -EINVAL);
    must_equal(weft_once(&mine, NULL, NULL), -EINVAL);
    must_equal(weft_once(&mine, calls_itself, &mine), -EDEADLK);
    must_equal(weft_once(&mine, makes, NULL), -EDEADLK); /* once means once */
    return 0;
}

static void test_misuse(void **state) {
    (void)state;
    on_each_loop(misuse);
}

#define PARTIES 8
static intptr_t races(void *arg) {
    struct party parties[PARTIES];
    (void)arg;
    for (int i = 0; i < ROUNDS(20000); i++) {
        int count = i % 100 ? PARTIES - 1 : PARTIES; /* a thread now and then */
        memset(&flag, 0, sizeof flag);
        plain = 0;
        atomic_store(&calls, 0);
        for (int j = 0; j < count; j++) party_start(&parties[j], j == PARTIES - 1, asks, (void *)42);
        for (int j = 0; j < count; j++) must_equal(party_join(&parties[j]), 42);
        must_equal(atomic_load(&calls), 1);
    }
    return 0;
}

static void test_once(void **state) {
    (void)state;
    on_each_loop(races);
}

/* Who waits can be cancelled; who runs fn is cancelled within it. */
static intptr_t sleeps(void *arg) {
    (void)arg;
    return weft_sleep(WEFT_SEC(100));
}

static intptr_t asks_sleeper(void *arg) { return weft_once(arg, sleeps, NULL); }

static intptr_t cancelled(void *arg) {
    weft_once_flag mine = WEFT_ONCE_INIT;
    (void)arg;
    weft_task *runner = weft_spawn(asks_sleeper, &mine);
    while (peek(&mine.opaque[1]) == 0) weft_yield(); /* the runner is known */
    weft_task *waiter = weft_spawn(asks_sleeper, &mine), *other = weft_spawn(asks_sleeper, &mine);
    until_arrived(&mine.opaque[4], 0);
    for (int i = 0; i < 5; i++) weft_yield();
    must(weft_cancel(waiter));
    must_equal(weft_join(waiter), -ECANCELED);
    must(!weft_done(other) && !weft_done(runner));
    must(weft_cancel(runner));
    must_equal(weft_join(runner), -ECANCELED);
    must_equal(weft_join(other), -ECANCELED);
    must_equal(weft_once(&mine, makes, NULL), -ECANCELED);
    return 0;
}

static void test_cancelled(void **state) {
    (void)state;
    on_each_loop(cancelled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_cancelled),
    };
    return run_group(tests);
}
