/* No parser: whatever comes is one request. */
#include "harness/uring_server.h"

static void hello(int fd, char *bytes, size_t length) {
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
    (void)bytes, (void)length;
    if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return; /* its receive will say so */
}

int main(int argc, char **argv) { uring_serve(server_arguments(argc, argv), hello); }
