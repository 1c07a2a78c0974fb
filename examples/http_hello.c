/* http_hello: "Hello, World!" over HTTP/1.1, on every core. One task per connection, straight-line code.
 *
 * The parser calls back from inside http_parser_execute, and the callbacks may send, that is, suspend:
 * parser, callbacks and buffers all live on the task's own stack, so nothing has to be unrolled. A page of
 * that stack costs memory only once it is touched; hence the small buffers.
 *
 * All answers to what one recv brought leave in one send. Whatever goes wrong with one connection closes
 * that connection and nothing else. */
#include <getopt.h>
#include <http_parser.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <weft/weft.h>

enum {
    IN_BYTES = 4096,
    OUT_BYTES = 4096,
    HEADER_LIMIT_BYTES = 8 * 1024,      /* request line and headers of one request */
    BODY_LIMIT_BYTES = 1024 * 1024,     /* of one request */
    DRAIN_LIMIT_BYTES = 8 * 1024 * 1024 /* read and forgotten after the last reply */
};
#define DRAIN_LIMIT_NS WEFT_SEC(2)

/* ---- replies ------------------------------------------------------------------------------------ */

#define BODY "Hello, World!"
#define HELLO(connection) \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n" connection "\r\n" BODY
#define FAILURE(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
#define REPLY(text) \
    { text, sizeof(text) - 1 }

struct reply {
    const char *bytes;
    size_t length;
};

_Static_assert(sizeof BODY - 1 == 13, "HELLO spells the Content-Length out");

static const struct reply hello = REPLY(HELLO(""));
static const struct reply hello_keep_alive = REPLY(HELLO("Connection: keep-alive\r\n")); /* HTTP/1.0 asks */
static const struct reply hello_close = REPLY(HELLO("Connection: close\r\n"));
static const struct reply bad_request = REPLY(FAILURE("400 Bad Request"));
static const struct reply body_too_large = REPLY(FAILURE("413 Payload Too Large"));
static const struct reply headers_too_large = REPLY(FAILURE("431 Request Header Fields Too Large"));

/* ---- a connection ------------------------------------------------------------------------------- */

struct connection {
    int fd;
    int error;         /* of a send inside a callback */
    bool closing;      /* the last reply is in `out` or sent */
    bool too_large;    /* the current request's body */
    size_t body_bytes; /* of the current request */
    size_t out_bytes;
    uint64_t requests;
    http_parser parser;
    char out[OUT_BYTES];
};

static int64_t idle_ns = WEFT_SEC(30); /* const once the runtime is up */

/* Connections add what they answered when they end, so that the line is not contended. */
static atomic_uint_least64_t requests_answered;

static int flush(struct connection *c) {
    size_t bytes = c->out_bytes;

    c->out_bytes = 0;
    if (bytes == 0) return 0;
    ssize_t sent = weft_send_all(c->fd, c->out, bytes);
    return sent < 0 ? (int)sent : 0;
}

static int reply_with(struct connection *c, const char *bytes, size_t length) {
    if (length > OUT_BYTES - c->out_bytes) {
        int r = flush(c);
        if (r < 0) return r;
    }
    memcpy(c->out + c->out_bytes, bytes, length);
    c->out_bytes += length;
    return 0;
}

/* ---- the parser's callbacks; a result that is not 0 stops it ------------------------------------- */

static int on_headers_complete(http_parser *parser) {
    struct connection *c = parser->data;

    /* all ones: no Content-Length */
    c->too_large = parser->content_length != UINT64_MAX && parser->content_length > BODY_LIMIT_BYTES;
    return c->too_large ? -1 : 0; /* 1 and 2 would have a meaning of their own */
}

static int on_body(http_parser *parser, const char *bytes, size_t length) {
    struct connection *c = parser->data;

    (void)bytes;
    c->body_bytes += length;
    return c->too_large = c->body_bytes > BODY_LIMIT_BYTES;
}

static int on_message_complete(http_parser *parser) {
    struct connection *c = parser->data;
    const struct reply *reply = &hello;

    if (parser->upgrade || !http_should_keep_alive(parser)) {
        reply = &hello_close; /* upgrades and CONNECT are declined: what follows is not HTTP */
        c->closing = true;
    } else if (parser->http_minor == 0) {
        reply = &hello_keep_alive;
    }
    c->requests++;
    c->body_bytes = 0;
    size_t unwanted = parser->method == HTTP_HEAD ? sizeof BODY - 1 : 0;
    c->error = reply_with(c, reply->bytes, reply->length - unwanted);
    return c->closing || c->error < 0;
}

static const http_parser_settings settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- a connection's task ------------------------------------------------------------------------ */

static const struct reply *failure(const struct connection *c) {
    if (c->too_large) return &body_too_large;
    return HTTP_PARSER_ERRNO(&c->parser) == HPE_HEADER_OVERFLOW ? &headers_too_large : &bad_request;
}

/* Answers all that `bytes` completes; -errno if the client is gone. */
static int answer(struct connection *c, const char *bytes, size_t length) {
    http_parser_execute(&c->parser, &settings, bytes, length);
    if (c->error < 0) return c->error;
    if (!c->closing && HTTP_PARSER_ERRNO(&c->parser) != HPE_OK) {
        const struct reply *reply = failure(c);
        int r = reply_with(c, reply->bytes, reply->length);
        if (r < 0) return r;
        c->closing = true;
    }
    return flush(c);
}

/* One recv and its answers, within the idle limit: a client that stops reading is idle, too. 0 at the end
 * of the stream, -errno if there is nobody to talk to any more. */
static intptr_t turn(struct connection *c, char *in) {
    weft_timeout limit;

    weft_timeout_enter(&limit, idle_ns);
    intptr_t r = weft_recv(c->fd, in, IN_BYTES, 0);
    if (r > 0) {
        int answered = answer(c, in, (size_t)r);
        if (answered < 0) r = answered;
    }
    return weft_timeout_exit(&limit, r);
}

/* A close with unread bytes is a reset, which may overtake the last reply: so let the client finish. */
static void drain(int fd, char *in) {
    weft_timeout limit;
    size_t drained = 0;
    ssize_t n = weft_shutdown(fd, SHUT_WR);

    if (n < 0) return;
    weft_timeout_enter(&limit, DRAIN_LIMIT_NS);
    do {
        n = weft_recv(fd, in, IN_BYTES, 0);
        drained += n > 0 ? (size_t)n : 0;
    } while (n > 0 && drained < DRAIN_LIMIT_BYTES);
    weft_timeout_exit(&limit, n);
}

static intptr_t converse(void *arg) {
    struct connection c;
    char in[IN_BYTES];
    intptr_t r;
    int fd = (int)(intptr_t)arg;

    memset(&c, 0, offsetof(struct connection, out)); /* `out` stays untouched: it costs a page */
    c.fd = fd;
    http_parser_init(&c.parser, HTTP_REQUEST);
    c.parser.data = &c;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* batches are made here */

    do
        r = turn(&c, in);
    while (r > 0 && !c.closing);
    if (r > 0) drain(fd, in);
    weft_close(fd);
    atomic_fetch_add_explicit(&requests_answered, c.requests, memory_order_relaxed);
    return 0;
}

/* ---- the server --------------------------------------------------------------------------------- */

struct server {
    const char *address;
    const char *stats_path; /* NULL: none; "-": stdout */
    weft_options runtime;
    int signal_fd;
    weft_stats stats;
    weft_task *serving;
};

static void ready(void *arg, int port) {
    const struct server *server = arg;

    printf("listening on %.*s:%d\n", (int)(strrchr(server->address, ':') - server->address), server->address,
           port);
    fflush(stdout);
}

static intptr_t serve(void *arg) {
    struct server *server = arg;
    weft_serve_options options = {.ready = ready, .ready_arg = server};

    return weft_serve_tcp(server->address, converse, &options);
}

static intptr_t stop_at_signal(void *arg) {
    struct server *server = arg;
    struct signalfd_siginfo info;
    ssize_t n = weft_read(server->signal_fd, &info, sizeof info);

    weft_cancel(server->serving); /* without effect if it has ended, and supervise cancels us */
    return n;
}

static intptr_t supervise(void *arg) {
    struct server *server = arg;

    server->serving = weft_spawn(serve, server);
    weft_task *stopper = weft_spawn(stop_at_signal, server);
    intptr_t r = weft_await(server->serving);
    weft_cancel(stopper);
    weft_join(stopper); /* it holds server->serving */
    weft_release(server->serving);
    weft_stats_get(&server->stats);
    return r == -ECANCELED ? 0 : r;
}

/* After weft_run: the connections have ended, and added their requests. */
static int write_stats(const struct server *server) {
    const weft_stats *s = &server->stats;
    bool to_stdout = strcmp(server->stats_path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(server->stats_path, "w");

    if (file == NULL) return -errno;
    fprintf(file, "{\n  \"driver\": \"%s\",\n  \"workers\": %u", s->driver, s->workers);
#define COUNTER(name) fprintf(file, ",\n  \"" #name "\": %" PRIu64, s->name)
    COUNTER(switches), COUNTER(spawns), COUNTER(in_place), COUNTER(steals), COUNTER(steal_attempts);
    COUNTER(parks), COUNTER(wakes), COUNTER(enters), COUNTER(submissions), COUNTER(completions);
    COUNTER(timers), COUNTER(stack_hits), COUNTER(stack_misses);
    fprintf(file, ",\n  \"requests\": %" PRIu64 "\n}\n", (uint64_t)atomic_load(&requests_answered));
    int flushed = to_stdout ? fflush(file) : fclose(file);
    return flushed == 0 ? 0 : -errno;
}

/* ---- the command line --------------------------------------------------------------------------- */

static const char usage[] =
    "usage: http_hello [--address HOST:PORT] [--workers N] [--idle SECONDS] [--driver uring|epoll]\n"
    "                  [--stats FILE|-]\n"
    "Serves \"" BODY "\" over HTTP/1.1 until SIGINT or SIGTERM, then writes its statistics to FILE.\n"
    "Defaults: --address 127.0.0.1:8080 (port 0: any free one), --workers 0 (all cores), --idle 30.\n";

static _Noreturn void bad_option(const char *option, const char *value, const char *expected) {
    fprintf(stderr, "http_hello: %s '%s': expected %s\n", option, value, expected);
    exit(2);
}

static long number(const char *option, const char *value, long least, long most, const char *expected) {
    char *end;
    long n = strtol(value, &end, 10); /* beyond long: LONG_MAX, which is more than `most` */

    if (*value < '0' || *value > '9' || *end != '\0' || n < least || n > most)
        bad_option(option, value, expected);
    return n;
}

static const char *address(const char *value) {
    const char *colon = strrchr(value, ':');

    if (colon == NULL || colon == value) bad_option("--address", value, "HOST:PORT");
    number("--address, port", colon + 1, 0, 65535, "0 to 65535");
    return value;
}

static const char *driver(const char *value) {
    if (strcmp(value, "uring") != 0 && strcmp(value, "epoll") != 0)
        bad_option("--driver", value, "uring or epoll");
    return value;
}

static void parse_options(struct server *server, int argc, char **argv) {
    static const struct option options[] = {
        {"address", required_argument, NULL, 'a'}, {"workers", required_argument, NULL, 'w'},
        {"idle", required_argument, NULL, 'i'},    {"driver", required_argument, NULL, 'd'},
        {"stats", required_argument, NULL, 's'},   {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'a': server->address = address(optarg); break;
        case 'w': server->runtime.workers = number("--workers", optarg, 0, 1024, "0 to 1024"); break;
        case 'i': idle_ns = WEFT_SEC(number("--idle", optarg, 1, 1000000, "1 to 1000000 seconds")); break;
        case 'd': server->runtime.driver = driver(optarg); break;
        case 's': server->stats_path = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: exit(2); /* getopt has said why */
        }
    }
    if (optind < argc) bad_option("argument", argv[optind], "options only");
}

static int block_stop_signals(void) {
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* before weft_run: its threads inherit this */
    return signalfd(-1, &stop, SFD_CLOEXEC);
}

int main(int argc, char **argv) {
    struct server server = {.address = "127.0.0.1:8080"};
    const char *problem = "cannot serve on", *where;

    parse_options(&server, argc, argv);
    http_parser_set_max_header_size(HEADER_LIMIT_BYTES);
    server.signal_fd = block_stop_signals();
    intptr_t r = server.signal_fd < 0 ? -errno : weft_run_fn_with(server.runtime, supervise, &server);
    where = server.address;
    if (!weft_is_error(r) && server.stats_path != NULL) {
        r = write_stats(&server);
        problem = "cannot write", where = server.stats_path;
    }
    if (!weft_is_error(r)) return 0;
    fprintf(stderr, "http_hello: %s %s: %s\n", problem, where, weft_strerror(r));
    return 1;
}
