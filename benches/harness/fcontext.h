/* Bare switches of stacks, without a scheduler: what weft's fibers are made of. */
#ifndef BENCHES_FCONTEXT_H
#define BENCHES_FCONTEXT_H

#include <stddef.h>

struct transfer {
    void *context, *data;
};
extern struct transfer jump_fcontext(void *to, void *data);
extern void *make_fcontext(void *stack_top, size_t bytes, void (*entry)(struct transfer));

#endif
