#include "harness/uring_server.h"

static void echo(int fd, char *bytes, size_t length) {
    if (send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return; /* its receive will say so */
}

int main(int argc, char **argv) { uring_serve(server_arguments(argc, argv), echo); }
