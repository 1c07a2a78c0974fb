/* One pread after the other: nothing is cheaper for what lies in the page cache. */
#include "reads/reads.h"

static void read_all(long count) {
    static uint64_t state;
    while (count-- > 0) {
        uint64_t block = random_block(&state);
        check_block(blocks[0], pread(file, blocks[0], BLOCK_BYTES, (off_t)(block * BLOCK_BYTES)), block);
    }
}

int main(int argc, char **argv) {
    open_file(argc, argv);
    measure_reads(read_all);
}
