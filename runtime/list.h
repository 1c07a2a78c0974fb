/* Intrusive lists: a doubly linked ring for timers, a singly linked FIFO for queues. Not thread-safe. */
#ifndef WEFT_RUNTIME_LIST_H
#define WEFT_RUNTIME_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct weft__list {
    struct weft__list *next, *previous;
};

static inline void weft__list_init(struct weft__list *list) { list->next = list->previous = list; }
static inline bool weft__list_empty(const struct weft__list *list) { return list->next == list; }

static inline void weft__list_append(struct weft__list *list, struct weft__list *node) {
    node->next = list;
    node->previous = list->previous;
    list->previous->next = node;
    list->previous = node;
}

static inline void weft__list_remove(struct weft__list *node) {
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->next = node->previous = node;
}

/* Moves everything from `from` behind what `to` holds. */
static inline void weft__list_splice(struct weft__list *to, struct weft__list *from) {
    if (weft__list_empty(from)) return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    weft__list_init(from);
}

static inline struct weft__list *weft__list_pop(struct weft__list *list) {
    struct weft__list *node = list->next;
    if (node == list) return NULL;
    weft__list_remove(node);
    return node;
}

/* What waits in a FIFO: a task, a callback, an operation. */
struct weft__item {
    struct weft__item *next;
};

struct weft__fifo {
    struct weft__item *head, **tail; /* tail == NULL: empty and never used */
    size_t count;
};

static inline void weft__fifo_push(struct weft__fifo *fifo, struct weft__item *item) {
    if (!fifo->head) fifo->tail = &fifo->head;
    item->next = NULL;
    *fifo->tail = item;
    fifo->tail = &item->next;
    fifo->count++;
}

static inline struct weft__item *weft__fifo_pop(struct weft__fifo *fifo) {
    struct weft__item *item = fifo->head;
    if (!item) return NULL;
    fifo->head = item->next;
    fifo->count--;
    return item;
}

#endif
