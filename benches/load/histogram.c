#include "histogram.h"

#include <math.h>

/* The power of two that a bucket of `value` is wide: 0 up to 2 * 2^HALF_BITS. */
static unsigned shift_of(uint64_t value) {
    unsigned highest = 63 - (unsigned)__builtin_clzll(value | 1);
    return highest > HISTOGRAM_HALF_BITS ? highest - HISTOGRAM_HALF_BITS : 0;
}

static unsigned bucket_of(uint64_t value) {
    unsigned shift = shift_of(value);
    return (shift << HISTOGRAM_HALF_BITS) + (unsigned)(value >> shift);
}

/* The middle of a bucket. */
static uint64_t value_of(unsigned bucket) {
    unsigned shift = bucket >> HISTOGRAM_HALF_BITS;
    if (shift) shift--; /* the first two halves have the same width */
    uint64_t low = (uint64_t)(bucket - (shift << HISTOGRAM_HALF_BITS)) << shift;
    return low + ((1ull << shift) >> 1);
}

void histogram_add(struct histogram *self, uint64_t value) {
    self->count++;
    self->buckets[bucket_of(value)]++;
    if (value > self->max) self->max = value;
}

void histogram_merge(struct histogram *self, const struct histogram *other) {
    self->count += other->count;
    if (other->max > self->max) self->max = other->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) self->buckets[i] += other->buckets[i];
}

uint64_t histogram_percentile(const struct histogram *self, double percent) {
    uint64_t rank = (uint64_t)ceil((double)self->count * percent / 100.0), seen = 0;
    if (rank == 0) rank = 1;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += self->buckets[i];
        if (seen < rank) continue;
        uint64_t value = value_of(i);
        return value < self->max ? value : self->max;
    }
    return 0;
}
