#define _GNU_SOURCE
#include "http.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME "content-length:"

/* The number in the Content-Length line between `line` and `end`, an empty line; -1 without one. */
static long content_length(const char *line, const char *end) {
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        if (next == NULL) next = end;
        if ((size_t)(next - line) >= sizeof NAME && strncasecmp(line, NAME, sizeof NAME - 1) == 0)
            return strtol(line + sizeof NAME - 1, NULL, 10); /* a line end stops it */
        line = next + 1;
    }
    return -1;
}

enum http_parsed http_parse(const char *text, size_t length, const char *body, struct http_answer *answer) {
    static const char start[] = "HTTP/1.1 ";
    size_t compared = length < sizeof start - 1 ? length : sizeof start - 1;
    if (memcmp(text, start, compared) != 0) return HTTP_NONSENSE;
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    if (end == NULL) return HTTP_INCOMPLETE;
    long body_bytes = content_length(text, end + 2);
    if (body_bytes < 0 || body_bytes > INT32_MAX) return HTTP_NONSENSE;
    answer->bytes = (size_t)(end + 4 - text) + (size_t)body_bytes;
    if (answer->bytes > length) return HTTP_INCOMPLETE;
    answer->right = memcmp(text + sizeof start - 1, "200", 3) == 0;
    if (body != NULL)
        answer->right &= (size_t)body_bytes == strlen(body) && memcmp(end + 4, body, (size_t)body_bytes) == 0;
    return HTTP_COMPLETE;
}
