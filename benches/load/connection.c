#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "http.h"

enum { MOST_PIECES = 16 }; /* in one sendmsg */

static int connected_socket(const struct sockaddr_in *address) {
    const struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connect's, too */
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int connection_open(struct connection *self, const struct options *options, const struct requests *requests,
                    unsigned number) {
    int fd = connected_socket(&options->address);
    if (fd < 0) return fd;
    *self = (struct connection){.requests = requests, .number = number, .pipeline = options->pipeline, .fd = fd};
    if (requests->stride == 0 && (self->in = malloc(IN_BYTES)) == NULL) return -ENOMEM;
    return 0;
}

void connection_lose(struct connection *self) {
    if (self->fd >= 0) close(self->fd);
    self->fd = -1;
}

/* ---- requests out ---- */

/* What may be sent now, as pieces; returns how many. */
static int gather(const struct connection *self, struct iovec *pieces) {
    uint64_t end = self->answered + self->pipeline;
    int count = 0;
    if (end > self->due) end = self->due;
    for (uint64_t number = self->sent; number < end && count < MOST_PIECES; number++, count++) {
        const char *piece = requests_piece(self->requests, self->number, number);
        pieces[count] = (struct iovec){(void *)(uintptr_t)piece, self->requests->bytes};
    }
    if (count > 0) {
        pieces[0].iov_base = (char *)pieces[0].iov_base + self->sent_part;
        pieces[0].iov_len -= self->sent_part;
    }
    return count;
}

static void account_sent(struct connection *self, size_t bytes, int64_t now) {
    bytes += self->sent_part;
    for (; bytes >= self->requests->bytes; bytes -= self->requests->bytes)
        self->sent_at[self->sent++ % MOST_PIPELINED] = now;
    self->sent_part = bytes;
}

bool connection_send(struct connection *self, int64_t now) {
    struct iovec pieces[MOST_PIECES];
    int count;
    while (self->fd >= 0 && (count = gather(self, pieces)) > 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
        ssize_t n = count == 1 ? send(self->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
                               : sendmsg(self->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        self->wants_to_write = n < 0 && errno == EAGAIN;
        if (n < 0) return self->wants_to_write;
        account_sent(self, (size_t)n, now);
    }
    return self->fd >= 0;
}

/* ---- answers in ---- */

static struct arrival check_echo(struct connection *self, const char *buffer, size_t length) {
    struct arrival arrival = {0};
    size_t bytes = self->requests->bytes;
    for (uint64_t number = self->answered; length > 0; number++) {
        size_t part = bytes - self->in_bytes < length ? bytes - self->in_bytes : length;
        if (number >= self->sent + (self->sent_part > 0))
            return (struct arrival){.lost = true}; /* never asked for */
        const char *expected = requests_piece(self->requests, self->number, number) + self->in_bytes;
        self->in_wrong |= memcmp(buffer, expected, part) != 0;
        buffer += part, length -= part, self->in_bytes += part;
        if (self->in_bytes < bytes) break;
        arrival.count++;
        arrival.wrong += self->in_wrong;
        self->in_bytes = 0;
        self->in_wrong = false;
    }
    return arrival;
}

static struct arrival check_http(struct connection *self) {
    struct arrival arrival = {0};
    size_t used = 0;
    while (used < self->in_bytes) {
        struct http_answer answer;
        enum http_parsed parsed =
            http_parse(self->in + used, self->in_bytes - used, self->requests->body, &answer);
        if (parsed == HTTP_INCOMPLETE) break;
        if (parsed == HTTP_NONSENSE || self->answered + arrival.count == self->sent) {
            arrival.lost = true;
            break;
        }
        arrival.count++;
        arrival.wrong += !answer.right;
        used += answer.bytes;
    }
    self->in_bytes -= used;
    memmove(self->in, self->in + used, self->in_bytes);
    arrival.lost |= self->in_bytes == IN_BYTES; /* an answer that we have no room for */
    return arrival;
}

struct arrival connection_receive(struct connection *self, char *buffer) {
    bool http = self->in != NULL;
    ssize_t n = http ? recv(self->fd, self->in + self->in_bytes, IN_BYTES - self->in_bytes, 0)
                     : recv(self->fd, buffer, IN_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return (struct arrival){0};
    if (n <= 0) return (struct arrival){.lost = true};
    if (!http) return check_echo(self, buffer, (size_t)n);
    self->in_bytes += (size_t)n;
    return check_http(self);
}
