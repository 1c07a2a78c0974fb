#include "doorbell.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../runtime/world.h"

enum { AWAKE, ON_FD, ON_FUTEX, RUNG };

int weft__doorbell_open(struct weft__doorbell *self) {
    atomic_init(&self->sleeper, AWAKE);
    self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return self->fd < 0 ? -errno : 0;
}

void weft__doorbell_close(struct weft__doorbell *self) { close(self->fd); }

void weft__doorbell_ring(struct weft__doorbell *self) {
    uint64_t one = 1;
    uint32_t found = exchange_acq_rel(&self->sleeper, RUNG); /* R1; pairs with S1 and S3 */
    if (found == ON_FUTEX) {
        weft__world_wake_all(&self->sleeper);
    } else if (found == ON_FD) {
        ssize_t written = write(self->fd, &one, sizeof one);
        (void)written; /* EAGAIN: it is full, so it rings already */
    }
}

void weft__doorbell_end(struct weft__doorbell *self) {
    exchange_acq_rel(&self->sleeper, AWAKE); /* S3; pairs with R1 */
}

/* S1 */
static bool fall_asleep(struct weft__doorbell *self, uint32_t where) {
    uint32_t awake = AWAKE;
    if (cas_acq_rel(&self->sleeper, &awake, where)) return true; /* pairs with R1 */
    weft__doorbell_end(self);
    return false;
}

void weft__doorbell_wait(struct weft__doorbell *self, int64_t deadline_ns) {
    if (!fall_asleep(self, ON_FUTEX)) return;
    weft__world_wait(&self->sleeper, ON_FUTEX, deadline_ns);
    weft__doorbell_end(self);
}

void weft__doorbell_hear(struct weft__doorbell *self) {
    uint64_t rings;
    ssize_t ignored = read(self->fd, &rings, sizeof rings);
    (void)ignored; /* EAGAIN: heard already */
}

bool weft__doorbell_begin(struct weft__doorbell *self) { return fall_asleep(self, ON_FD); }
