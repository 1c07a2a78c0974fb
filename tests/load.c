/* The benchmarks' load generator: its histogram, its HTTP answers, and that its open loop sees a server's stall
 * where the closed loop hides it. */
#define _GNU_SOURCE
#include "support.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "benches/load/histogram.h"
#include "benches/load/http.h"

/* ---- the histogram ---- */

static void test_values_are_kept_to_one_percent(void **state) {
    (void)state;
    for (uint64_t value = 1; value < UINT64_MAX / 3; value += 1 + value / 37) {
        struct histogram histogram = {0};
        histogram_add(&histogram, value);
        histogram_add(&histogram, UINT64_MAX); /* so that max does not help */
        uint64_t kept = histogram_percentile(&histogram, 50);
        uint64_t error = kept > value ? kept - value : value - kept;
        must(error <= value / 100);
    }
}

static void test_percentiles_are_ranks(void **state) {
    struct histogram histogram = {0}, other = {0};
    (void)state;
    must_equal(histogram_percentile(&histogram, 99), 0);
    for (uint64_t value = 1; value <= 200; value++) histogram_add(value % 2 ? &histogram : &other, value);
    histogram_merge(&histogram, &other);
    must_equal(histogram.count, 200);
    must_equal(histogram_percentile(&histogram, 0), 1);
    must_equal(histogram_percentile(&histogram, 50), 100);
    must_equal(histogram_percentile(&histogram, 99), 198);
    must_equal(histogram_percentile(&histogram, 99.9), 200);
    must_equal(histogram.max, 200);
}

/* ---- HTTP answers ---- */

static enum http_parsed parse(const char *text, const char *body, struct http_answer *answer) {
    return http_parse(text, strlen(text), body, answer);
}

static void test_http_answers(void **state) {
    static const char whole[] = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH: 5\r\n\r\nHello";
    struct http_answer answer;
    (void)state;
    for (size_t length = 0; length < sizeof whole - 1; length++)
        must_equal(http_parse(whole, length, "Hello", &answer), HTTP_INCOMPLETE);
    must_equal(parse(whole, "Hello", &answer), HTTP_COMPLETE);
    must(answer.right && answer.bytes == sizeof whole - 1);
    must_equal(parse(whole, NULL, &answer), HTTP_COMPLETE);
    must(answer.right);
    must_equal(parse(whole, "Hallo", &answer), HTTP_COMPLETE);
    must(!answer.right);
    must_equal(parse(whole, "Hell", &answer), HTTP_COMPLETE);
    must(!answer.right);
    must_equal(parse("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", NULL, &answer), HTTP_COMPLETE);
    must(!answer.right);
    must_equal(parse("HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\nHello", NULL, &answer), HTTP_NONSENSE);
    must_equal(parse("ello", NULL, &answer), HTTP_NONSENSE);
}

/* ---- the loops ---- */

enum { STALL_AFTER_MS = 500, STALL_MS = 200 };

static int64_t milliseconds(void) { return weft_time() / 1000000; }

/* Echoes on one connection, and once, STALL_AFTER_MS after the first request, only waits for the client to hang up, for
 * `stall_ms`. `flip` spoils every byte. */
static void echo(int listener, int stall_ms, char flip) {
    char buffer[4096];
    ssize_t n;
    int fd = accept(listener, NULL, NULL);
    int64_t stall_at = 0;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
        if (stall_at == 0) stall_at = milliseconds() + STALL_AFTER_MS;
        if (stall_ms && milliseconds() >= stall_at) {
            poll(&(struct pollfd){.fd = fd, .events = POLLRDHUP}, 1, stall_ms);
            stall_ms = 0;
        }
        for (ssize_t i = 0; i < n; i++) buffer[i] ^= flip;
        if (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n) break;
    }
    _exit(0);
}

/* What the load says of such a server. */
static void load(const char *arguments, int stall_ms, char flip, char *json, size_t bytes) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char command[512];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    must_equal(listen(listener, 8), 0);
    must_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    pid_t server = fork();
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        echo(listener, stall_ms, flip);
    }
    snprintf(command, sizeof command, "%s --address 127.0.0.1:%d --echo 64 --warmup 0.1 %s", BENCH_LOAD,
             ntohs(address.sin_port), arguments);
    FILE *output = popen(command, "r");
    must(fgets(json, (int)bytes, output) != NULL);
    must_equal(pclose(output), 0);
    must_equal(waitpid(server, NULL, 0), server);
    close(listener);
}

static double value_of(const char *json, const char *name) {
    const char *at = strstr(json, name);
    must(at != NULL);
    return strtod(at + strlen(name) + strlen("\": "), NULL);
}

static void test_the_open_loop_sees_a_stall(void **state) {
    char json[1024];
    (void)state;
    load("--rate 1000 --seconds 0.9", STALL_MS, 0, json, sizeof json);
    must_equal((int)value_of(json, "requests"), 900); /* all that fell due, though 200 of them had to wait */
    must_equal((int)value_of(json, "errors"), 0);
    must(value_of(json, "max_us") >= STALL_MS * 1e3 * 0.99);
    must(value_of(json, "p99_us") >= STALL_MS * 1e3 * 0.9);
    must(value_of(json, "p90_us") >= STALL_MS * 1e3 * 0.4);
}

static void test_the_closed_loop_hides_it(void **state) {
    char json[1024];
    (void)state;
    load("--seconds 0.9", STALL_MS, 0, json, sizeof json);
    must_equal((int)value_of(json, "errors"), 0);
    must(value_of(json, "max_us") >= STALL_MS * 1e3 * 0.99);
    must(value_of(json, "p99_us") <= STALL_MS * 1e3 * 0.5);
}

static void test_wrong_answers_are_counted(void **state) {
    char json[1024];
    (void)state;
    load("--rate 1000 --seconds 0.1", 0, 1, json, sizeof json);
    must_equal((int)value_of(json, "requests"), 100);
    must_equal((int)value_of(json, "wrong"), 200); /* those of the warm-up too */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_kept_to_one_percent),
        cmocka_unit_test(test_percentiles_are_ranks),
        cmocka_unit_test(test_http_answers),
        cmocka_unit_test(test_the_open_loop_sees_a_stall),
        cmocka_unit_test(test_the_closed_loop_hides_it),
        cmocka_unit_test(test_wrong_answers_are_counted),
    };
    return run_group(tests);
}
