/* Names of errors, the clock, errno: the small change of base.h. */
#define _GNU_SOURCE
#include <weft/base.h>

#include <string.h>

#include "world.h"

const char *weft_strerror(intptr_t result) {
    if (!weft_is_error(result)) return "OK";
    const char *name = strerrorname_np((int)-result);
    return name ? name : "EUNKNOWN";
}

int64_t weft_time(void) { return weft__world_now(); }

int *weft_errno_location(void) { return weft__world_errno(); }
