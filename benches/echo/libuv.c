/* libuv has one thread a loop: so there is a loop, with a listener of its own, for each worker. */
#include <uv.h>

#include "harness/server.h"

static char buffer_memory[64][65536]; /* a worker's, between alloc and read */

struct answer {
    uv_write_t request;
    char bytes[];
};

static void allocated(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)suggested;
    *buffer = uv_buf_init(handle->loop->data, sizeof buffer_memory[0]);
}

static void closed(uv_handle_t *handle) { free(handle); }

static void written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

/* What the socket has no room for waits in memory of its own. */
static void write_later(uv_stream_t *stream, const char *bytes, size_t length) {
    struct answer *answer = malloc(sizeof *answer + length);
    memcpy(answer->bytes, bytes, length);
    uv_buf_t rest = uv_buf_init(answer->bytes, (unsigned)length);
    uv_write(&answer->request, stream, &rest, 1, written);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    if (n < 0) {
        uv_close((uv_handle_t *)stream, closed);
        return;
    }
    uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)n);
    int sent = n > 0 ? uv_try_write(stream, &answer, 1) : 0;
    if (sent < 0) sent = 0;
    if (sent < n) write_later(stream, buffer->base + sent, (size_t)(n - sent));
}

static void connected(uv_stream_t *listener, int status) {
    uv_tcp_t *client = malloc(sizeof *client);
    if (status < 0 || uv_tcp_init(listener->loop, client) < 0) abort();
    if (uv_accept(listener, (uv_stream_t *)client) == 0) {
        uv_tcp_nodelay(client, 1);
        uv_read_start((uv_stream_t *)client, allocated, received);
    } else {
        uv_close((uv_handle_t *)client, closed);
    }
}

struct worker {
    uv_loop_t loop;
    uv_tcp_t listener;
    bool spin;
};

static void work(void *arg) {
    struct worker *self = arg;
    while (self->spin) uv_run(&self->loop, UV_RUN_NOWAIT);
    uv_run(&self->loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv) {
    struct server_arguments arguments = server_arguments(argc, argv);
    struct worker *workers = calloc(arguments.workers, sizeof *workers);
    uv_thread_t thread;
    for (unsigned i = 0; i < arguments.workers; i++) {
        struct worker *worker = &workers[i];
        worker->spin = arguments.spin;
        uv_loop_init(&worker->loop);
        worker->loop.data = buffer_memory[i];
        uv_tcp_init(&worker->loop, &worker->listener);
        uv_tcp_open(&worker->listener, server_listen(&arguments, SOCK_NONBLOCK));
        uv_listen((uv_stream_t *)&worker->listener, 4096, connected);
    }
    for (unsigned i = 1; i < arguments.workers; i++) uv_thread_create(&thread, work, &workers[i]);
    work(&workers[0]);
}
