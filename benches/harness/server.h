/* For the servers written in C and C++: `PROGRAM HOST:PORT WORKERS [spin|burn|burn-alone]` serves until it is
 * killed. */
#ifndef BENCHES_SERVER_H
#define BENCHES_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct server_arguments {
    char *address; /* HOST:PORT */
    char *host;
    unsigned short port;
    unsigned workers;
    bool spin; /* never sleep */
    bool burn; /* let one task compute in bursts meanwhile; */
    bool alone; /* and nobody takes over what its worker holds */
};

static inline struct server_arguments server_arguments(int argc, char **argv) {
    char *colon = argc > 1 ? strrchr(argv[1], ':') : NULL;
    if (argc < 3 || !colon) {
        fprintf(stderr, "usage: %s HOST:PORT WORKERS [spin|burn|burn-alone]\n", argv[0]);
        exit(2);
    }
    struct server_arguments arguments = {argv[1], strndup(argv[1], (size_t)(colon - argv[1])),
                                         (unsigned short)atoi(colon + 1), (unsigned)atoi(argv[2]),
                                         argc > 3 && strcmp(argv[3], "spin") == 0,
                                         argc > 3 && strncmp(argv[3], "burn", 4) == 0,
                                         argc > 3 && strcmp(argv[3], "burn-alone") == 0};
    return arguments;
}

/* A burst of computing, after each of which the burner sleeps. */
#define SERVER_BURST_SECONDS 1.0
#define SERVER_PAUSE_MS 200

static inline void server_burn(void) {
    struct timespec used;
    double end = 0;
    do {
        clock_gettime(CLOCK_MONOTONIC, &used);
        double now = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
        if (end == 0) end = now + SERVER_BURST_SECONDS;
        if (now >= end) return;
    } while (true);
}

/* A listening socket with SO_REUSEPORT, so that every worker can have its own. */
static inline int server_listen(const struct server_arguments *arguments, int flags) {
    struct sockaddr_in address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(arguments->port);
    inet_pton(AF_INET, arguments->host, &address.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0) {
        perror(arguments->address);
        exit(1);
    }
    return fd;
}

#endif
