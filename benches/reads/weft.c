#include "reads/reads.h"

#include <weft/weft.h>

static long reads_left;

static intptr_t reader(void *arg) {
    uint64_t number = (uint64_t)(uintptr_t)arg, state = number;
    while (reads_left-- > 0) { /* one worker: no race */
        uint64_t block = random_block(&state);
        check_block(blocks[number], weft_pread(file, blocks[number], BLOCK_BYTES, (off_t)(block * BLOCK_BYTES)),
                    block);
    }
    return 0;
}

static void read_all(long count) {
    weft_task *readers[IN_FLIGHT];
    reads_left = count;
    for (uintptr_t i = 0; i < IN_FLIGHT; i++) readers[i] = weft_spawn(reader, (void *)i);
    for (int i = 0; i < IN_FLIGHT; i++) weft_join(readers[i]);
}

static intptr_t run(void *arg) {
    measure_reads(read_all);
    return (intptr_t)arg;
}

int main(int argc, char **argv) {
    open_file(argc, argv);
    return weft_run_fn_with((weft_options){.workers = 1}, run, NULL) != 0;
}
