/* The world as the process pool sees it: processes, messages between them, and memory that they share. A part of
 * the seam of world.h.
 *
 * Functions return -errno, and leave the caller's errno alone. Descriptors are closed on exec. */
#ifndef WEFT_RUNTIME_WORLD_PROCESS_H
#define WEFT_RUNTIME_WORLD_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- processes ---- */

unsigned weft__world_threads(void);               /* of this process; 0: not known */
int weft__world_fork(void);                       /* 0 in the child; its pid; -errno */
int weft__world_process_handle(pid_t pid);        /* a descriptor that is readable once the process has ended */
void weft__world_name_process(const char *name);
void weft__world_close(int fd);

/* Waits for the death of a child. Returns its pid and status; 0: none has died yet, -ECHILD: there is none.
 * `keep`: it stays a zombie, and so its number its own. */
pid_t weft__world_reap(pid_t child, bool wait, bool keep, int *status);

/* Kills a process, or with -pid its group. */
void weft__world_kill(pid_t pid);

/* The calling process' children, orphans that it has adopted included, at most `most`. Thread: the only one. */
unsigned weft__world_children(pid_t *children, unsigned most);

/* For the fork server: blocks all signals, becomes the head of a session of its own, reads /dev/null, has no
 * descriptor but the standard ones and `keep`, forgets what is buffered in stdout, and adopts its descendants'
 * orphans. Returns a descriptor that is readable when a child has died, or -errno. */
int weft__world_become_server(int keep);
/* For a worker, forked by the fork server `parent`: dies with it, is the head of a group, has the mask that the
 * program had, default handlers where the program has handlers, and adopts orphans. The descriptors `keep` are
 * moved out of the way, all others closed but the standard ones. 0 or -errno. */
int weft__world_become_worker(pid_t parent, int *keep, unsigned count);
uint64_t weft__world_identity(int fd); /* of the file behind it, as good as unique; 0: closed */

/* ---- messages ---- */

#define WEFT__MESSAGE_FDS 2

int weft__world_channel(int ends[2]);
/* Sends one message and up to WEFT__MESSAGE_FDS descriptors, which stay the caller's. 0 or -errno. */
int weft__world_send(int end, const void *message, size_t bytes, const int *fds, unsigned count);
/* Receives one of exactly `bytes`; `fds` are -1 where none came. 1, 0 (the other end is closed), -EAGAIN (none
 * yet, without `wait`), -errno. */
int weft__world_receive(int end, void *message, size_t bytes, int fds[WEFT__MESSAGE_FDS], bool wait);

/* ---- waiting for several things ---- */

int weft__world_bell(void);
void weft__world_ring(int bell);
void weft__world_drain(int fd); /* a bell, or what tells of deaths, is not readable until the next one */
int weft__world_poller(void);
/* `edge`: told once each time it becomes readable, without anybody having to read; else as long as it is. */
int weft__world_poller_add(int poller, int fd, uint64_t tag, bool edge);
/* Waits until `deadline_ns` (INT64_MAX: no limit); how many tags there are. */
unsigned weft__world_poll(int poller, uint64_t *tags, unsigned most, int64_t deadline_ns);

/* ---- shared memory ---- */

int weft__world_file(const char *name);                                 /* empty; it can only grow */
int weft__world_file_grow(int file, uint64_t bytes);
int weft__world_file_reserve(int file, uint64_t offset, size_t bytes);  /* so that writing there cannot fail */
void weft__world_file_discard(int file, uint64_t offset, size_t bytes); /* zeroes, without memory */
enum weft__mapping { WEFT__MAP_READ, WEFT__MAP_WRITE };
/* NULL: no memory. `fences`: a page on each side that nobody may touch. */
void *weft__world_map(int file, uint64_t offset, size_t bytes, enum weft__mapping how, bool fences);
void weft__world_unmap(void *memory, size_t bytes, bool fences);

/* weft__world_wait and _wake_all for words in shared memory; without a limit. */
void weft__world_shared_wait(_Atomic uint32_t *word, uint32_t expected);
void weft__world_shared_wake(_Atomic uint32_t *word);

#endif
