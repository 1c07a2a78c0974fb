/* The bytes that are sent, and the check of those that come back. */
#ifndef LOAD_REQUESTS_H
#define LOAD_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

#include "options.h"

/* Every echo request is a piece of one random text, which begins where the connection and the request's number
 * say: so nothing is copied, and a piece that comes back to the wrong request is seen. */
enum { ECHO_PIECES = 4096 };

struct requests { /* const once the threads run */
    const char *text;
    size_t bytes;  /* of one request */
    size_t stride; /* from one piece to the next; 0: HTTP, where all requests are the same */
    const char *body; /* what HTTP answers must have; NULL: any */
};

/* Exits with 1 if there is no memory. */
void requests_init(struct requests *self, const struct options *options);

/* The bytes of request `number` of connection `connection`. */
static inline const char *requests_piece(const struct requests *self, unsigned connection, uint64_t number) {
    return self->text + self->stride * ((connection * 61u + number) % ECHO_PIECES);
}

#endif
