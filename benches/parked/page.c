/* A page each, which is what anything on a stack of its own takes at least. */
#include <sys/mman.h>

#include "parked.h"

enum { PAGE = 4096 };

int main(int argc, char **argv) {
    size_t bytes = argc == 3 ? (size_t)atol(argv[2]) * PAGE : 0;
    look();
    char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return 1;
    madvise(pages, bytes, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < bytes; at += PAGE) pages[at] = 1;
    look();
    return 0;
}
