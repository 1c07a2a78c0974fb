#define _GNU_SOURCE
#include "fd_table.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define FDS_MOST (1 << 24)

static int most(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < FDS_MOST) return (int)limit.rlim_max;
    return FDS_MOST;
}

static _Atomic uint16_t *map(size_t size) {
    void *memory = mmap(NULL, size * sizeof(uint16_t), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* How often each descriptor was begun to be closed, and has been. Of the process; made with the first table, for
 * every number there can be, and never unmapped. */
static _Atomic(_Atomic uint16_t *) closes;

static bool closes_ready(void) {
    _Atomic uint16_t *none = NULL, *made;
    if (load_acquire(&closes)) return true; /* pairs with the CAS */
    if (!(made = map(FDS_MOST))) return false;
    if (!cas_acq_rel(&closes, &none, made)) munmap((void *)made, FDS_MOST * sizeof *made);
    return true;
}

int weft__fd_table_init(struct weft__fd_table *table) {
    table->size = most();
    table->pending = closes_ready() ? map(2 * (size_t)table->size) : NULL;
    if (!table->pending) return -ENOMEM;
    table->returned = table->pending + table->size;
    return 0;
}

void weft__fd_table_fini(struct weft__fd_table *table) {
    munmap((void *)table->pending, 2 * (size_t)table->size * sizeof *table->pending);
}

static _Atomic uint16_t *closes_of(int fd) {
    return fd >= 0 && fd < FDS_MOST ? &load_acquire(&closes)[fd] : NULL; /* pairs with the CAS in closes_ready */
}

void weft__fd_close_begin(int fd) {
    _Atomic uint16_t *count = closes_of(fd);
    if (count) fetch_add_relaxed(count, 1); /* C1 */
    fence_seq_cst();                        /* C2; pairs with S2 */
}

void weft__fd_close_end(int fd) {
    _Atomic uint16_t *count = closes_of(fd);
    if (count) atomic_fetch_add_explicit(count, 1, memory_order_release); /* C5; pairs with S0 */
}

uint16_t weft__fd_closes(int fd) {
    _Atomic uint16_t *count = closes_of(fd);
    return count ? load_acquire(count) : 0; /* S0; pairs with C5 */
}

bool weft__fd_closed_since(int fd, uint16_t before) {
    _Atomic uint16_t *count = closes_of(fd);
    fence_seq_cst(); /* S2; pairs with C2 */
    return count && (before % 2 == 1 || load_relaxed(count) != before); /* S3 */
}
