/* One connection to the server: the requests that it owes, has sent, and has had answered. */
#ifndef LOAD_CONNECTION_H
#define LOAD_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "requests.h"

enum { IN_BYTES = 16384 };

struct connection { /* its thread's, once that runs */
    const struct requests *requests;
    unsigned number; /* over all threads */
    unsigned pipeline;
    int fd; /* -1: lost */
    bool wants_to_write;
    uint64_t due, sent, answered; /* requests so far: answered <= sent <= due */
    size_t sent_part;             /* bytes of request `sent` that are already out */
    size_t in_bytes;              /* echo: of answer `answered`, checked; HTTP: in `in`, unparsed */
    bool in_wrong;                /* echo: a byte of that answer differed */
    char *in;
    int64_t sent_at[MOST_PIPELINED];
};

/* Opens the connection; returns 0 or -errno. */
int connection_open(struct connection *self, const struct options *options, const struct requests *requests,
                    unsigned number);

/* Closes it; whatever has not been answered never will be. */
void connection_lose(struct connection *self);

/* Sends due requests while there is room in the pipeline and in the socket; false if the connection is lost. */
bool connection_send(struct connection *self, int64_t now);

/* How a connection tells of answers, in the order of the requests: `count` of them, of which `wrong` were. */
struct arrival {
    unsigned count, wrong;
    bool lost; /* an error, the end, or bytes that make no sense */
};

/* Receives once. `buffer` is the thread's, IN_BYTES. Does not count up `answered`. */
struct arrival connection_receive(struct connection *self, char *buffer);

#endif
