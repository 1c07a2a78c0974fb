/* Latencies, counted in log-linear buckets: a value is off by 0.4 % at most, whatever its size. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>

/* Values below 2 * 2^HALF_BITS have a bucket each; above, every power of two is cut into 2^HALF_BITS. */
enum { HISTOGRAM_HALF_BITS = 7, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_HALF_BITS + 1) << HISTOGRAM_HALF_BITS };

/* All zero is empty. */
struct histogram {
    uint64_t count;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *self, uint64_t value);
void histogram_merge(struct histogram *self, const struct histogram *other);

/* The least value that `percent` of all are not above; 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *self, double percent);

#endif
