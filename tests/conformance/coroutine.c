/* Coroutine objects: rules CO1 to CO10, and what weft/async.h makes of a typed argument list. */
#include "api_support.h"

static void on_each_loop(weft_future *(*maker)(void), intptr_t expected) {
    assert_int_equal(weft_run_with((weft_options){.fifo = true}, maker()), expected);
    assert_int_equal(weft_run_with((weft_options){.workers = 1}, maker()), expected);
    assert_int_equal(weft_run_with((weft_options){.workers = 2}, maker()), expected);
}

/* Making one runs nothing. */
static int runs;
weft_async(counts) { return ++runs; }

static void test_CO1_making_runs_nothing(void **state) {
    (void)state;
    weft_future *coroutine = counts();
    assert_int_equal(runs, 0);
    assert_true(weft_iscoroutine(coroutine));
    assert_false(weft_done(coroutine) || weft_cancelled(coroutine));
    assert_string_equal(weft_task_name(coroutine), "counts");
    assert_int_equal(weft_run(coroutine), 1);
    assert_int_equal(runs, 1);
}

/* One warning with the name; none when closed, awaited or kept by somebody else. */
static void test_CO7_never_awaited(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    weft_release(counts());
    assert_int_equal(capture_end(capture, "'counts' was never awaited"), 1);
    capture = capture_begin();
    weft_future *coroutine = weft_ref(counts());
    weft_release(coroutine);
    assert_int_equal(capture_end(capture, "never awaited"), 0);
    capture = capture_begin();
    assert_int_equal(weft_coroutine_close(coroutine), 0);
    assert_int_equal(weft_coroutine_close(counts()), 0);
    coroutine = weft_ref(counts());
    assert_int_equal(weft_coroutine_close(coroutine), 0);
    assert_false(weft_iscoroutine(coroutine));
    assert_true(weft_cancelled(coroutine));
    weft_release(coroutine);
    assert_int_equal(capture_end(capture, "never awaited"), 0);
    assert_int_equal(runs, 1); /* of the test before */
}

weft_async(add_one, (int, n)) { return n + 1; }
weft_async(adds) {
    must_equal(weft_await(add_one(1)), 2);
    must_equal(weft_await(add_one(2)), 3);
    return 1;
}

static void test_CO4_value_of_await(void **state) {
    (void)state;
    on_each_loop(adds, 1);
}

weft_async(fails_deep, (int, depth)) {
    if (depth == 0) {
        int r = weft_sleep(WEFT_US(20));
        return r ? r : -EIO;
    }
    return weft_await(fails_deep(depth - 1));
}
weft_async(handles) {
    must_equal(weft_await(fails_deep(5)), -EIO);
    must_equal(weft_join(weft_create_task(fails_deep(5))), -EIO); /* climbs up to the task */
    return 1;
}

static void test_CO5_errors_climb(void **state) {
    (void)state;
    on_each_loop(handles, 1);
}

/* Driven once: not while another await drives it, and not again afterwards. */
static weft_future *driven;
weft_async(sleeps_a_little) {
    int r = weft_sleep(WEFT_MS(2));
    return r ? r : 5;
}
weft_async(drives, (intptr_t, expected)) {
    must_equal(weft_await(weft_ref(driven)), expected); /* consumes the reference either way */
    return 0;
}
weft_async(drives_twice) {
    driven = weft_ref(sleeps_a_little());
    weft_task *first = weft_create_task_with((weft_task_options){.pinned = true}, drives(5));
    while (weft_iscoroutine(driven)) must_equal(weft_sleep(0), 0);
    must_equal(weft_join(weft_create_task(drives(-EINVAL))), 0);
    must_equal(weft_join(first), 0);
    must_equal(weft_await(weft_ref(driven)), -EINVAL);
    must_equal(weft_result(weft_create_task(driven)), -EINVAL);
    weft_release(driven);
    weft_release(driven);
    return 1;
}

static void test_CO6_driven_once(void **state) {
    (void)state;
    on_each_loop(drives_twice, 1);
}

/* No task is made, the loop is not entered again. */
weft_async(nested, (int, depth)) {
    if (depth == 0) return 0;
    intptr_t below = weft_await(nested(depth - 1));
    return weft_is_error(below) ? below : below + 1;
}

weft_async(chain_of_100) {
    weft_stats before, after;
    weft_task *self = weft_current_task();
    must_equal(weft_stats_get(&before), 0);
    must_equal(weft_await(nested(100)), 100);
    must_equal(weft_stats_get(&after), 0);
    must_equal(after.spawns, before.spawns);
    must_equal(after.switches, before.switches);
    must(weft_current_task() == self);
    return 100;
}

/* Deep chains: of coroutines as far as a large stack goes, of tasks without limit (each falls back to a
 * stack of its own where its awaiter's is used up). */
weft_async(deep_coroutines) { return weft_await(nested(10000)); }
weft_async(deep_stack) {
    return weft_join(weft_create_task_with((weft_task_options){.stack_bytes = 64 << 20}, deep_coroutines()));
}

weft_async(task_chain, (int, depth)) {
    if (depth == 0) return 0;
    intptr_t below = weft_join(weft_create_task(task_chain(depth - 1)));
    return weft_is_error(below) ? below : below + 1;
}
weft_async(deep_tasks) { return weft_await(task_chain(ROUNDS(5000))); }

weft_async(sleeps_below, (int, depth)) {
    if (depth == 0) return weft_sleep(WEFT_MS(1));
    intptr_t below = weft_await(sleeps_below(depth - 1));
    return weft_is_error(below) ? below : below + 1;
}
weft_async(suspended_chain) { return weft_await(sleeps_below(100)); }

static void test_CO3_CO9_chains(void **state) {
    (void)state;
    on_each_loop(chain_of_100, 100);
    on_each_loop(suspended_chain, 100);
    on_each_loop(deep_stack, 10000);
    on_each_loop(deep_tasks, ROUNDS(5000));
}

/* async.h: 0 to 8 arguments of mixed types, copied when the coroutine is made. */
struct wide {
    uint64_t words[12];
};
typedef int three[3];

weft_async(a0) { return 100; }
weft_async(a1, (char, a)) { return a; }
weft_async(a2, (char, a), (double, b)) { return a + (int)b; }
weft_async(a3, (char, a), (double, b), (const char *, c)) { return a + (int)b + c[0]; }
weft_async(a4, (char, a), (double, b), (const char *, c), (struct wide, d)) {
    return a + (int)b + c[0] + (int)d.words[11];
}
weft_async(a5, (bool, a), (uint64_t, b), (int *, c), (short, d), (long double, e)) {
    return a + (intptr_t)b + *c + d + (intptr_t)e;
}
weft_async(a6, (int, a), (int, b), (int, c), (int, d), (int, e), (int, f)) {
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f;
}
weft_async(a7, (char, a), (short, b), (int, c), (long, d), (float, e), (double, f), (struct wide *, g)) {
    return a + b + c + d + (intptr_t)e + (intptr_t)f + (intptr_t)g->words[0];
}
weft_async(a8, (long, a), (long, b), (long, c), (long, d), (long, e), (long, f), (long, g), (struct wide, h)) {
    return a + b + c + d + e + f + g + (intptr_t)h.words[0];
}
weft_async_extern(with_linkage, (int, n)) { return n; }
weft_async_declare(with_linkage, (int, n));

weft_async(arguments) {
    struct wide wide = {{1, [11] = 8}};
    int five = 5;
    for (int as_task = 0; as_task <= 1; as_task++) {
#define CHECK(coroutine, expected)                                                                           \
    do {                                                                                                     \
        weft_future *made_ = coroutine;                                                                      \
        must_equal(as_task ? weft_join(weft_create_task(made_)) : weft_await(made_), expected);              \
    } while (0)
        CHECK(a0(), 100);
        CHECK(a1('a'), 'a');
        CHECK(a2(1, 2.5), 3);
        CHECK(a3(1, 2.5, "A"), 68);
        CHECK(a4(1, 2.5, "A", wide), 76);
        CHECK(a5(true, UINT64_C(1) << 40, &five, -3, 4.0L), (INT64_C(1) << 40) + 7);
        CHECK(a6(1, 2, 3, 4, 5, 6), 654321);
        CHECK(a7(1, 2, 3, 4, 5.f, 6., &wide), 22);
        CHECK(a8(1, 2, 3, 4, 5, 6, 7, wide), 29);
        CHECK(with_linkage(3), 3);
#undef CHECK
    }
    weft_future *early = a4(1, 2.5, "A", wide);
    wide.words[11] = 1000; /* too late: it has its copy */
    must_equal(weft_await(early), 76);
    return 0;
}

static intptr_t aligned(void *arg) {
    must_equal((uintptr_t)arg % 16, 0);
    return ((unsigned char *)arg)[0];
}

weft_async(copies) {
    unsigned char bytes[300];
    memset(bytes, 9, sizeof bytes);
    size_t sizes[] = {1, 63, 64, 65, 300};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        must_equal(weft_await(weft_coroutine_copy("aligned", aligned, bytes, sizes[i])), 9);
        must_equal(weft_join(weft_create_task(weft_coroutine_copy(NULL, aligned, bytes, sizes[i]))), 9);
        must_equal(weft_coroutine_close(weft_coroutine_copy("aligned", aligned, bytes, sizes[i])), 0);
    }
    return 0;
}

static void test_arguments(void **state) {
    (void)state;
    on_each_loop(arguments, 0);
    on_each_loop(copies, 0);
}

/* Two predicates: coroutine objects, which nothing has driven, and coroutine functions. */
weft_future *returns_coroutine(int n);
weft_future *returns_coroutine(int n) { return add_one(n); }

static void test_CO2_predicates(void **state) {
    (void)state;
    weft_future *future = weft_future_new(), *coroutine = add_one(2);
    assert_true(weft_iscoroutine(coroutine));
    assert_false(weft_iscoroutine(future) || weft_iscoroutine(NULL));
    assert_int_equal(weft_coroutine_close(coroutine), 0);
    weft_release(future);
    assert_true(weft_iscoroutinefunction(add_one) && weft_iscoroutinefunction(counts));
    assert_true(weft_iscoroutinefunction(with_linkage) && weft_iscoroutinefunction(a8));
    assert_false(weft_iscoroutinefunction(returns_coroutine));
    assert_false(weft_iscoroutinefunction(printf) || weft_iscoroutinefunction(NULL));
    assert_false(weft_iscoroutinefunction(aligned)); /* the body of a coroutine */
}

/* Everything that can be awaited is accepted. */
weft_async(kinds) {
    weft_future *future = weft_future_new();
    weft_task *task = weft_create_task(add_one(1));
    must(!weft_iscoroutine(task));
    must_equal(weft_future_set_result(future, 1), 0);
    must_equal(weft_await(future), 1);
    must_equal(weft_join(weft_ensure_future(future)), 1);
    must_equal(weft_await(task), 2);
    must_equal(weft_join(weft_ensure_future(task)), 2);
    must_equal(weft_join(add_one(2)), 3);
    must_equal(weft_join(weft_ensure_future(add_one(3))), 4);
    return 0;
}

static void test_CO10_awaitables(void **state) {
    (void)state;
    on_each_loop(kinds, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_CO1_making_runs_nothing), cmocka_unit_test(test_CO2_predicates),
        cmocka_unit_test(test_CO3_CO9_chains),          cmocka_unit_test(test_CO4_value_of_await),
        cmocka_unit_test(test_CO5_errors_climb),        cmocka_unit_test(test_CO6_driven_once),
        cmocka_unit_test(test_CO7_never_awaited),       cmocka_unit_test(test_CO10_awaitables),
        cmocka_unit_test(test_arguments),
    };
    return run_group(tests);
}
