#define _GNU_SOURCE
#include "fd_table.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define FDS_MOST (1 << 24)

int weft__fd_table_init(struct weft__fd_table *table) {
    struct rlimit limit;
    table->size = FDS_MOST;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < FDS_MOST) table->size = (int)limit.rlim_max;
    table->pending = mmap(NULL, (size_t)table->size * sizeof *table->pending, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return table->pending == MAP_FAILED ? -ENOMEM : 0;
}

void weft__fd_table_fini(struct weft__fd_table *table) {
    munmap((void *)table->pending, (size_t)table->size * sizeof *table->pending);
}
