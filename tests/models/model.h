/* What a model that runs real code may say. The model is C, compiled like the code that it runs: with
 * -fsanitize=thread, so that every access to memory is a call, which world.cpp answers out of Relacy's memory
 * model in place of ThreadSanitizer's run-time library. Nothing in runtime/ knows of it. */
#ifndef WEFT_TESTS_MODEL_H
#define WEFT_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct model {
    unsigned threads;           /* 2 to 4 */
    int64_t tick_ns;            /* every look at the clock finds it so much later */
    uint64_t rounds;            /* interleavings, each by chance; the n-th is the same every time */
    void (*before)(void);       /* what `before` does, every thread sees; */
    void (*thread)(unsigned index);
    void (*after)(void);        /* and this sees what all of them did. Nothing of either is checked for races. */
};
extern const struct model model;

/* Ends the search: this interleaving is wrong. */
__attribute__((noreturn)) void model_fail(const char *what);
#define model_assert(condition) ((condition) ? (void)0 : model_fail(#condition))

/* One of 0 .. count - 1; each is tried. */
unsigned model_choose(unsigned count);

/* Memory that is not used again within an interleaving, so that a late access is found. The code under test gets
 * these for malloc and free. */
void *model_malloc(size_t bytes);
void *model_calloc(size_t count, size_t bytes);
void model_free(void *memory);
/* Nobody may touch these bytes any more. */
void model_poison(void *memory, size_t bytes);

__attribute__((noreturn)) void model_abort(void);

#ifdef __cplusplus
}
#endif

#endif
