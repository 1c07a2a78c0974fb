/* python_text.h: what Python's print would say. */
#ifndef WEFT_SEEDS_PYTHON_TEXT_H
#define WEFT_SEEDS_PYTHON_TEXT_H

#include <weft/weft.h>

static inline const char *python_bool(bool value) { return value ? "True" : "False"; }

/* type(awaitable): C has one type for all three, so this asks the object. */
static inline const char *python_type(const weft_future *awaitable) {
    if (weft_iscoroutine(awaitable))
        return "<weft coroutine>";
    return weft_cancelling(awaitable) >= 0 ? "<weft task>" : "<weft future>";
}

#endif
