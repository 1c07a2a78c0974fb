#define _GNU_SOURCE
#include "options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: load --address HOST:PORT (--echo BYTES | --http PATH [--body TEXT]) [--connections N] [--threads N]\n"
    "            [--seconds S] [--warmup S] [--pipeline N] [--rate R] [--cpu LIST] [--spin] [--server PID,...]\n"
    "Loads an echo or HTTP/1.1 server, checks every answer, and prints one JSON object: what was measured in the\n"
    "S seconds after the warm-up. Latencies are in microseconds.\n"
    "  --connections N   over all threads; 1, at most 60000\n"
    "  --threads N       1, at most 64\n"
    "  --seconds S       2; --warmup S: 0.5\n"
    "  --echo BYTES      of one request, at most 1048576; the answer must be identical\n"
    "  --http PATH       the answer must be a 200 with a Content-Length; with --body, exactly that body\n"
    "  --pipeline N      requests in flight on a connection; 1, at most 64\n"
    "  --rate R          open loop: R requests a second fall due at fixed times, whatever the answers, by turns\n"
    "                    on each connection; what cannot be sent yet waits, and its latency counts from when it\n"
    "                    fell due. Without it a request follows its answer (closed loop).\n"
    "  --cpu LIST        pins thread after thread to these CPUs, e.g. 0,2-3\n"
    "  --spin            never sleep: the load's own wake-ups are not in the latencies\n"
    "  --server PID,...  also measure the CPU time of these processes over the same seconds\n"
    "Exit code 1 if nothing was measured, 2 for wrong options; wrong answers and errors are in the JSON.\n";

static _Noreturn void bad_option(const char *option, const char *value, const char *expected) {
    fprintf(stderr, "load: --%s '%s': expected %s (see --help)\n", option, value, expected);
    exit(2);
}

static _Noreturn void bad_usage(const char *problem) {
    fprintf(stderr, "load: %s (see --help)\n", problem);
    exit(2);
}

static double number(const char *option, const char *value, double least, double most, const char *expected) {
    char *end;
    double n = strtod(value, &end);
    if (strchr("0123456789.", *value) == NULL || *end != '\0' || end == value || !(n >= least && n <= most))
        bad_option(option, value, expected);
    return n;
}

static unsigned whole(const char *option, const char *value, unsigned least, unsigned most) {
    char expected[48];
    snprintf(expected, sizeof expected, "a whole number, %u to %u", least, most);
    double n = number(option, value, least, most, expected);
    if (n != (unsigned)n) bad_option(option, value, expected);
    return (unsigned)n;
}

static void parse_address(struct options *options, const char *value) {
    static const char expected[] = "HOST:PORT, an IPv4 address and 1 to 65535";
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(value, ':');
    if (colon == NULL || (size_t)(colon - value) >= sizeof host) bad_option("address", value, expected);
    memcpy(host, value, (size_t)(colon - value));
    host[colon - value] = '\0';
    options->address.sin_family = AF_INET;
    if (inet_pton(AF_INET, host, &options->address.sin_addr) != 1) bad_option("address", value, expected);
    options->address.sin_port = htons((uint16_t)whole("address, port", colon + 1, 1, 65535));
    options->host = value;
}

/* Numbers and ranges, "0,2-3", into `list`; returns how many. */
static int parse_list(const char *option, const char *value, int *list, int most, long limit) {
    static const char expected[] = "numbers and ranges like 0,2-3";
    int count = 0;
    for (const char *rest = value;; rest++) {
        char *end;
        long from = strtol(rest, &end, 10), to = from;
        if (end == rest || *rest < '0' || *rest > '9') bad_option(option, value, expected);
        if (*end == '-') to = strtol(rest = end + 1, &end, 10);
        if (end == rest || from > to || to >= limit) bad_option(option, value, expected);
        for (long n = from; n <= to; n++) {
            if (count == most) bad_option(option, value, "a shorter list");
            list[count++] = (int)n;
        }
        rest = end;
        if (*rest == '\0') return count;
        if (*rest != ',') bad_option(option, value, expected);
    }
}

static const char *path(const char *value) {
    if (*value != '/') bad_option("http", value, "a path that begins with /");
    return value;
}

enum { ADDRESS, CONNECTIONS, THREADS, SECONDS, WARMUP, ECHO, HTTP, BODY, PIPELINE, RATE, CPU, SPIN, SERVER, HELP };

static void set(struct options *options, int option, const char *value) {
    switch (option) {
    case ADDRESS: parse_address(options, value); break;
    case CONNECTIONS: options->connections = whole("connections", value, 1, MOST_CONNECTIONS); break;
    case THREADS: options->threads = whole("threads", value, 1, MOST_THREADS); break;
    case SECONDS: options->seconds = number("seconds", value, 0.01, 86400, "0.01 to 86400 seconds"); break;
    case WARMUP: options->warmup_seconds = number("warmup", value, 0, 3600, "0 to 3600 seconds"); break;
    case ECHO: options->echo_bytes = whole("echo", value, 1, 1 << 20); break;
    case HTTP: options->path = path(value); break;
    case BODY: options->body = value; break;
    case PIPELINE: options->pipeline = whole("pipeline", value, 1, MOST_PIPELINED); break;
    case RATE: options->rate = number("rate", value, 0.001, 1e8, "0.001 to 100000000 a second"); break;
    case CPU: options->cpu_count = parse_list("cpu", value, options->cpus, CPU_SETSIZE, CPU_SETSIZE); break;
    case SPIN: options->spin = true; break;
    case SERVER:
        options->server_count = parse_list("server", value, options->servers, MOST_SERVERS, 1L << 30);
        break;
    case HELP: fputs(usage, stdout); exit(0);
    default: exit(2); /* getopt has said why */
    }
}

void options_parse(struct options *options, int argc, char **argv) {
    static const struct option names[] = {
        {"address", required_argument, NULL, ADDRESS},   {"connections", required_argument, NULL, CONNECTIONS},
        {"threads", required_argument, NULL, THREADS},   {"seconds", required_argument, NULL, SECONDS},
        {"warmup", required_argument, NULL, WARMUP},     {"echo", required_argument, NULL, ECHO},
        {"http", required_argument, NULL, HTTP},         {"body", required_argument, NULL, BODY},
        {"pipeline", required_argument, NULL, PIPELINE}, {"rate", required_argument, NULL, RATE},
        {"cpu", required_argument, NULL, CPU},           {"spin", no_argument, NULL, SPIN},
        {"server", required_argument, NULL, SERVER},     {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int option;
    *options =
        (struct options){.connections = 1, .threads = 1, .pipeline = 1, .seconds = 2, .warmup_seconds = 0.5};
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) set(options, option, optarg);
    if (optind < argc) bad_option("argument", argv[optind], "options only");
    if (options->host == NULL) bad_usage("--address is missing");
    if ((options->echo_bytes == 0) == (options->path == NULL)) bad_usage("one of --echo and --http is needed");
    if (options->body != NULL && options->path == NULL) bad_usage("--body goes with --http");
    if (options->threads > options->connections) bad_usage("more threads than connections");
}
