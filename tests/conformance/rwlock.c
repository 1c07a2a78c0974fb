/* weft_rwlock: many readers or one writer, in the order of the requests (no rule of asyncio's; MT20). */
#include "sync_support.h"

static weft_rwlock rwlock;
static _Atomic long readers, writers;
static int plain;

static intptr_t misuse(void *arg) {
    (void)arg;
    must_equal(weft_rwlock_init(&rwlock), 0);
    must_equal(weft_rwlock_read_release(&rwlock), -EPERM);
    must_equal(weft_rwlock_write_release(&rwlock), -EPERM);
    must_equal(weft_rwlock_read_acquire(&rwlock), 0);
    must_equal(weft_rwlock_try_read_acquire(&rwlock), 0);
    must_equal(weft_rwlock_try_write_acquire(&rwlock), -EAGAIN);
    must_equal(weft_rwlock_write_release(&rwlock), -EPERM);
    must_equal(weft_rwlock_read_release(&rwlock), 0);
    must_equal(weft_rwlock_read_release(&rwlock), 0);
    must_equal(weft_rwlock_write_acquire(&rwlock), 0);
    must_equal(weft_rwlock_try_read_acquire(&rwlock), -EAGAIN);
    must_equal(weft_rwlock_try_write_acquire(&rwlock), -EAGAIN);
    must_equal(weft_rwlock_read_release(&rwlock), -EPERM);
    must_equal(weft_rwlock_write_release(&rwlock), 0);
    must_equal(weft_rwlock_init(NULL), -EINVAL);
    must_equal(weft_rwlock_read_acquire(NULL), -EINVAL);
    must_equal(weft_rwlock_write_acquire(NULL), -EINVAL);
    must_equal(weft_rwlock_try_read_acquire(NULL), -EINVAL);
    must_equal(weft_rwlock_read_release(NULL), -EINVAL);
    return 0;
}

static void test_misuse(void **state) {
    (void)state;
    on_each_loop(misuse);
}

/* r r w r r w behind a writer: batches in order; a newcomer cannot overtake. */
static intptr_t takes_part(void *arg) {
    const char *name = arg;
    bool reads = name[0] == 'r';
    must_equal(reads ? weft_rwlock_read_acquire(&rwlock) : weft_rwlock_write_acquire(&rwlock), 0);
    mark(name);
    weft_sleep(0);
    mark("-");
    must_equal(reads ? weft_rwlock_read_release(&rwlock) : weft_rwlock_write_release(&rwlock), 0);
    return 0;
}

static intptr_t batches(void *arg) {
    static char names[6][3] = {"r1", "r2", "w1", "r3", "r4", "w2"};
    weft_task *tasks[6];
    (void)arg;
    must_equal(weft_rwlock_write_acquire(&rwlock), 0);
    for (int i = 0; i < 6; i++) tasks[i] = weft_spawn(takes_part, names[i]);
    weft_sleep(0);
    must_equal(weft_rwlock_write_release(&rwlock), 0);
    must_equal(weft_rwlock_try_read_acquire(&rwlock), -EAGAIN); /* readers have it, but a writer waits */
    for (int i = 0; i < 6; i++) weft_join(tasks[i]);
    return 0;
}

static void test_fair_batches(void **state) {
    (void)state;
    golden(batches, "r1 r2 - - w1 - r3 r4 - - w2 -");
}

/* A writer that is cancelled no longer keeps the readers behind it out. */
static intptr_t writes(void *result) { return *(int *)result = weft_rwlock_write_acquire(&rwlock); }
static intptr_t reads(void *result) { return *(int *)result = weft_rwlock_read_acquire(&rwlock); }

static intptr_t cancelled_writer(void *arg) {
    int writer_result = 1, reader_result = 1;
    (void)arg;
    must_equal(weft_rwlock_read_acquire(&rwlock), 0);
    weft_task *writer = weft_spawn(writes, &writer_result);
    until_arrived(&rwlock.opaque[RWLOCK_LAST], 0);
    uint64_t former = peek(&rwlock.opaque[RWLOCK_LAST]);
    weft_task *reader = weft_spawn(reads, &reader_result);
    until_arrived(&rwlock.opaque[RWLOCK_LAST], former);
    must(weft_cancel(writer));
    must_equal(weft_join(writer), -ECANCELED);
    must_equal(weft_join(reader), 0);
    for (int i = 0; i < 2; i++) must_equal(weft_rwlock_read_release(&rwlock), 0);
    must_equal(weft_rwlock_try_write_acquire(&rwlock), 0);
    must_equal(weft_rwlock_write_release(&rwlock), 0);
    return 0;
}

static void test_cancelled_writer(void **state) {
    (void)state;
    on_each_loop(cancelled_writer);
}

static intptr_t canceller(void *task) {
    weft_cancel(task);
    return 0;
}

static intptr_t release_x_cancel(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS(100000); i++) {
        int writer_result = -ECANCELED, reader_result = 1;
        must_equal(weft_rwlock_read_acquire(&rwlock), 0);
        weft_task *writer = weft_spawn(writes, &writer_result), *reader = NULL;
        if (i % 2) weft_yield();
        weft_task *killer = weft_spawn(canceller, writer);
        if (i % 3) weft_yield();
        must_equal(weft_rwlock_read_release(&rwlock), 0);
        weft_join(killer);
        weft_join(writer);
        reader = weft_spawn(reads, &reader_result);
        if (writer_result == 0) must_equal(weft_rwlock_write_release(&rwlock), 0);
        weft_join(reader);
        must_equal(reader_result, 0);
        must_equal(weft_rwlock_write_release(&rwlock), -EPERM);
        must_equal(weft_rwlock_read_release(&rwlock), 0);
    }
    return 0;
}

static void test_release_x_cancel(void **state) {
    (void)state;
    for (unsigned workers = 0; workers <= 2; workers++)
        assert_int_equal(run_on(workers, release_x_cancel, NULL), 0);
}

#define PARTIES 12
static intptr_t works(void *arg) {
    for (int i = 0; i < ROUNDS(20000); i++) {
        bool write = (i + (intptr_t)arg) % 4 == 0;
        if (write ? weft_rwlock_write_acquire(&rwlock) : weft_rwlock_read_acquire(&rwlock)) continue;
        if (write) {
            must_equal(atomic_fetch_add(&writers, 1), 0);
            must_equal(atomic_load(&readers), 0);
            plain++;
            atomic_fetch_sub(&writers, 1);
        } else {
            atomic_fetch_add(&readers, 1);
            must_equal(atomic_load(&writers), 0);
            if (i % 3 == 0) weft_yield();
            atomic_fetch_sub(&readers, 1);
        }
        must_equal(write ? weft_rwlock_write_release(&rwlock) : weft_rwlock_read_release(&rwlock), 0);
    }
    return 0;
}

static intptr_t many(void *arg) {
    struct party parties[PARTIES];
    (void)arg;
    for (intptr_t i = 0; i < PARTIES; i++) party_start(&parties[i], i % 6 == 5, works, (void *)i);
    for (int i = 0; i < 1000; i++) {
        weft_cancel(parties[i % 5].task);
        weft_yield();
    }
    for (int i = 0; i < PARTIES; i++) party_join(&parties[i]);
    must_equal(weft_rwlock_try_write_acquire(&rwlock), 0);
    return weft_rwlock_write_release(&rwlock);
}

static void test_MT20_exclusion(void **state) {
    (void)state;
    on_each_loop(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse),           cmocka_unit_test(test_fair_batches),
        cmocka_unit_test(test_cancelled_writer), cmocka_unit_test(test_release_x_cancel),
        cmocka_unit_test(test_MT20_exclusion),
    };
    return run_group(tests);
}
