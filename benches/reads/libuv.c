/* libuv reads on its threads: four, unless it is told of more. More help only where they wait for the disk. */
#include "reads/reads.h"

#include <uv.h>

static long reads_left;
static uint64_t states[IN_FLIGHT], wanted[IN_FLIGHT];
static uv_fs_t requests[IN_FLIGHT];

static void start(size_t reader);

static void done(uv_fs_t *request) {
    size_t reader = (size_t)(request - requests);
    check_block(blocks[reader], request->result, wanted[reader]);
    uv_fs_req_cleanup(request);
    start(reader);
}

static void start(size_t reader) {
    uv_buf_t buffer = uv_buf_init(blocks[reader], BLOCK_BYTES);
    if (reads_left-- <= 0) return;
    wanted[reader] = random_block(&states[reader]);
    uv_fs_read(uv_default_loop(), &requests[reader], file, &buffer, 1, (int64_t)(wanted[reader] * BLOCK_BYTES),
               done);
}

static void read_all(long count) {
    reads_left = count;
    for (size_t i = 0; i < IN_FLIGHT; i++) start(i);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

int main(int argc, char **argv) {
    open_file(argc, argv);
    if (file_is_direct) setenv("UV_THREADPOOL_SIZE", "32", 1);
    for (uint64_t i = 0; i < IN_FLIGHT; i++) states[i] = i;
    measure_reads(read_all);
}
