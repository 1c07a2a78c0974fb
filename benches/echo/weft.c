#include <weft/weft.h>

#include "harness/server.h"

static intptr_t echo(void *arg) {
    int fd = (int)(intptr_t)arg;
    char buffer[4096];
    ssize_t n;
    while ((n = weft_recv(fd, buffer, sizeof buffer, 0)) > 0 && (n = weft_send_all(fd, buffer, (size_t)n)) > 0)
        ;
    weft_close(fd);
    return n;
}

static intptr_t burner(void *arg) {
    for (;;) {
        server_burn();
        if (weft_sleep(WEFT_MS(SERVER_PAUSE_MS)) < 0) return (intptr_t)arg;
    }
}

static intptr_t serve(void *arg) {
    const struct server_arguments *arguments = arg;
    if (arguments->burn) weft_go(burner, NULL);
    return weft_serve_tcp(arguments->address, echo, NULL);
}

int main(int argc, char **argv) {
    struct server_arguments arguments = server_arguments(argc, argv);
    weft_options options = {.workers = arguments.workers, .spin_ns = arguments.spin ? WEFT_SEC(3600) : 0,
                            .no_rescue = arguments.alone};
    fprintf(stderr, "%s\n", weft_strerror(weft_run_fn_with(options, serve, &arguments)));
    return 1;
}
