/* The slab of records: no record is handed out twice, none is lost on its way between threads, the stable
 * bytes survive, and whoever walks over all of them sees all of them. */
#include "structures.h"

#include <sys/mman.h>

#include "runtime/slab.h"

/* What a user of the slab keeps in a record. The stable bytes count how often it was taken. */
struct record {
    _Atomic uint64_t in_use;
    _Atomic uint64_t times_taken;
    unsigned char rest[WEFT__SLAB_RECORD_BYTES - WEFT__SLAB_STABLE_BYTES];
};
_Static_assert(sizeof(struct record) == WEFT__SLAB_RECORD_BYTES, "the whole record");

static _Atomic uint64_t taken_in_all;

/* A slab out of memory: see CMake's WRAP. */
static bool out_of_memory;
void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    if (out_of_memory) return MAP_FAILED;
    return __real_mmap(address, bytes, protection, flags, fd, offset);
}

static struct record *take(struct weft__slab_cache *cache) {
    struct record *record = weft__slab_take(cache);
    if (!record) return NULL;
    must_equal(atomic_exchange(&record->in_use, 1), 0); /* 1: handed out twice */
    fetch_add_relaxed(&record->times_taken, 1);
    fetch_add_relaxed(&taken_in_all, 1);
    memset(record->rest, (int)((uintptr_t)record >> 6 & 255), sizeof record->rest);
    return record;
}

static void give(struct weft__slab_cache *cache, struct record *record) {
    for (size_t i = 0; i < sizeof record->rest; i++)
        must_equal(record->rest[i], (uintptr_t)record >> 6 & 255); /* else two records overlap */
    must_equal(atomic_exchange(&record->in_use, 0), 1);
    weft__slab_give(cache, record);
}

struct census {
    size_t records, in_use, times_taken;
};

static void count_record(void *pointer, void *arg) {
    struct record *record = pointer;
    struct census *census = arg;
    census->records++;
    census->in_use += load_acquire(&record->in_use);
    census->times_taken += load_relaxed(&record->times_taken);
}

static struct census take_census(void) {
    struct census census = {0};
    weft__slab_each(count_record, &census);
    return census;
}

/* After every test: everything was given back, and no stable byte was touched. */
static int all_at_home(void **state) {
    (void)state;
    struct census census = take_census();
    must_equal(census.in_use, 0);
    must_equal(census.times_taken, load_relaxed(&taken_in_all));
    return 0;
}

/* Must be the first test: only fresh records have stable bytes of zero for sure. */
static void test_fresh(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static struct record *records[COUNT];
    struct weft__slab_cache cache = {0};
    assert_int_equal(take_census().records, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        static const char zero[WEFT__SLAB_STABLE_BYTES];
        struct weft__slab_cache *from = i % 3 ? &cache : NULL;
        records[i] = weft__slab_take(from);
        assert_memory_equal(records[i], zero, sizeof zero);
        assert_int_equal(((uintptr_t)records[i] + 128) % 16, 0); /* a task's arguments lie there */
        assert_int_equal((uintptr_t)records[i] % WEFT__CACHE_LINE, 0);
    }
    for (unsigned i = 0; i < COUNT; i++) weft__slab_give(i % 2 ? &cache : NULL, records[i]);
    weft__slab_flush(&cache);
}

static void take_and_give(struct weft__slab_cache *cache) {
    enum { COUNT = 1000 };
    static struct record *records[COUNT];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT; i++) records[i] = take(cache);
        assert_int_equal(take_census().in_use, COUNT);
        for (unsigned i = 0; i < COUNT; i++) give(cache, records[(i * 7) % COUNT]);
        assert_int_equal(take_census().in_use, 0);
    }
}

static void test_smoke(void **state) {
    (void)state;
    struct weft__slab_cache cache = {0};
    struct record *record = take(&cache);
    give(&cache, record);
    assert_ptr_equal(take(&cache), record); /* the warmest first */
    give(&cache, record);
    take_and_give(NULL);
    take_and_give(&cache);
    weft__slab_flush(&cache);
}

static void test_empty(void **state) {
    (void)state;
    struct weft__slab_cache cache = {0};
    weft__slab_flush(&cache);
    weft__slab_flush(&cache);
    assert_null(cache.free);
    assert_int_equal(cache.count, 0);
}

/* What was flushed is there for others: no memory is asked for a second time. */
static void test_flush(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    static struct record *records[COUNT];
    struct weft__slab_cache cache = {0}, other = {0};
    for (unsigned i = 0; i < COUNT; i++) records[i] = take(&cache);
    for (unsigned i = 0; i < COUNT; i++) give(&cache, records[i]);
    assert_true(cache.count > 0);
    weft__slab_flush(&cache);
    assert_null(cache.free);
    assert_int_equal(cache.count, 0);
    size_t before = take_census().records;
    for (unsigned i = 0; i < COUNT; i++) records[i] = take(i % 2 ? &other : NULL);
    assert_int_equal(take_census().records, before);
    for (unsigned i = 0; i < COUNT; i++) give(NULL, records[i]);
    weft__slab_flush(&other);
}

static void test_stable_bytes(void **state) {
    (void)state;
    struct weft__slab_cache cache = {0};
    for (unsigned round = 0; round < 1000; round++) {
        struct record *record = take(&cache);
        uint64_t times = load_relaxed(&record->times_taken);
        give(round % 2 ? &cache : NULL, record);
        assert_int_equal(load_relaxed(&record->times_taken), times);
        assert_int_equal(load_relaxed(&record->in_use), 0);
    }
    weft__slab_flush(&cache);
}

/* Every record that anybody holds is visited, once. */
static void visit(void *record, void *arg) {
    (void)arg;
    fetch_add_relaxed(&((struct record *)record)->in_use, 10);
}

static void test_each(void **state) {
    (void)state;
    enum { COUNT = 4000 };
    static struct record *records[COUNT];
    for (unsigned i = 0; i < COUNT; i++) records[i] = take(NULL);
    weft__slab_each(visit, NULL);
    for (unsigned i = 0; i < COUNT; i++) assert_int_equal(load_relaxed(&records[i]->in_use), 11);
    struct census census = take_census();
    assert_int_equal(census.in_use, 10 * census.records + COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        store_relaxed(&records[i]->in_use, 1);
        give(NULL, records[i]);
    }
    /* the free ones were visited as well: put them right */
    struct weft__slab_cache cache = {0};
    struct record *all = NULL;
    for (size_t i = 0; i < census.records; i++) {
        struct record *record = weft__slab_take(&cache);
        store_relaxed(&record->in_use, 0);
        memcpy(record->rest, &all, sizeof all);
        all = record;
    }
    for (struct record *next; all; all = next) {
        memcpy(&next, all->rest, sizeof next);
        weft__slab_give(&cache, all);
    }
    assert_int_equal(take_census().records, census.records);
    weft__slab_flush(&cache);
}

static void test_without_memory(void **state) {
    (void)state;
    enum { MOST = 200000 };
    static struct record *records[MOST];
    struct weft__slab_cache cache = {0};
    size_t count = 0;
    out_of_memory = true;
    while (count < MOST && (records[count] = take(count % 2 ? &cache : NULL))) count++;
    assert_true(count < MOST);
    while (count < MOST && (records[count] = take(&cache))) count++;
    assert_null(weft__slab_take(&cache));
    assert_null(weft__slab_take(NULL));
    out_of_memory = false;
    assert_int_equal(take_census().records, count);
    records[count++] = take(&cache);
    records[count++] = take(NULL);
    assert_non_null(records[count - 1]);
    assert_non_null(records[count - 2]);
    while (count > 0) give(&cache, records[--count]);
    weft__slab_flush(&cache);
}

/* One producer takes, one consumer gives: the records find their way back, so that a long stream needs no
 * more of them than are under way, in caches and in one batch. */
#define PIPE 256

struct pipe {
    _Atomic size_t head, tail;
    struct record *records[PIPE];
    size_t count;
    bool cached;
};

static void stream(unsigned index, void *arg) {
    struct pipe *pipe = arg;
    struct weft__slab_cache own = {0}, *cache = pipe->cached ? &own : NULL;
    for (size_t i = 0; i < pipe->count; i++) {
        if (index == 0) {
            for (unsigned round = 0; i - load_acquire(&pipe->head) == PIPE; round++) wait_a_little(round);
            pipe->records[i % PIPE] = take(cache);
            store_release(&pipe->tail, i + 1);
        } else {
            for (unsigned round = 0; load_acquire(&pipe->tail) == i; round++) wait_a_little(round);
            give(cache, pipe->records[i % PIPE]);
            store_release(&pipe->head, i + 1);
        }
    }
    weft__slab_flush(&own);
}

static void test_one_producer_one_consumer(void **state) {
    (void)state;
    size_t before = take_census().records;
    for (unsigned cached = 0; cached < 2; cached++) {
        struct pipe pipe = {.count = ROUNDS(500000), .cached = cached};
        run_together(2, stream, &pipe);
    }
    assert_true(take_census().records <= before + 2048);
}

/* Records wander between threads through a board: each swaps what it holds for what hangs there, or gives
 * away what it finds. */
#define BOARD 64

struct board {
    _Atomic(struct record *) places[BOARD];
    size_t rounds;
    unsigned cached; /* a bit for each thread */
};

static void trade(unsigned index, void *arg) {
    struct board *board = arg;
    struct weft__slab_cache own = {0}, *cache = board->cached >> index & 1 ? &own : NULL;
    uint64_t random = 23 + index;
    for (size_t i = 0; i < board->rounds; i++) {
        uint64_t dice = chance(&random) >> 20;
        struct record *mine = dice / BOARD % 2 ? take(cache) : NULL;
        struct record *theirs = exchange_acq_rel(&board->places[dice % BOARD], mine);
        if (theirs) give(cache, theirs);
        if (i % 5000 == 0) weft__slab_flush(&own);
        if (i % 20000 == 0) must(take_census().in_use <= BOARD + 2 * CREW_MOST);
    }
    weft__slab_flush(&own);
}

static void test_stress(void **state) {
    (void)state;
    static const unsigned cached[] = {0xf, 0x0, 0x5};
    for (unsigned i = 0; i < 3; i++) {
        static struct board board;
        board.rounds = ROUNDS(200000);
        board.cached = cached[i];
        run_together(4, trade, &board);
        for (unsigned k = 0; k < BOARD; k++) {
            struct record *left = exchange_acq_rel(&board.places[k], NULL);
            if (left) give(NULL, left);
        }
    }
}

/* All threads want new records at the same moment. */
static void grab(unsigned index, void *arg) {
    enum { COUNT = 3000 };
    struct record **records = calloc(COUNT, sizeof *records);
    struct weft__slab_cache own = {0}, *cache = index % 2 ? &own : NULL;
    (void)arg;
    for (unsigned i = 0; i < COUNT; i++) records[i] = take(cache);
    for (unsigned i = 0; i < COUNT; i++) give(cache, records[i]);
    weft__slab_flush(&own);
    free(records);
}

static void test_stampede(void **state) {
    (void)state;
    for (unsigned round = 0; round < 20; round++) run_together(6, grab, NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, all_at_home)
    const struct CMUnitTest tests[] = {
        TEST(test_fresh),      TEST(test_smoke),          TEST(test_empty),
        TEST(test_flush),      TEST(test_stable_bytes),   TEST(test_each),
        TEST(test_without_memory), TEST(test_one_producer_one_consumer), TEST(test_stampede),
        TEST(test_stress),
    };
    return run_group(tests);
}
