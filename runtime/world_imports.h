/* The program's imports: the slots, in the executable and in every shared library, through which calls of functions
 * of other libraries go. Debug mode redirects some. */
#ifndef WEFT_RUNTIME_WORLD_IMPORTS_H
#define WEFT_RUNTIME_WORLD_IMPORTS_H

#include <stddef.h>

struct weft__import {
    const char *name;
    void *instead;  /* of the function that the slots point to now; it calls */
    void *real;     /* filled in: that function; NULL: there is none, and nothing is redirected */
};

/* Redirects the calls that objects loaded so far make. Not those that the linker has bound (a static executable; a
 * sanitizer that is linked into the executable), nor of the C library, the loader and sanitizers. It is never undone:
 * the object that weft is a part of must stay loaded. Thread: any. */
void weft__world_redirect(struct weft__import *imports, size_t count);

#endif
