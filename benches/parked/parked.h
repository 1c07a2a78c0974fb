/* How the subjects written in C and C++ let their memory be looked at. */
#ifndef BENCHES_PARKED_H
#define BENCHES_PARKED_H

#include <stdio.h>
#include <stdlib.h>

/* Prints a line, and waits for one. */
static inline void look(void) {
    puts("look");
    fflush(stdout);
    if (getchar() == EOF) exit(1);
}

#endif
