/* How many operations are under way on each descriptor; and which descriptors are being closed. Descriptors above
 * the table's size are not counted.
 *
 *     weft_close, any worker                    submit, another worker
 *     C1 closes[fd] += 1: odd                   S0 read closes[fd]
 *     C2 seq_cst fence                          S1 pending[fd] += 1, and ask the kernel
 *     C3 read pending[fd] of every worker       S2 seq_cst fence
 *     C4 close(2)                               S3 read closes[fd]
 *     C5 closes[fd] += 1: even
 *
 * If C3 does not see the operation, S3 sees C1, perhaps C5. Then either S0 saw less, or C1 itself, and the submitter
 * cancels his operation: it may wait on a descriptor that is no more. Or S0 saw C5, and the descriptor is a new one. (Two
 * that close the same descriptor at once are on their own.) An operation that is posted to a host (op.c) is not counted
 * before that submits it, S1 to S3, and asks before as well: S0 is the task's.
 *
 * tests/models/close.c runs this, op.c and close.c in many interleavings, with a mutant for each step. */
#ifndef WEFT_IO_FD_TABLE_H
#define WEFT_IO_FD_TABLE_H

#include "../runtime/atomics.h"
#include "../runtime/driver.h"

struct weft__fd_table {
    _Atomic uint16_t *pending;  /* owner-written; only the pages of descriptors in use are ever touched */
    _Atomic uint16_t *returned; /* written by the watchman: of these, completed by it */
    int size;
};

/* 0 or -ENOMEM. */
int weft__fd_table_init(struct weft__fd_table *table);
void weft__fd_table_fini(struct weft__fd_table *table);

/* Thread: the owner. */
static inline void weft__fd_table_add(struct weft__fd_table *table, int fd, int change) {
    if (fd < 0 || fd >= table->size) return;
    store_release(&table->pending[fd], (uint16_t)(load_relaxed(&table->pending[fd]) + change)); /* S1; pairs with look */
}

/* One operation less. Thread: the watchman's. */
static inline void weft__fd_table_return(struct weft__fd_table *table, int fd) {
    if (fd < 0 || fd >= table->size) return;
    store_release(&table->returned[fd], (uint16_t)(load_relaxed(&table->returned[fd]) + 1)); /* pairs with look */
}

/* Thread: any. What has been returned had been added: read in this order the two are equal only if nothing was under
 * way when the first was read. */
static inline enum weft__pending weft__fd_table_look(struct weft__fd_table *table, int fd) {
    if (fd >= table->size) return WEFT__PENDING_UNKNOWN;
    uint16_t returned = load_acquire(&table->returned[fd]); /* pairs with return */
    return load_acquire(&table->pending[fd]) != returned ? WEFT__PENDING_SOME : WEFT__PENDING_NONE; /* C3; pairs with S1 */
}

/* Around the look and close(2). Thread: any. */
void weft__fd_close_begin(int fd); /* C1, C2 */
void weft__fd_close_end(int fd);   /* C5 */
/* Around a submit; `before`: what weft__fd_closes said. Thread: any. */
uint16_t weft__fd_closes(int fd);                       /* S0 */
bool weft__fd_closed_since(int fd, uint16_t before);    /* S2, S3 */

#endif
