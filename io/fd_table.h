/* How many operations are under way on each descriptor. Written by the worker whose driver it belongs to, read
 * by any thread (weft_close asks every worker). Descriptors above the table's size are not counted. */
#ifndef WEFT_IO_FD_TABLE_H
#define WEFT_IO_FD_TABLE_H

#include "../runtime/atomics.h"
#include "../runtime/driver.h"

struct weft__fd_table {
    _Atomic uint16_t *pending; /* only the pages of descriptors in use are ever touched */
    int size;
};

/* 0 or -ENOMEM. */
int weft__fd_table_init(struct weft__fd_table *table);
void weft__fd_table_fini(struct weft__fd_table *table);

/* Thread: the owner. */
static inline void weft__fd_table_add(struct weft__fd_table *table, int fd, int change) {
    if (fd < 0 || fd >= table->size) return;
    /* pairs with the load in weft__fd_table_look: who closes has synchronised with who submitted */
    store_relaxed(&table->pending[fd], (uint16_t)(load_relaxed(&table->pending[fd]) + change));
}

/* Thread: any. */
static inline enum weft__pending weft__fd_table_look(struct weft__fd_table *table, int fd) {
    if (fd >= table->size) return WEFT__PENDING_UNKNOWN;
    return load_relaxed(&table->pending[fd]) ? WEFT__PENDING_SOME : WEFT__PENDING_NONE;
}

#endif
