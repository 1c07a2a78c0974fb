/* The fork server: makes workers for all process pools of the program, reaps them, and kills them. What it is for
 * and whom it speaks with stands in process_slot.h.
 *
 * It has one thread, waits for messages and for deaths, and never trusts that somebody else cleans up:
 *  - a worker is the head of a process group, which is killed before the worker is reaped: until then nobody else
 *    can have its number;
 *  - the server adopts orphans. After the death of a worker every child of the server that is no worker was left
 *    behind by one, out of its group, and is killed; and again, since its own children then become ours, until
 *    there are none;
 *  - the program's death shows in a handle on it: the control channel may have been inherited by a child of the
 *    program's, and stay open. */
#include "process_slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "assert.h"
#include "slab.h"
#include "world.h"
#include "world_process.h"

/* The program's side. */
static struct ours {
    bool in_worker;         /* const: this process is a worker, or the server */
    weft__lock lock;
    int control;            /* lock */
    pid_t pid;              /* lock */
    unsigned references;    /* lock */
    uint32_t generation;    /* lock: of the process whose server it is */
    bool prepared;          /* lock: one of the references is for ever */
} ours;

/* ---- in the server ---- */

struct child {
    pid_t pid;
    uint32_t index, life;
    struct child *next;
};

struct pool {
    int channel, file;
    uint64_t cap_bytes;
    struct child *children;
    struct pool *next;
};

static struct {
    int control, deaths, program, poller;
    struct pool *pools;
} server;

enum { CONTROL = 1, DEATHS, PROGRAM }; /* tags; others are addresses of pools */

static struct child *find_child(pid_t pid, struct pool **pool) {
    for (*pool = server.pools; *pool; *pool = (*pool)->next)
        for (struct child *child = (*pool)->children; child; child = child->next)
            if (child->pid == pid) return child;
    return NULL;
}

static void forget_child(struct pool *pool, struct child *child) {
    struct child **link = &pool->children;
    while (*link != child) link = &(*link)->next;
    *link = child->next;
    free(child);
}

static void kill_worker(const struct child *child) {
    weft__world_kill(child->pid); /* it may not have a group yet */
    weft__world_kill(-child->pid);
}

/* Kills what dead workers have left behind. */
static void kill_strays(void) {
    enum { AT_ONCE = 256 };
    pid_t children[AT_ONCE];
    struct pool *pool;
    for (bool found = true; found;) {
        unsigned count = weft__world_children(children, AT_ONCE);
        found = false;
        for (unsigned i = 0; i < count; i++) {
            if (find_child(children[i], &pool)) continue;
            int status;
            weft__world_kill(children[i]);
            found |= weft__world_reap(children[i], true, false, &status) > 0;
        }
    }
}

static void answer(const struct pool *pool, enum weft__process_word word, const struct child *child, int value) {
    struct weft__process_message message = {.word = word, .value = value};
    if (child) {
        message.index = child->index;
        message.life = child->life;
    }
    weft__world_send(pool->channel, &message, sizeof message, NULL, 0); /* or the program is gone */
}

/* Reaps whoever has died: workers, their orphans. Says so to their pools. */
static void reap(bool wait) {
    int status;
    for (pid_t pid; (pid = weft__world_reap(0, wait, true, &status)) > 0; wait = false) {
        struct pool *pool;
        struct child *child = find_child(pid, &pool);
        if (child) weft__world_kill(-pid);
        weft__world_reap(pid, true, false, &status);
        if (!child) continue;
        kill_strays(); /* before the program may take the job for ended */
        answer(pool, WEFT__PROCESS_DIED, child, status);
        forget_child(pool, child);
    }
}

static void start_worker(struct pool *pool, const struct weft__process_message *message, int bell) {
    struct child *child = malloc(sizeof *child);
    struct weft__worker_start start = {getpid(), message->index, pool->file, bell, pool->cap_bytes};
    pid_t pid = child ? weft__world_fork() : -ENOMEM;
    if (pid == 0) weft__process_worker_main(start);
    struct child made = {pid, message->index, message->life, pool->children};
    if (pid < 0) {
        answer(pool, WEFT__PROCESS_DIED, &made, pid);
        free(child);
        return;
    }
    *child = made;
    pool->children = child;
}

static void close_pool(struct pool *pool) {
    for (struct child *child = pool->children; child; child = child->next) kill_worker(child);
    while (pool->children) reap(true);
    answer(pool, WEFT__PROCESS_CLOSED, NULL, 0);
    struct pool **link = &server.pools;
    while (*link != pool) link = &(*link)->next;
    *link = pool->next;
    weft__world_close(pool->channel); /* the poller forgets it */
    weft__world_close(pool->file);
    free(pool);
}

static void open_pool(const struct weft__process_message *message, const int fds[WEFT__MESSAGE_FDS]) {
    struct pool *pool = malloc(sizeof *pool);
    if (!pool || weft__world_poller_add(server.poller, fds[0], (uintptr_t)pool, false) != 0) {
        weft__world_close(fds[0]); /* the program finds its end closed */
        weft__world_close(fds[1]);
        free(pool);
        return;
    }
    *pool = (struct pool){fds[0], fds[1], message->cap_bytes, NULL, server.pools};
    server.pools = pool;
}

static void obey(struct pool *pool) {
    struct weft__process_message message;
    int fds[WEFT__MESSAGE_FDS];
    int got = weft__world_receive(pool->channel, &message, sizeof message, fds, false);
    if (got == -EAGAIN) return;
    if (got == 1 && message.word == WEFT__PROCESS_FORK) {
        start_worker(pool, &message, fds[0]);
    } else if (got == 1 && message.word == WEFT__PROCESS_KILL) {
        for (struct child *child = pool->children; child; child = child->next)
            if (child->index == message.index && child->life == message.life) kill_worker(child);
    } else {
        close_pool(pool); /* asked to, or the program has closed its end */
    }
    weft__world_close(fds[0]);
    weft__world_close(fds[1]);
}

static __attribute__((noreturn)) void end(void) {
    while (server.pools) close_pool(server.pools);
    kill_strays();
    _exit(0);
}

static void listen_to_program(void) {
    struct weft__process_message message;
    int fds[WEFT__MESSAGE_FDS];
    int got = weft__world_receive(server.control, &message, sizeof message, fds, false);
    if (got == -EAGAIN) return;
    if (got != 1) end();
    open_pool(&message, fds);
}

static bool begin(int control, pid_t program) {
    server.control = control;
    server.deaths = weft__world_become_server(control);
    server.program = weft__world_process_handle(program); /* an error: without it */
    server.poller = weft__world_poller();
    weft__world_name_process("weft-server");
    if (getppid() != program) return false; /* dead already: its number may be another's */
    if (server.deaths < 0 || server.poller < 0) return false;
    if (server.program >= 0 && weft__world_poller_add(server.poller, server.program, PROGRAM, false) != 0) return false;
    return weft__world_poller_add(server.poller, control, CONTROL, false) == 0 &&
           weft__world_poller_add(server.poller, server.deaths, DEATHS, false) == 0;
}

static __attribute__((noreturn)) void serve(int control, pid_t program) {
    ours = (struct ours){.in_worker = true}; /* a job may make a pool of its own */
    if (!begin(control, program)) _exit(1);
    for (uint64_t tag;;) {
        if (weft__world_poll(server.poller, &tag, 1, INT64_MAX) == 0) continue;
        switch (tag) { /* one at a time: a pool that is closed is not looked at again */
        case PROGRAM: end();
        case CONTROL: listen_to_program(); break;
        case DEATHS:
            weft__world_drain(server.deaths); /* before we look: a death after that tells again */
            reap(false);
            break;
        default: obey((struct pool *)(uintptr_t)tag);
        }
    }
}

/* ---- in the program ---- */

static int start(void) {
    int ends[2];
    if (weft__world_threads() > 1 || weft__world_worker()) return -EBUSY;
    weft__world_on_fork(weft__slab_hold, weft__slab_let_go);
    int error = weft__world_channel(ends);
    if (error) return error;
    pid_t program = getpid(), pid = weft__world_fork();
    if (pid == 0) serve(ends[1], program);
    weft__world_close(ends[1]);
    if (pid < 0) {
        weft__world_close(ends[0]);
        return pid;
    }
    ours.control = ends[0];
    ours.pid = pid;
    ours.generation = weft__world_generation();
    return 0;
}

/* A forked child has a copy of its parent's. */
static void forget_parents(void) {
    if (ours.references == 0 || ours.generation == weft__world_generation()) return;
    weft__world_close(ours.control);
    ours.references = 0;
    ours.prepared = false;
}

bool weft__process_server_wanted(void) { return weft__jobs_count() > 0 && !ours.in_worker; }

int weft__process_server_acquire(void) {
    weft__lock_acquire(&ours.lock);
    forget_parents();
    int error = ours.references == 0 ? start() : 0;
    if (!error) ours.references++;
    weft__lock_release(&ours.lock);
    return error;
}

void weft__process_server_release(void) {
    weft__lock_acquire(&ours.lock);
    weft__assert(ours.references > 0);
    if (--ours.references == 0) {
        int status;
        weft__world_close(ours.control);
        weft__world_reap(ours.pid, true, false, &status);
    }
    weft__lock_release(&ours.lock);
}

int weft__process_server_open(int file, uint64_t cap_bytes) {
    int ends[2], error = weft__world_channel(ends);
    if (error) return error;
    struct weft__process_message message = {.word = WEFT__PROCESS_OPEN, .cap_bytes = cap_bytes};
    weft__lock_acquire(&ours.lock);
    error = weft__world_send(ours.control, &message, sizeof message, (int[]){ends[1], file}, 2);
    weft__lock_release(&ours.lock);
    weft__world_close(ends[1]);
    if (!error) return ends[0];
    weft__world_close(ends[0]);
    return error == -EPIPE || error == -ECONNRESET ? -EOWNERDEAD : error;
}

int weft_process_pool_prepare(void) {
    if (weft__jobs_count() == 0) return 0;
    int error = weft__process_server_acquire();
    if (error) return error;
    weft__lock_acquire(&ours.lock);
    bool again = ours.prepared;
    ours.prepared = true;
    weft__lock_release(&ours.lock);
    if (again) weft__process_server_release();
    return 0;
}
