/* For the subjects written in C: `PROGRAM FILE cached|direct` prints the CPU time and the time of a read, in
 * microseconds. A block of the file begins with its number. */
#ifndef BENCHES_READS_H
#define BENCHES_READS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, IN_FLIGHT = 32 };

static int file;
static bool file_is_direct;
static uint64_t file_blocks;
static char *blocks[IN_FLIGHT]; /* aligned */

static inline void open_file(int argc, char **argv) {
    struct stat status;
    if (argc < 3) {
        fprintf(stderr, "usage: %s FILE cached|direct\n", argv[0]);
        exit(2);
    }
    file_is_direct = strcmp(argv[2], "direct") == 0;
    file = open(argv[1], O_RDONLY | O_CLOEXEC | (file_is_direct ? O_DIRECT : 0));
    if (file < 0 || fstat(file, &status) < 0) {
        perror(argv[1]);
        exit(1);
    }
    file_blocks = (uint64_t)status.st_size / BLOCK_BYTES;
    for (int i = 0; i < IN_FLIGHT; i++)
        if (posix_memalign((void **)&blocks[i], BLOCK_BYTES, BLOCK_BYTES) != 0) exit(1);
}

/* The next block of a reader, whose `state` begins as its number. */
static inline uint64_t random_block(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t random = *state;
    random = (random ^ random >> 30) * 0xbf58476d1ce4e5b9u;
    random = (random ^ random >> 27) * 0x94d049bb133111ebu;
    return (random ^ random >> 31) % file_blocks;
}

/* A read that brought something else ends the program. */
static inline void check_block(const char *bytes, int64_t n, uint64_t number) {
    uint64_t found;
    memcpy(&found, bytes, sizeof found);
    if (n == BLOCK_BYTES && found == number) return;
    fprintf(stderr, "block %llu: read %lld bytes\n", (unsigned long long)number, (long long)n);
    exit(1);
}

static inline double clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Measures body(count) with more and more reads until they take 0.3 s; the last run counts. */
static inline void measure_reads(void (*body)(long count)) {
    for (long count = 1024;; count *= 2) {
        double cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID), start = clock_us(CLOCK_MONOTONIC);
        body(count);
        double took = clock_us(CLOCK_MONOTONIC) - start;
        cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        if (took < 0.3e6) continue;
        printf("%.6g %.6g\n", cpu / (double)count, took / (double)count);
        return;
    }
}

#endif
