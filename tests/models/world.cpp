/* The world of the models that run real code (see world.h in runtime/): one OS thread, in which Relacy switches
 * between the model's threads before every atomic operation, and lets each load return any value that C++'s memory
 * model allows it, out of the last eight. Dmitry Vyukov, "Relacy Race Detector".
 *
 * The real .c files are compiled with -fsanitize=thread and linked with this file instead of the sanitizer's
 * library:
 *     __tsan_atomic*      become Relacy's atomics, which are kept in a table by address; memory itself always holds the
 *                         newest value, and a plain store (atomic_init) gives the word a new life
 *     __tsan_read/write*  are checked, byte by byte, against Relacy's vector clocks: a race ends the search, and so
 *                         does an access to freed memory
 * and the functions of runtime/world.h that the code needs are here. C++ only because Relacy is. */

/* Relacy remembers three values of each atomic. A reference counted between a request and the look at the wait, and
 * the request would be the newest that anybody can miss: so eight. */
#define atomic_history_size atomic_history_size_of_relacy
#include <relacy/base.hpp>
#undef atomic_history_size
namespace rl { size_t const atomic_history_size = 8; }
#include <relacy/relacy.hpp>

#undef new
#undef delete
#undef malloc
#undef calloc
#undef free
#undef assert
#undef errno
#undef $

#include <cstdlib>
#include <cstring>

#include "model.h"

#define HOW ::rl::debug_info("", "", 0)
#define THREADS_MOST 4

/* ---- tables, emptied between two interleavings ---- */

template <class entry, size_t SIZE> struct table {
    entry entries[SIZE];
    uint32_t used[SIZE];
    size_t count;

    static size_t slot(uintptr_t key) { return key * UINT64_C(0x9e3779b97f4a7c15) >> 40 & (SIZE - 1); }

    entry *find(uintptr_t key) {
        size_t at = slot(key);
        while (entries[at].key && entries[at].key != key) at = (at + 1) & (SIZE - 1);
        return &entries[at];
    }
    entry *get(uintptr_t key) {
        entry *found = find(key);
        if (found->key) return found;
        if (count == SIZE / 2) {
            fprintf(stderr, "the model touches too much memory\n");
            exit(2);
        }
        used[count++] = (uint32_t)(found - entries);
        memset(found, 0, sizeof *found);
        found->key = key;
        return found;
    }
    void clear() {
        for (size_t i = 0; i < count; i++) entries[used[i]].key = 0;
        count = 0;
    }
};

/* Eight bytes: when each thread last read and wrote each of them, by its own clock. */
struct word {
    uintptr_t key;
    uint8_t atomics; /* bytes at which an atomic begins */
    uint8_t poisoned;
    uint32_t read[8][THREADS_MOST], written[8][THREADS_MOST];
};

struct atomic {
    uintptr_t key;
    bool alive;
    rl::atomic_data *data;
    uint64_t newest, history[rl::atomic_history_size];
};

static table<word, 1 << 14> words;
static table<atomic, 1 << 12> atomics;
static struct {
    void *memory[1024];
    size_t bytes[1024], count;
} allocated;
static bool checking; /* between before and after */
static unsigned thread_count;
static void (*make_visible)(rl::atomic_data *data);

static rl::context &here() { return rl::ctx(); }

static void fail(const char *what, rl::test_result_e kind) {
    here().fail_test(what, kind, HOW);
    abort();
}

/* For the report, and only when one is written. `at`: where it was called, for addr2line. */
struct event {
    const char *what;
    uintptr_t address;
    uint64_t value;
    int order;
    uintptr_t at;
    void output(std::ostream &stream) const {
        static const char *const orders[] = {"relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst", ""};
        stream << what << " " << orders[order] << " [" << std::hex << address << "] " << value << " at 0x" << at
               << std::dec;
    }
};

static void note(const char *what, const void *address, uint64_t value, int order, void *at) {
    rl::context &c = here();
    if (!c.collecting_history()) return;
    event it = {what, (uintptr_t)address, value, order, (uintptr_t)at};
    c.exec_log(HOW, it);
}

/* ---- plain accesses ---- */

static void access(uintptr_t address, size_t bytes, bool writes, void *at) {
    if (!checking) return;
    rl::thread_info_base &self = *here().threadx_;
    rl::timestamp_t *seen = self.acq_rel_order_;
    uint32_t now = (uint32_t)++self.own_acq_rel_order_;
    for (uintptr_t end = address + bytes; address < end;) {
        word *w = words.get(address >> 3);
        unsigned first = address & 7, past = end - (address - first) < 8 ? (unsigned)(end - (address - first)) : 8;
        uint8_t mask = (uint8_t)((1u << past) - (1u << first));
        bool raced = false;
        for (unsigned byte = first; byte < past; byte++) {
            for (unsigned i = 0; i < thread_count; i++)
                raced |= seen[i] < w->written[byte][i] || (writes && seen[i] < w->read[byte][i]);
            (writes ? w->written : w->read)[byte][self.index_] = now;
        }
        if (raced || w->poisoned & mask) {
            note(writes ? "plain write" : "plain read", (void *)address, 0, 6, at);
            if (raced) fail("data race", rl::test_result_data_race);
            fail("access to freed memory", rl::test_result_access_to_freed_memory);
        }
        if (writes && w->atomics & mask)
            for (unsigned byte = first; byte < past; byte++)
                if (w->atomics >> byte & 1) atomics.find(address - first + byte)->alive = false;
        address += past - first;
    }
}

/* ---- atomic accesses ---- */

static void retire(atomic *it) {
    if (it->data) here().atomic_dtor(it->data);
    it->data = NULL;
}

template <class value> static atomic *atomic_at(volatile value *address, void *at) {
    uintptr_t key = (uintptr_t)address;
    atomic *it = atomics.get(key);
    if (!it->alive) { /* fresh, or initialised again by a plain store */
        retire(it);
        it->data = here().atomic_ctor(it);
        unsigned index = here().threadx_->atomic_init(it->data);
        make_visible(it->data);
        it->newest = it->history[index] = (uint64_t)*address;
        it->alive = true;
        words.get(key >> 3)->atomics |= (uint8_t)(1u << (key & 7));
    }
    access(key, sizeof(value), false, at); /* unordered with a plain store is a race too */
    return it;
}

template <class value> static void put(atomic *it, volatile value *address, unsigned index, uint64_t next) {
    it->newest = it->history[index] = next;
    *address = (value)next;
}

template <class value> static value load(const volatile value *from, int order, void *at) {
    volatile value *address = (volatile value *)from;
    if (!checking) return *address;
    here().sched();
    atomic *it = atomic_at(address, at);
    rl::thread_info_base &self = *here().threadx_;
    unsigned index = order == 0 ? self.atomic_load_relaxed(it->data)
                     : order == 5 ? self.atomic_load_seq_cst(it->data)
                                  : self.atomic_load_acquire(it->data);
    if (index == (unsigned)-1) fail("load of nothing", rl::test_result_unitialized_access);
    value seen = (value)it->history[index];
    note(seen == (value)it->newest ? "load" : "load of an old value", (void *)address, seen, order, at);
    return seen;
}

template <class value> static void store(volatile value *address, value next, int order, void *at) {
    if (!checking) {
        *address = next;
        return;
    }
    here().sched();
    atomic *it = atomic_at(address, at);
    rl::thread_info_base &self = *here().threadx_;
    unsigned index = order == 0 ? self.atomic_store_relaxed(it->data)
                     : order == 5 ? self.atomic_store_seq_cst(it->data)
                                  : self.atomic_store_release(it->data);
    note("store", (void *)address, next, order, at);
    put(it, address, index, next);
}

/* The order's effect on a word that is read and written at once. */
static unsigned rmw_index(atomic *it, int order) {
    rl::thread_info_base &self = *here().threadx_;
    bool aba = false;
    switch (order) {
    case 0: return self.atomic_rmw_relaxed(it->data, aba);
    case 1:
    case 2: return self.atomic_rmw_acquire(it->data, aba);
    case 3: return self.atomic_rmw_release(it->data, aba);
    case 4: return self.atomic_rmw_acq_rel(it->data, aba);
    default: return self.atomic_rmw_seq_cst(it->data, aba);
    }
}

template <class value, class change_fn>
static value change(volatile value *address, change_fn compute, const char *what, int order, void *at) {
    if (!checking) {
        value before = *address;
        *address = compute(before);
        return before;
    }
    here().sched();
    atomic *it = atomic_at(address, at);
    value before = (value)it->newest, next = compute(before);
    put(it, address, rmw_index(it, order), (uint64_t)next);
    note(what, (void *)address, (uint64_t)next, order, at);
    return before;
}

template <class value>
static bool compare_exchange(volatile value *address, value *expected, value next, bool weak, int order,
                             int failure_order, void *at) {
    if (!checking) {
        bool same = *address == *expected;
        if (same) *address = next;
        else *expected = *address;
        return same;
    }
    here().sched();
    atomic *it = atomic_at(address, at);
    rl::thread_info_base &self = *here().threadx_;
    bool same = (value)it->newest == *expected;
    if (same && !(weak && here().is_random_sched() && here().rand(8, rl::sched_type_cas_fail) == 0)) {
        put(it, address, rmw_index(it, order), (uint64_t)next);
        note("CAS", (void *)address, (uint64_t)next, order, at);
        return true;
    }
    if (failure_order == 0) self.atomic_load_relaxed_rmw(it->data);
    else if (failure_order == 5) self.atomic_load_seq_cst_rmw(it->data);
    else self.atomic_load_acquire_rmw(it->data);
    *expected = (value)it->newest;
    note("CAS that fails", (void *)address, it->newest, failure_order, at);
    return false;
}

/* ---- what the compiler calls ---- */

#define CALLER __builtin_return_address(0)

#define PLAIN(bytes)                                                                                         \
    void __tsan_read##bytes(void *p) { access((uintptr_t)p, bytes, false, CALLER); }                         \
    void __tsan_write##bytes(void *p) { access((uintptr_t)p, bytes, true, CALLER); }                         \
    void __tsan_unaligned_read##bytes(void *p) { access((uintptr_t)p, bytes, false, CALLER); }               \
    void __tsan_unaligned_write##bytes(void *p) { access((uintptr_t)p, bytes, true, CALLER); }

#define ATOMIC(bits, value)                                                                                  \
    value __tsan_atomic##bits##_load(const volatile value *p, int order) { return load(p, order, CALLER); }  \
    void __tsan_atomic##bits##_store(volatile value *p, value v, int order) { store(p, v, order, CALLER); }  \
    value __tsan_atomic##bits##_exchange(volatile value *p, value v, int order) {                            \
        return change(p, [v](value) { return v; }, "exchange", order, CALLER);                               \
    }                                                                                                        \
    value __tsan_atomic##bits##_fetch_add(volatile value *p, value v, int order) {                           \
        return change(p, [v](value now) { return (value)(now + v); }, "add", order, CALLER);                 \
    }                                                                                                        \
    value __tsan_atomic##bits##_fetch_sub(volatile value *p, value v, int order) {                           \
        return change(p, [v](value now) { return (value)(now - v); }, "subtract", order, CALLER);            \
    }                                                                                                        \
    value __tsan_atomic##bits##_fetch_or(volatile value *p, value v, int order) {                            \
        return change(p, [v](value now) { return (value)(now | v); }, "or", order, CALLER);                  \
    }                                                                                                        \
    value __tsan_atomic##bits##_fetch_and(volatile value *p, value v, int order) {                           \
        return change(p, [v](value now) { return (value)(now & v); }, "and", order, CALLER);                 \
    }                                                                                                        \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile value *p, value *expected, value v,           \
                                                      int order, int failure_order) {                        \
        return compare_exchange(p, expected, v, false, order, failure_order, CALLER);                        \
    }                                                                                                        \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile value *p, value *expected, value v, int order,  \
                                                    int failure_order) {                                     \
        return compare_exchange(p, expected, v, true, order, failure_order, CALLER);                         \
    }

extern "C" {
PLAIN(1) PLAIN(2) PLAIN(4) PLAIN(8) PLAIN(16)
ATOMIC(8, uint8_t) ATOMIC(16, uint16_t) ATOMIC(32, uint32_t) ATOMIC(64, uint64_t)
void __tsan_init(void) {}
void __tsan_read_range(void *p, size_t bytes) { access((uintptr_t)p, bytes, false, CALLER); }
void __tsan_write_range(void *p, size_t bytes) { access((uintptr_t)p, bytes, true, CALLER); }
void __tsan_atomic_thread_fence(int order) {
    if (!checking) return;
    note("fence", NULL, 0, order, CALLER);
    if (order == 5) here().atomic_thread_fence_seq_cst();
    else if (order == 4) here().atomic_thread_fence_acq_rel();
    else if (order == 3) here().atomic_thread_fence_release();
    else here().atomic_thread_fence_acquire();
}
void __tsan_atomic_signal_fence(int) {}

/* ---- what the model and the code call ---- */

void model_fail(const char *what) {
    fail(what, rl::test_result_user_assert_failed);
    abort();
}
void model_abort(void) { model_fail("abort"); }
unsigned model_choose(unsigned count) { return here().rand(count, rl::sched_type_user); }

void *model_malloc(size_t bytes) {
    if (allocated.count == sizeof allocated.memory / sizeof *allocated.memory) model_fail("too many allocations");
    allocated.bytes[allocated.count] = bytes;
    return allocated.memory[allocated.count++] = aligned_alloc(64, (bytes + 63) / 64 * 64);
}
void *model_calloc(size_t count, size_t bytes) { return memset(model_malloc(count * bytes), 0, count * bytes); }

void model_poison(void *memory, size_t bytes) {
    uintptr_t address = (uintptr_t)memory, end = address + bytes;
    access(address, bytes, true, CALLER); /* whoever touches it unordered with this is late as well */
    if (checking)
        for (; address < end; address++) words.get(address >> 3)->poisoned |= (uint8_t)(1u << (address & 7));
}

void model_free(void *memory) {
    for (size_t i = 0; memory && i < allocated.count; i++)
        if (allocated.memory[i] == memory) {
            model_poison(memory, allocated.bytes[i]);
            return;
        }
    if (memory) model_fail("free of what was never allocated");
}

/* ---- runtime/world.h ---- */

static void *current[THREADS_MOST], *pool_threads[THREADS_MOST], *contexts[THREADS_MOST];
static int error_numbers[THREADS_MOST];
static int64_t clock_ns;

static unsigned self_index(void) { return checking ? (unsigned)here().threadx_->index_ : 0; }
void *weft__world_worker(void) { return current[self_index()]; }
void weft__world_set_worker(void *worker) { current[self_index()] = worker; }
void *weft__world_pool_thread(void) { return pool_threads[self_index()]; }
void weft__world_set_pool_thread(void *thread) { pool_threads[self_index()] = thread; }
void **weft__world_context(void) { return &contexts[self_index()]; }
int *weft__world_errno(void) { return &error_numbers[self_index()]; }
void weft__world_relax(unsigned) { here().yield(1, HOW); }
int64_t weft__world_now(void) { return clock_ns += model.tick_ns; }

/* Between the look and the sleep nobody else runs, as in a futex. A deadline may pass at any time, unless it is as good
 * as none; then the clock says so. */
void weft__world_wait(volatile uint32_t *word, uint32_t expected, int64_t deadline_ns) {
    here().sched();
    atomic *it = atomic_at(word, CALLER);
    bool limited = deadline_ns - clock_ns < INT64_MAX / 4;
    if (it->newest != expected) return;
    bool over = here().threadx_->atomic_wait(it->data, limited, false, HOW) == rl::unpark_reason_timeout;
    if (over && clock_ns < deadline_ns) clock_ns = deadline_ns;
}
void weft__world_wake_all(volatile uint32_t *word) {
    if (!checking) return;
    here().sched();
    atomic *it = atomics.find((uintptr_t)word);
    if (it->key && it->data) here().threadx_->atomic_wake(it->data, THREADS_MOST, HOW);
}

/* As in world_posix.c, without the spinning. */
void weft__lock_slow(volatile uint32_t *word) {
    while (change(word, [](uint32_t) { return 2u; }, "lock", 4, CALLER) != 0) weft__world_wait(word, 2, INT64_MAX);
}
void weft__unlock_slow(volatile uint32_t *word) { weft__world_wake_all(word); }
}

/* ---- the search ---- */

template <unsigned THREADS> static void make_visible_to_all(rl::atomic_data *data) {
    rl::atomic_data_impl<THREADS> &it = *static_cast<rl::atomic_data_impl<THREADS> *>(data);
    for (unsigned i = 0; i < THREADS; i++)
        it.history_[it.current_index_ % rl::atomic_history_size].first_seen_order_[i] = (rl::timestamp_t)-1;
}

template <unsigned THREADS> struct suite : rl::test_suite<suite<THREADS>, THREADS> {
    void before() {
        checking = false;
        forget(); /* Relacy runs an interleaving that failed once more, to write the report */
        thread_count = THREADS;
        make_visible = make_visible_to_all<THREADS>;
        memset(current, 0, sizeof current);
        memset(pool_threads, 0, sizeof pool_threads);
        memset(contexts, 0, sizeof contexts);
        clock_ns = 0;
        model.before();
        checking = true;
    }
    void thread(unsigned index) { model.thread(index); }
    void after() {
        checking = false;
        if (model.after) model.after();
        for (size_t i = 0; i < atomics.count; i++) retire(&atomics.entries[atomics.used[i]]);
        forget();
    }
    static void forget() {
        words.clear();
        atomics.clear();
        while (allocated.count > 0) ::free(allocated.memory[--allocated.count]);
    }
};

/* Relacy's report but for its first line, a C++ name. Takes no memory: Relacy has its own operator new. */
struct report_buffer : std::streambuf {
    bool begun = false;
    int overflow(int c) {
        if (begun) putchar(c);
        begun |= c == '\n';
        return c;
    }
};

template <unsigned THREADS> static bool search(uint64_t rounds) {
    report_buffer buffer;
    std::ostream nothing(NULL), report(&buffer);
    rl::test_params params;
    params.progress_stream = &nothing;
    params.output_stream = &report;
    params.iteration_count = rounds;
    params.execution_depth_limit = 20000;
    return rl::simulate<suite<THREADS>>(params);
}

int main(int count, char **arguments) {
    uint64_t rounds = count > 1 ? strtoull(arguments[1], NULL, 10) : model.rounds;
    if (model.threads == 2) return !search<2>(rounds);
    return model.threads == 3 ? !search<3>(rounds) : !search<4>(rounds);
}
