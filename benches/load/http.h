/* One HTTP/1.1 answer: as much of the protocol as a benchmark's servers speak (no chunked bodies). */
#ifndef LOAD_HTTP_H
#define LOAD_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http_answer {
    size_t bytes; /* head and body */
    bool right;   /* a 200, and the body that was expected */
};

enum http_parsed { HTTP_INCOMPLETE, HTTP_COMPLETE, HTTP_NONSENSE };

/* Looks for one whole answer at the start of `text`. `body` is the expected one, or NULL. */
enum http_parsed http_parse(const char *text, size_t length, const char *body, struct http_answer *answer);

#endif
