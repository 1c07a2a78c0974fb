/* Processes of the real world: Linux. */
#define _GNU_SOURCE
#include "world_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define PAGE 4096 /* a multiple of it is wanted only for fences; Linux' smallest */

/* The value of a system call that returns -1 for an error; errno is put back. */
#define VALUE_OF(call)                                                                                       \
    __extension__({                                                                                          \
        int saved_ = errno;                                                                                  \
        long value_ = (call);                                                                                \
        if (value_ < 0) value_ = -errno;                                                                     \
        errno = saved_;                                                                                      \
        value_;                                                                                              \
    })

/* ---- processes ---- */

/* A thread that has been joined may still be on its way out of the kernel: it no longer counts. */
static bool is_leaving(const char *thread) {
    enum { PF_EXITING = 4 }; /* of the kernel's flags, the ninth field */
    char path[64];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", thread);
    FILE *file = fopen(path, "re");
    if (!file) return true; /* gone */
    int found = fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %u", &flags);
    fclose(file);
    return found == 1 && flags & PF_EXITING;
}

unsigned weft__world_threads(void) {
    int saved = errno;
    unsigned threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; tasks && (entry = readdir(tasks));)
        if (entry->d_name[0] != '.' && !is_leaving(entry->d_name)) threads++;
    if (tasks) closedir(tasks);
    errno = saved;
#ifdef WEFT__TSAN
    threads -= threads > 1; /* its own, which it stops for a fork */
#endif
    return threads;
}

int weft__world_fork(void) { return (int)VALUE_OF(fork()); }

int weft__world_process_handle(pid_t pid) { return (int)VALUE_OF(syscall(SYS_pidfd_open, pid, 0)); }

void weft__world_name_process(const char *name) { VALUE_OF(prctl(PR_SET_NAME, name)); }

void weft__world_close(int fd) {
    if (fd >= 0) VALUE_OF(close(fd));
}

pid_t weft__world_reap(pid_t child, bool wait, bool keep, int *status) {
    siginfo_t info = {0};
    int options = WEXITED | __WALL | (wait ? 0 : WNOHANG) | (keep ? WNOWAIT : 0), error;
    do error = (int)VALUE_OF(waitid(child ? P_PID : P_ALL, (id_t)child, &info, options));
    while (error == -EINTR);
    if (error < 0) return error;
    *status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status;
    if (info.si_code == CLD_DUMPED) *status |= WCOREFLAG;
    return info.si_pid;
}

void weft__world_kill(pid_t pid) { VALUE_OF(kill(pid, SIGKILL)); }

unsigned weft__world_children(pid_t *children, unsigned most) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    unsigned count = 0;
    while (file && count < most && fscanf(file, "%d", &children[count]) == 1) count++;
    if (file) fclose(file);
    return count;
}

uint64_t weft__world_identity(int fd) {
    struct stat file;
    if (VALUE_OF(fstat(fd, &file)) < 0) return 0;
    return (uint64_t)file.st_dev << 48 ^ (uint64_t)file.st_mode << 32 ^ (uint64_t)file.st_ino ^ UINT64_C(1) << 63;
}

/* ---- becoming a fork server, and a worker ---- */

static sigset_t program_mask;
static struct sigaction program_child; /* what the program does about SIGCHLD */

static void close_all_but(const int *keep, unsigned count) {
    unsigned from = STDERR_FILENO + 1;
    for (;;) {
        unsigned next = UINT_MAX;
        for (unsigned i = 0; i < count; i++)
            if ((unsigned)keep[i] >= from && (unsigned)keep[i] < next) next = (unsigned)keep[i];
        if (next > from) syscall(SYS_close_range, from, next == UINT_MAX ? UINT_MAX : next - 1, 0);
        if (next == UINT_MAX) return;
        from = next + 1;
    }
}

int weft__world_become_server(int keep) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &program_mask);
    /* If the program ignores SIGCHLD, its children leave no status behind. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &program_child);
    setsid(); /* the terminal's signals are for the program, which decides what they mean */
    close_all_but(&keep, 1);
    int null = open("/dev/null", O_RDONLY);
    if (null > STDERR_FILENO) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
    __fpurge(stdout); /* the program has it buffered, too, and will write it */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    return (int)VALUE_OF(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
}

/* Out of the way of a job that closes and opens descriptors: as high as the table is wide anyway. */
static int move_up(int fd) {
    struct rlimit limit;
    int most = 1024;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1024) most = (int)limit.rlim_cur;
    return (int)VALUE_OF(fcntl(fd, F_DUPFD_CLOEXEC, most - 8));
}

static void restore_signals(void) {
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) != 0) continue;
        if (action.sa_handler == SIG_IGN) continue;
        sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    }
    if (program_child.sa_handler == SIG_IGN) sigaction(SIGCHLD, &program_child, NULL);
    sigprocmask(SIG_SETMASK, &program_mask, NULL);
}

int weft__world_become_worker(pid_t parent, int *keep, unsigned count) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the fork server has one thread: it is its death that is meant */
    if (getppid() != parent) _exit(1);
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (unsigned i = 0; i < count; i++) {
        keep[i] = move_up(keep[i]);
        if (keep[i] < 0) return keep[i];
    }
    close_all_but(keep, count);
    restore_signals();
    return 0;
}

/* ---- messages ---- */

int weft__world_channel(int ends[2]) {
    return (int)VALUE_OF(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
}

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(WEFT__MESSAGE_FDS * sizeof(int))];
};

int weft__world_send(int end, const void *message, size_t bytes, const int *fds, unsigned count) {
    struct iovec part = {(void *)(uintptr_t)message, bytes};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union control control = {0};
    if (count) {
        control.header = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    long sent;
    do sent = VALUE_OF(sendmsg(end, &header, MSG_NOSIGNAL));
    while (sent == -EINTR);
    return sent < 0 ? (int)sent : 0;
}

static void take_fds(struct msghdr *header, int fds[WEFT__MESSAGE_FDS]) {
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) return;
    memcpy(fds, CMSG_DATA(control), control->cmsg_len - CMSG_LEN(0));
}

int weft__world_receive(int end, void *message, size_t bytes, int fds[WEFT__MESSAGE_FDS], bool wait) {
    struct iovec part = {message, bytes};
    union control control;
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof control};
    for (unsigned i = 0; i < WEFT__MESSAGE_FDS; i++) fds[i] = -1;
    long got;
    do got = VALUE_OF(recvmsg(end, &header, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT)));
    while (got == -EINTR);
    if (got == -ECONNRESET) return 0; /* closed with a message of ours unread */
    if (got <= 0) return (int)got;
    take_fds(&header, fds);
    return (size_t)got == bytes ? 1 : -EPROTO;
}

/* ---- waiting for several things ---- */

int weft__world_bell(void) { return (int)VALUE_OF(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

void weft__world_ring(int bell) { VALUE_OF(write(bell, &(uint64_t){1}, sizeof(uint64_t))); }

void weft__world_drain(int fd) {
    char told[8 * sizeof(struct signalfd_siginfo)];
    VALUE_OF(read(fd, told, sizeof told));
}

int weft__world_poller(void) { return (int)VALUE_OF(epoll_create1(EPOLL_CLOEXEC)); }

int weft__world_poller_add(int poller, int fd, uint64_t tag, bool edge) {
    struct epoll_event event = {EPOLLIN | (edge ? EPOLLET : 0), {.u64 = tag}};
    return (int)VALUE_OF(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event));
}

unsigned weft__world_poll(int poller, uint64_t *tags, unsigned most, int64_t deadline_ns) {
    enum { AT_ONCE = 64 };
    struct epoll_event events[AT_ONCE];
    int timeout_ms = -1;
    if (deadline_ns != INT64_MAX) {
        int64_t left_ms = (deadline_ns - weft__world_now() + 999999) / 1000000;
        timeout_ms = left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
    }
    long count = VALUE_OF(epoll_wait(poller, events, most < AT_ONCE ? (int)most : AT_ONCE, timeout_ms));
    for (long i = 0; i < count; i++) tags[i] = events[i].data.u64;
    return count < 0 ? 0 : (unsigned)count;
}

/* ---- shared memory ---- */

int weft__world_file(const char *name) {
    int file = (int)VALUE_OF(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    /* Nobody can take away what is mapped: an access would be a SIGBUS. */
    if (file >= 0) VALUE_OF(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL));
    return file;
}

int weft__world_file_grow(int file, uint64_t bytes) { return (int)VALUE_OF(ftruncate(file, (off_t)bytes)); }

int weft__world_file_reserve(int file, uint64_t offset, size_t bytes) {
    int error;
    do error = (int)VALUE_OF(fallocate(file, 0, (off_t)offset, (off_t)bytes));
    while (error == -EINTR);
    return error;
}

void weft__world_file_discard(int file, uint64_t offset, size_t bytes) {
    VALUE_OF(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes));
}

static char *reserve(size_t bytes) {
    int saved = errno;
    void *memory = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    return memory == MAP_FAILED ? NULL : memory;
}

void *weft__world_map(int file, uint64_t offset, size_t bytes, enum weft__mapping how, bool fences) {
    int flags = MAP_SHARED, protection = how == WEFT__MAP_READ ? PROT_READ : PROT_READ | PROT_WRITE;
    char *around = NULL;
    if (how == WEFT__MAP_READ) flags |= MAP_POPULATE; /* all of it is there, and will be read */
    if (fences && !(around = reserve(bytes + 2 * PAGE))) return NULL;
    if (fences) flags |= MAP_FIXED;
    int saved = errno;
    void *memory = mmap(around ? around + PAGE : NULL, bytes, protection, flags, file, (off_t)offset);
    if (memory == MAP_FAILED && around) munmap(around, bytes + 2 * PAGE);
    errno = saved;
    return memory == MAP_FAILED ? NULL : memory;
}

void weft__world_unmap(void *memory, size_t bytes, bool fences) {
    if (!memory) return;
    if (fences) VALUE_OF(munmap((char *)memory - PAGE, bytes + 2 * PAGE));
    else VALUE_OF(munmap(memory, bytes));
}

void weft__world_shared_wait(_Atomic uint32_t *word, uint32_t expected) {
    VALUE_OF(syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0));
}

void weft__world_shared_wake(_Atomic uint32_t *word) {
    VALUE_OF(syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
}
