/* What load is told on its command line. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H

#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_THREADS = 64, MOST_CONNECTIONS = 60000, MOST_PIPELINED = 64, MOST_SERVERS = 64 };

struct options {
    struct sockaddr_in address;
    const char *host;  /* as it was given: HTTP's Host */
    size_t echo_bytes; /* of one request; 0: HTTP */
    const char *path;
    const char *body; /* NULL: any */
    unsigned connections, threads, pipeline;
    double seconds, warmup_seconds;
    double rate; /* requests a second over all connections; 0: closed loop */
    bool spin;
    int cpus[CPU_SETSIZE]; /* thread i runs on cpus[i % cpu_count] */
    int cpu_count;
    int servers[MOST_SERVERS]; /* processes whose CPU time is measured */
    int server_count;
};

/* Exits with 2 and one line on stderr if the arguments make no sense. */
void options_parse(struct options *options, int argc, char **argv);

#endif
