/* A TCP echo server on every core. Usage: echo [HOST:PORT]; then try `nc 127.0.0.1 7000`. */
#include <stdio.h>

#include <weft/weft.h>

/* One task per connection, on any worker; straight-line code. */
static intptr_t echo(void *arg) {
    int fd = (int)(intptr_t)arg;
    char buffer[4096];
    ssize_t n;

    while ((n = weft_recv(fd, buffer, sizeof buffer, 0)) > 0 && (n = weft_send_all(fd, buffer, n)) > 0)
        ;
    weft_close(fd);
    return n;
}

static intptr_t serve(void *address) { return weft_serve_tcp(address, echo, NULL); }

int main(int argc, char **argv) {
    intptr_t error = weft_run_fn(serve, argc > 1 ? argv[1] : "127.0.0.1:7000");

    fprintf(stderr, "echo: %s\n", weft_strerror(error)); /* serving ends by an error only */
    return 1;
}
