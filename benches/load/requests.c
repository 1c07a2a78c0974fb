#define _GNU_SOURCE
#include "requests.h"

#include <stdio.h>
#include <stdlib.h>

static char *allocated(char *text) {
    if (text != NULL) return text;
    fputs("load: out of memory\n", stderr);
    exit(1);
}

static void init_echo(struct requests *self, size_t bytes) {
    uint64_t random = 88172645463325252u; /* xorshift64 */
    size_t total = bytes + ECHO_PIECES;
    char *text = allocated(malloc(total));
    for (size_t i = 0; i < total; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        text[i] = (char)random;
    }
    *self = (struct requests){.text = text, .bytes = bytes, .stride = 1};
}

static void init_http(struct requests *self, const struct options *options) {
    char *text = NULL;
    int bytes = asprintf(&text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", options->path, options->host);
    text = allocated(bytes < 0 ? NULL : text);
    *self = (struct requests){.text = text, .bytes = (size_t)bytes, .body = options->body};
}

void requests_init(struct requests *self, const struct options *options) {
    if (options->echo_bytes) init_echo(self, options->echo_bytes);
    else init_http(self, options);
}
