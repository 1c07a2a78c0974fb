/* Asynchronous generators as CPython has them, asked by one task at a time. Rules AG1 and AG3, and several
 * askers, are in generator_ends.c. */
#include "api_support.h"

static void on_each_loop(weft_fn *fn, void *arg) {
    for (unsigned workers = 0; workers <= 2; workers++) assert_int_equal(run_on(workers, fn, arg), 0);
}

/* ---- values ---- */

weft_async_generator(count_to, (intptr_t, last)) {
    for (intptr_t i = 1; i <= last; i++) {
        intptr_t r = weft_yield_value(i);
        if (r < 0) return r;
    }
    return last; /* thrown away */
}

weft_async_generator(no_values) { return 0; }
weft_async_generator(fails_after_one) {
    must_equal(weft_yield_value(-EIO), 0); /* any value may be yielded */
    return -EBADF;
}

static intptr_t values(void *arg) {
    intptr_t value = 77;
    (void)arg;
    weft_generator *self = count_to(3);
    for (intptr_t i = 1; i <= 3; i++) {
        must_equal(weft_anext(self, i == 2 ? NULL : &value), 1);
        must_equal(value, i == 2 ? 1 : i);
    }
    for (int i = 0; i < 3; i++) must_equal(weft_anext(self, &value), 0);
    must_equal(value, 3);
    must_equal(weft_asend(self, 5, &value), 0);
    must_equal(weft_athrow(self, -EIO, &value), 0);
    must_equal(weft_aclose(self), 0);
    weft_generator_release(self);

    self = no_values();
    must_equal(weft_anext(self, &value), 0);
    weft_generator_release(self);

    self = fails_after_one();
    must_equal(weft_anext(self, &value), 1);
    must_equal(value, -EIO);
    must_equal(weft_anext(self, &value), -EBADF);
    must_equal(weft_anext(self, &value), 0);
    weft_generator_release(self);
    return 0;
}

static void test_AG_values(void **state) {
    (void)state;
    on_each_loop(values, NULL);
}

/* What is sent and thrown comes out of the yield; a body may go on after either. */
weft_async_generator(echoes) {
    intptr_t heard = 0;
    while (heard != -EBADF) heard = weft_yield_value(heard);
    return heard;
}

static intptr_t two_ways(void *arg) {
    intptr_t value = 0;
    (void)arg;
    weft_generator *self = echoes();
    must_equal(weft_asend(self, 7, &value), -EINVAL); /* nobody listens yet */
    must_equal(weft_asend(self, 0, &value), 1);
    must_equal(weft_asend(self, 7, &value), 1);
    must_equal(value, 7);
    must_equal(weft_asend(self, -4096, &value), 1);
    must_equal(value, -4096);
    must_equal(weft_asend(self, -EIO, &value), -EINVAL);
    must_equal(weft_athrow(self, 5, &value), -EINVAL);
    must_equal(weft_athrow(self, -EIO, &value), 1);
    must_equal(value, -EIO);
    must_equal(weft_anext(self, &value), 1);
    must_equal(value, 0);
    must_equal(weft_athrow(self, -EBADF, &value), -EBADF);
    must_equal(weft_anext(self, &value), 0);
    weft_generator_release(self);
    self = echoes();
    must_equal(weft_athrow(self, -EIO, &value), -EIO); /* ends what has not begun */
    must_equal(weft_anext(self, &value), 0);
    weft_generator_release(self);
    return 0;
}

static void test_AG_send_and_throw(void **state) {
    (void)state;
    on_each_loop(two_ways, NULL);
}

/* ---- closing ---- */

static _Atomic long cleaned, runs;

weft_async_generator(cleans_up, (intptr_t, result)) {
    atomic_fetch_add(&runs, 1);
    intptr_t r = weft_yield_value(1);
    must_equal(r, WEFT_GENERATOR_EXIT);
    must_equal(weft_sleep(WEFT_US(50)), 0); /* clean-up may wait */
    must_equal(weft_sleep(0), 0);
    atomic_fetch_add(&cleaned, 1);
    return result ? result : r;
}

weft_async_generator(ignores_exit, (int, times)) {
    while (times-- > 0)
        while (weft_yield_value(times) != WEFT_GENERATOR_EXIT) {}
    return 0;
}

static intptr_t closing(void *arg) {
    intptr_t value = 0, results[] = {0, -EIO, 5};
    (void)arg;
    atomic_store(&runs, 0);
    weft_generator *self = cleans_up(0);
    must_equal(weft_aclose(self), 0); /* it never begins */
    must_equal(weft_anext(self, &value), 0);
    must_equal(atomic_load(&runs), 0);
    weft_generator_release(self);
    weft_generator_release(cleans_up(0));
    for (int i = 0; i < 3; i++) {
        atomic_store(&cleaned, 0);
        self = cleans_up(results[i]);
        must_equal(weft_anext(self, &value), 1);
        must_equal(weft_aclose(self), results[i] < 0 ? results[i] : 0);
        must_equal(atomic_load(&cleaned), 1);
        must_equal(weft_aclose(self), 0);
        must_equal(weft_anext(self, &value), 0);
        weft_generator_release(self);
    }
    self = ignores_exit(3);
    must_equal(weft_anext(self, &value), 1);
    must_equal(weft_aclose(self), -EAGAIN);
    must_equal(weft_anext(self, &value), 1); /* it lives on, as in CPython */
    must_equal(value, 1);
    must_equal(weft_aclose(self), -EAGAIN);
    must_equal(weft_aclose(self), 0);
    weft_generator_release(self);
    return 0;
}

static void test_AG_close(void **state) {
    (void)state;
    on_each_loop(closing, NULL);
}

/* ---- misuse ---- */

static weft_generator *own;
static intptr_t asks_itself(void *arg) {
    intptr_t value;
    (void)arg;
    must_equal(weft_anext(own, &value), -EBUSY);
    must_equal(weft_aclose(own), -EBUSY);
    must_equal(weft_yield_value(1), 0);
    return 0;
}

static intptr_t yields_elsewhere(void *arg) {
    (void)arg;
    return weft_yield_value(5);
}

static intptr_t yield_in_child(void *arg) {
    (void)arg;
    must_equal(weft_join(weft_spawn(yields_elsewhere, NULL)), -EPERM); /* in place too */
    must_equal(weft_await(weft_coroutine(yields_elsewhere, NULL)), 8); /* a part of the body */
    return 0;
}

static intptr_t misuse(void *arg) {
    intptr_t value = 0;
    (void)arg;
    must_equal(weft_anext(NULL, &value), -EINVAL);
    must_equal(weft_aclose(NULL), -EINVAL);
    must_equal(weft_yield_value(1), -EPERM);
    own = weft_generator_new(asks_itself, NULL);
    must_equal(weft_anext(own, &value), 1);
    must_equal(weft_anext(own, &value), 0);
    weft_generator_release(own);
    weft_generator *self = weft_generator_new(yield_in_child, NULL);
    must_equal(weft_anext(self, &value), 1);
    must_equal(value, 5);
    must_equal(weft_asend(self, 8, &value), 0);
    weft_generator_release(self);
    return 0;
}

static intptr_t asks(void *generator) { return weft_anext(generator, NULL); }
static void *asks_in_thread(void *generator) {
    must_equal(run_on(1, asks, generator), -EPERM);
    return NULL;
}

static intptr_t another_runtime(void *arg) {
    (void)arg;
    weft_generator *self = count_to(3);
    must_equal(weft_anext(self, NULL), 1);
    thread_join(thread_start(asks_in_thread, self));
    must_equal(weft_anext(self, NULL), 1);
    must_equal(weft_aclose(self), 0);
    weft_generator_release(self);
    return 0;
}

static void test_AG_misuse(void **state) {
    (void)state;
    weft_generator *self = count_to(1);
    assert_int_equal(weft_anext(self, NULL), -EPERM);
    assert_int_equal(weft_shutdown_asyncgens(), -EPERM);
    weft_generator_release(self);
    weft_generator_release(NULL);
    self = weft_generator_new(NULL, NULL);
    assert_int_equal(weft_anext(self, NULL), -EINVAL);
    assert_int_equal(weft_aclose(self), 0);
    weft_generator_release(self);
    self = weft_generator_copy("huge", asks_itself, self, SIZE_MAX);
    assert_int_equal(weft_anext(self, NULL), -ENOMEM);
    weft_generator_release(self);
    on_each_loop(misuse, NULL);
    on_each_loop(another_runtime, NULL);
}

/* ---- a part of the asker's task ---- */

static intptr_t same(void *arg) { return (intptr_t)arg; }

weft_async_generator(sees_the_asker, (int, suspends)) {
    for (intptr_t i = 0;; i++) {
        weft_task *asker = weft_current_task();
        if (suspends) must_equal(weft_sleep(i % 2 ? 0 : WEFT_US(20)), 0);
        must_equal(weft_join(weft_spawn(same, (void *)i)), i);
        must(weft_current_task() == asker);
        errno = (int)i;
        if (weft_yield_value((intptr_t)asker) < 0) return 0;
        must_equal(errno, i);
    }
}

static weft_generator *shared;
static intptr_t is_asker(void *arg) {
    intptr_t value;
    (void)arg;
    for (int i = 0; i < 10; i++) {
        must_equal(weft_anext(shared, &value), 1);
        must(value == (intptr_t)weft_current_task());
        errno = 99;
    }
    return 0;
}

static intptr_t asker(void *suspends) {
    shared = sees_the_asker(suspends != NULL);
    for (int i = 0; i < 20; i++) must_equal(weft_join(weft_spawn(is_asker, NULL)), 0);
    must_equal(is_asker(NULL), 0);
    must_equal(weft_aclose(shared), 0);
    weft_generator_release(shared);
    return 0;
}

static void test_AG_current_task(void **state) {
    (void)state;
    on_each_loop(asker, NULL);
    on_each_loop(asker, &shared);
}

/* A cancelled asker: the body's await says so. It may end, or clean up and go on. */
static _Atomic bool entered;
static void until_entered(void) {
    while (!atomic_load(&entered)) must_equal(weft_sleep(0), 0);
}

weft_async_generator(waits, (bool, goes_on)) {
    atomic_store(&entered, true);
    int r = weft_sleep(WEFT_SEC(1000));
    must_equal(r, -ECANCELED);
    must_equal(weft_sleep(WEFT_US(20)), 0);
    atomic_fetch_add(&cleaned, 1);
    if (goes_on) must_equal(weft_yield_value(r), 0);
    return r;
}

static intptr_t asks_for_one(void *generator) {
    intptr_t value = 0;
    int r = weft_anext(generator, &value);
    return r == 1 ? value : r;
}

static intptr_t cancelled(void *arg) {
    (void)arg;
    for (int goes_on = 0; goes_on <= 1; goes_on++) {
        atomic_store(&cleaned, 0);
        atomic_store(&entered, false);
        weft_generator *self = waits(goes_on);
        weft_task *task = weft_spawn(asks_for_one, self);
        until_entered();
        must_equal(weft_anext(self, NULL), -EBUSY); /* suspended in an await: running all the same */
        must_equal(weft_aclose(self), -EBUSY);
        must_equal(weft_athrow(self, -EIO, NULL), -EBUSY);
        must(weft_cancel(task));
        must_equal(weft_await(task), -ECANCELED);
        must_equal(weft_cancelled(task), true);
        must_equal(atomic_load(&cleaned), 1);
        must_equal(weft_anext(self, NULL), goes_on ? -ECANCELED : 0);
        must_equal(weft_anext(self, NULL), 0);
        weft_generator_release(self);
        weft_release(task);
    }
    return 0;
}

static void test_AG_cancel_inside(void **state) {
    (void)state;
    on_each_loop(cancelled, NULL);
}

/* The order of a strict loop, as CPython 3.11 to 3.13 have it. */
weft_async_generator(three, (char, name)) {
    intptr_t r = 0;
    for (char i = '0'; i < '3' && r == 0; i++) {
        mark((char[]){name, i, 0});
        if (i == '1') must_equal(weft_sleep(0), 0);
        r = weft_yield_value(i);
    }
    mark((char[]){name, 'e', 'n', 'd', 0});
    return r;
}

weft_async(consume, (char, name)) {
    intptr_t value;
    weft_generator *self = three(name);
    while (weft_anext(self, &value) > 0) mark((char[]){name, 'g', 'o', 't', (char)value, 0});
    weft_generator_release(self);
    return 0;
}

weft_async(two_consumers) {
    void *cs = (void *)(uintptr_t) "cs";
    must_equal(weft_loop_call_soon_threadsafe(weft_get_running_loop(), mark_callback, cs).error, 0);
    weft_task *a = weft_create_task(consume('a')), *b = weft_create_task(consume('b'));
    must_equal(weft_join(a), 0);
    mark("m");
    return weft_join(b);
}

static void test_AG_strict_order(void **state) {
    (void)state;
    trace[0] = 0;
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, two_consumers()), 0);
    assert_string_equal(trace, "cs a0 agot0 a1 b0 bgot0 b1 agot1 a2 agot2 aend bgot1 b2 bgot2 bend m");
}

/* ---- nesting ---- */

weft_async_generator(nested, (int, depth)) {
    intptr_t value, r = 0;
    weft_generator *below = depth ? nested(depth - 1) : count_to(5);
    while (r == 0 && (r = weft_anext(below, &value)) == 1) {
        if (depth % 10 == 0) must_equal(weft_sleep(0), 0);
        r = weft_yield_value(value + 1);
    }
    if (r == WEFT_GENERATOR_EXIT) must_equal(weft_aclose(below), 0);
    weft_generator_release(below);
    atomic_fetch_add(&cleaned, 1);
    return r;
}

static intptr_t nesting(void *arg) {
    intptr_t value, sum = 0;
    (void)arg;
    for (int depth = 0; depth <= 100; depth += 50) {
        weft_generator *self = nested(depth);
        while (weft_anext(self, &value) == 1) sum += value - depth - 1;
        weft_generator_release(self);
        must_equal(sum, 15);
        sum = 0;
        atomic_store(&cleaned, 0);
        self = nested(depth);
        must_equal(weft_anext(self, NULL), 1);
        must_equal(weft_aclose(self), 0);
        must_equal(atomic_load(&cleaned), depth + 1);
        weft_generator_release(self);
    }
    return 0;
}

static void test_AG_nested(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) on_each_loop(nesting, NULL);
}

/* Arguments of every number, copied. */
weft_async_generator(eight, (char, a), (short, b), (int, c), (long, d), (float, e), (double, f), (intptr_t *, g),
                     (intptr_t, h)) {
    return weft_yield_value(a + b + c + d + (intptr_t)e + (intptr_t)f + *g + h);
}
weft_async_generator_extern(with_linkage, (intptr_t, n)) { return weft_yield_value(n); }
weft_async_generator_declare(with_linkage, (intptr_t, n));

static intptr_t arguments(void *arg) {
    intptr_t value, seven = 7;
    (void)arg;
    weft_generator *all[] = {eight(1, 2, 3, 4, 5, 6, &seven, 8), with_linkage(36)};
    for (int i = 0; i < 2; i++) {
        must_equal(weft_anext(all[i], &value), 1);
        must_equal(value, 36);
        must_equal(weft_aclose(all[i]), 0);
        weft_generator_release(all[i]);
    }
    return 0;
}

static void test_AG_arguments(void **state) {
    (void)state;
    on_each_loop(arguments, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_AG_values),       cmocka_unit_test(test_AG_send_and_throw),
        cmocka_unit_test(test_AG_close),        cmocka_unit_test(test_AG_misuse),
        cmocka_unit_test(test_AG_current_task), cmocka_unit_test(test_AG_cancel_inside),
        cmocka_unit_test(test_AG_strict_order), cmocka_unit_test(test_AG_nested),
        cmocka_unit_test(test_AG_arguments),
    };
    return run_group(tests);
}
