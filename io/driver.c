/* Which driver: as asked, else io_uring, else epoll (container runtimes' default profiles block io_uring). */
#define _GNU_SOURCE
#include "driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int weft__driver_open(const char *name, bool notice, struct weft__driver **driver) {
    if (!name) name = getenv("WEFT_DRIVER");
    if (name && strcmp(name, "epoll") == 0) return weft__epoll_open(driver);
    if (name && *name && strcmp(name, "uring") != 0) return -EINVAL;
    int error = weft__uring_open(driver);
    if (error == 0 || (name && *name)) return error;
    if (notice) fprintf(stderr, "weft: no io_uring here (%s), using epoll\n", strerrorname_np(-error));
    return weft__epoll_open(driver);
}
