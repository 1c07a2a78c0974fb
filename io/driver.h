/* The drivers that there are; chosen in driver.c. */
#ifndef WEFT_IO_DRIVER_H
#define WEFT_IO_DRIVER_H

#include "../runtime/driver.h"

/* Each opens a driver for the calling thread: 0 or -errno. */
int weft__uring_open(struct weft__driver **driver);
int weft__epoll_open(struct weft__driver **driver);

#endif
