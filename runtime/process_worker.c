/* A worker of a process pool: runs one job after the other, until it is killed. The protocol is in process_slot.h.
 *
 * Whatever a job has done, the worker must either be fit for the next one, or die: so after each job it looks
 * whether its descriptors are still its own, and whether the job has left processes behind; then it publishes the
 * job's result, and exits. The program sees the result, and the death; the fork server kills what is left. */
#include "process_slot.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "world.h"
#include "world_process.h"

#ifndef SPIN_ROUNDS
#define SPIN_ROUNDS 2000 /* some 50 us with the round's pause: a job that follows at once finds the worker awake; a model
                            builds with 1 */
#endif

/* ---- the table of jobs ---- */

/* The linker's names for the ends of a section; both are NULL in a program without jobs. */
#define SECTION_END __attribute__((weak, visibility("hidden")))
extern const weft_job_descriptor __start_weft_jobs[] SECTION_END;
extern const weft_job_descriptor __stop_weft_jobs[] SECTION_END;

size_t weft__jobs_count(void) {
    return ((uintptr_t)__stop_weft_jobs - (uintptr_t)__start_weft_jobs) / sizeof *__start_weft_jobs;
}

const weft_job_descriptor *weft__jobs_at(size_t index) { return &__start_weft_jobs[index]; }

ptrdiff_t weft__jobs_index(const weft_job_descriptor *job) {
    for (size_t i = 0; i < weft__jobs_count(); i++)
        if (job == &__start_weft_jobs[i]) return (ptrdiff_t)i;
    return -1;
}

/* ---- payloads ---- */

/* A region that stays mapped until another one is wanted. */
struct view {
    uint64_t offset;
    size_t bytes;
    void *memory;
};

struct worker {
    /* const after init */
    struct weft__slot *slot;
    int file, bell;
    uint64_t file_identity, bell_identity;
    uint64_t cap_bytes;
    /* between jobs, and the job's */
    struct view input, output;
    uint64_t output_offset;
    uint64_t output_bytes;
    bool output_in_region;
};

static void *look_at(struct worker *self, struct view *view, uint64_t offset, size_t bytes, enum weft__mapping how) {
    if (view->memory && view->offset == offset && view->bytes >= bytes) return view->memory;
    weft__world_unmap(view->memory, view->bytes, true);
    *view = (struct view){offset, bytes, weft__world_map(self->file, offset, bytes, how, true)};
    return view->memory;
}

const void *weft_job_input(const weft_job *job, size_t bytes) {
    return job && job->input_bytes == bytes ? job->input : NULL;
}

void *weft_job_reply(weft_job *job, size_t bytes) {
    struct worker *self = job ? job->opaque[0] : NULL;
    if (!self || bytes > self->cap_bytes) return NULL;
    void *output = self->slot->output;
    if (self->output_in_region || bytes > WEFT__SLOT_INLINE) {
        if (self->output_offset == 0) return NULL; /* the program had no memory for a region */
        output = look_at(self, &self->output, self->output_offset, self->cap_bytes, WEFT__MAP_WRITE);
        if (!output) return NULL;
        if (!self->output_in_region) memcpy(output, self->slot->output, self->output_bytes);
        self->output_in_region = true;
    }
    self->output_bytes = bytes;
    return output;
}

/* ---- jobs ---- */

static __attribute__((noreturn)) void leave(void) { _exit(0); }

static const void *find_input(struct worker *self, uint64_t offset, size_t bytes) {
    return offset == 0 ? self->slot->input : look_at(self, &self->input, offset, bytes, WEFT__MAP_READ);
}

static void run(struct worker *self, uint32_t number) {
    struct weft__slot *slot = self->slot;
    weft_job job = {.input_bytes = slot->input_bytes, .opaque = {self}};
    const weft_job_descriptor *descriptor = weft__jobs_at(slot->job);
    job.input = find_input(self, slot->input_offset, slot->input_bytes);
    if (!job.input) leave(); /* not begun: another worker gets it */
    self->output_offset = slot->output_offset;
    self->output_bytes = 0;
    self->output_in_region = false;
    store_release(&slot->begun, number); /* pairs with the loads in process_watcher.c */
    intptr_t result = descriptor->run(&job);
    fflush(stdout);
    slot->result = result;
    slot->output_bytes = self->output_bytes;
    slot->output_in_region = self->output_in_region;
}

/* Whether the worker is as it was before the job. Children that have ended are reaped. */
static bool is_fit(struct worker *self) {
    int status;
    pid_t child;
    while ((child = weft__world_reap(0, false, false, &status)) > 0) continue;
    return child == -ECHILD && weft__world_identity(self->bell) == self->bell_identity &&
           weft__world_identity(self->file) == self->file_identity;
}

/* ---- the loop ---- */

/* Returns once the program has given a job after number `last`. */
static uint32_t next_command(struct weft__slot *slot, uint32_t last) {
    uint32_t command;
    for (unsigned round = 0; round < SPIN_ROUNDS; round++) {
        if ((command = load_acquire(&slot->command)) != last) return command; /* pairs with P2 */
        weft__world_relax(round);
    }
    store_relaxed(&slot->sleeping, 1);
    fence_seq_cst(); /* pairs with P3 */
    while ((command = load_acquire(&slot->command)) == last) weft__world_shared_wait(&slot->command, last);
    store_relaxed(&slot->sleeping, 0);
    return command;
}

static bool prepare(struct worker *self, struct weft__worker_start start) {
    int keep[] = {start.file, start.bell};
    int error = weft__world_become_worker(start.server, keep, 2);
    if (error) return false;
    self->file = keep[0];
    self->bell = keep[1];
    self->file_identity = weft__world_identity(self->file);
    self->bell_identity = weft__world_identity(self->bell);
    self->cap_bytes = start.cap_bytes;
    weft__world_name_process("weft-worker");
    self->slot = weft__world_map(self->file, (uint64_t)start.index * WEFT__SLOT_BYTES, WEFT__SLOT_BYTES,
                                 WEFT__MAP_WRITE, true);
    return self->slot;
}

void weft__process_worker_main(struct weft__worker_start start) {
    static struct worker self;
    if (!prepare(&self, start)) leave();
    store_relaxed(&self.slot->sleeping, 0);
    for (uint32_t last = load_acquire(&self.slot->done);;) { /* what the program has set it to before this life */
        last = next_command(self.slot, last);
        run(&self, last);
        bool fit = is_fit(&self);
        store_release(&self.slot->done, last); /* W3, pairs with weft__seat_is_done */
        if (!fit) leave();
        weft__world_ring(self.bell);
    }
}
