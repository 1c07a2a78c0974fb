#include "deadlock.h"

#include <stdio.h>
#include <stdlib.h>

#include "worker.h"

#define FALL (UINT64_C(1) << 32)
#define AGAIN_NS 4000000
#define LINES_MOST 100 /* of a report */

_Alignas(WEFT__CACHE_LINE) _Atomic uint32_t weft__elsewhere;

/* ---- the workers ---- */

static bool everybody(struct weft__runtime *runtime, uint64_t asleep) {
    return (uint32_t)asleep == runtime->worker_count;
}

bool weft__deadlock_sleep(struct weft__worker *worker) {
    struct weft__runtime *runtime = worker->runtime;
    if (weft__driver_any(worker->driver)) return false;
    uint64_t before = atomic_fetch_add_explicit(&runtime->deadlock.asleep, FALL + 1, memory_order_seq_cst); /* F1 */
    if (everybody(runtime, before + 1)) weft__watchman_see(&runtime->watchman); /* F2; pairs with B2 */
    return true;
}

void weft__deadlock_wake(struct weft__worker *worker) {
    atomic_fetch_sub_explicit(&worker->runtime->deadlock.asleep, 1, memory_order_seq_cst); /* F3; pairs with L6 */
}

/* ---- what might wake them ---- */

static bool any_timer(struct weft__runtime *runtime) {
    bool any = false;
    for (unsigned i = 0; i < runtime->worker_count && !any; i++) {
        struct weft__timers *timers = &runtime->workers[i].timers;
        weft__lock_acquire(&timers->lock);
        any = weft__wheel_next(&timers->wheel) != INT64_MAX;
        weft__lock_release(&timers->lock);
    }
    return any;
}

static bool any_stranger(struct weft__runtime *runtime) {
    bool any = load_acquire(&weft__elsewhere) > 0 || load_acquire(&runtime->guests) > 0; /* pair with their ends */
    for (unsigned i = 0; i < runtime->worker_count && !any; i++)
        any = weft__gate_any_inside(runtime->workers[i].loop);
    return any;
}

static bool all_sleep(struct weft__runtime *runtime) {
    for (unsigned i = 0; i < runtime->worker_count; i++)
        if (load_seq_cst(&runtime->workers[i].sleep_state) != WEFT__SLEEPING) return false; /* pairs with W4 */
    return true;
}

/* ---- the graph: each task waits for one thing ---- */

struct node {
    struct weft__task *task; /* with a reference */
    struct weft__awaited awaited;
    struct node *next;       /* the task that it waits for; NULL: none of this runtime */
    size_t walk;             /* that has met it first; 0: none */
    unsigned circle;         /* that it stands in; 0: none */
};

struct graph {
    struct node *nodes;      /* by the address of their tasks */
    size_t count;
    unsigned circles;
};

static int by_task(const void *a, const void *b) {
    struct weft__task *left = ((const struct node *)a)->task, *right = ((const struct node *)b)->task;
    return (left > right) - (left < right);
}

static struct node *find(const struct graph *self, struct weft__task *task) {
    struct node key = {.task = task};
    return task ? bsearch(&key, self->nodes, self->count, sizeof key, by_task) : NULL;
}

static struct node look_at(weft_task *task) {
    struct node node = {.task = weft__task_of(task)};
    if (!weft__wait_look(node.task, &node.awaited)) node.awaited.what = "something that no cancel request ends";
    return node;
}

static void draw(struct graph *self) {
    for (size_t i = 0; i < self->count; i++) {
        struct weft__awaited *awaited = &self->nodes[i].awaited;
        self->nodes[i].next = find(self, awaited->holder ? awaited->holder : weft__task_of(awaited->future));
    }
}

/* Every task waits for one at most: so a walk that comes to where it has been has gone around a circle. */
static void find_circle(struct graph *self, struct node *node, size_t walk) {
    for (; node && node->walk == 0; node = node->next) node->walk = walk;
    if (!node || node->walk != walk) return;
    self->circles++;
    for (; node->circle == 0; node = node->next) node->circle = self->circles;
}

static bool graph_init(struct graph *self, struct weft__runtime *runtime) {
    weft_task **tasks = NULL;
    int count = weft__tasks_collect(runtime, &tasks);
    *self = (struct graph){.nodes = count > 0 ? malloc((size_t)count * sizeof *self->nodes) : NULL};
    if (!self->nodes) {
        weft_all_tasks_release(tasks, count);
        return false;
    }
    self->count = (size_t)count;
    for (size_t i = 0; i < self->count; i++) self->nodes[i] = look_at(tasks[i]);
    free(tasks); /* the references are the nodes' */
    qsort(self->nodes, self->count, sizeof *self->nodes, by_task);
    draw(self);
    for (size_t i = 0; i < self->count; i++) find_circle(self, &self->nodes[i], i + 1);
    return true;
}

static void graph_fini(struct graph *self) {
    for (size_t i = 0; i < self->count; i++) {
        weft_release(&self->nodes[i].task->future);
        weft_release(self->nodes[i].awaited.future);
    }
    free(self->nodes);
}

/* ---- the report ---- */

static void print_awaited(const struct node *node) {
    const struct weft__awaited *awaited = &node->awaited;
    if (weft__task_of(awaited->future)) fprintf(stderr, "task '%s'", weft_task_name(awaited->future));
    else if (awaited->future) fprintf(stderr, "a gather, a shield or the like");
    else fprintf(stderr, "%s", awaited->what ? awaited->what : "a future");
    if (awaited->object) fprintf(stderr, " (%p)", awaited->object);
    if (!awaited->holder || !node->next) return;
    fprintf(stderr, ", which task '%s' holds", weft_task_name(&node->next->task->future));
}

static void print_node(const struct node *node) {
    char site[256];
    weft_task *task = &node->task->future;
    fprintf(stderr, "weft:   task '%s'%s waits for ", weft_task_name(task),
            weft__debug_site_text(task->site, site, sizeof site));
    print_awaited(node);
    if (node->circle) fprintf(stderr, " [circle %u]\n", node->circle);
    else fprintf(stderr, "\n");
}

/* Its members one after the other. Returns how many it has printed. */
static size_t print_circle(const struct node *first, size_t most) {
    const struct node *node = first;
    size_t lines = 0;
    while (lines < most) {
        print_node(node);
        lines++;
        node = node->next;
        if (node == first) break;
    }
    return lines;
}

static void print_graph(const struct graph *self) {
    size_t lines = 0;
    for (unsigned circle = 1; circle <= self->circles && lines < LINES_MOST; circle++) {
        const struct node *first = self->nodes;
        while (first->circle != circle) first++;
        lines += print_circle(first, LINES_MOST - lines);
    }
    for (size_t i = 0; i < self->count && lines < LINES_MOST; i++) {
        if (self->nodes[i].circle) continue;
        print_node(&self->nodes[i]);
        lines++;
    }
    if (lines < self->count) fprintf(stderr, "weft:   and %zu more\n", self->count - lines);
}

static void report(const struct graph *graph) {
    flockfile(stderr);
    fprintf(stderr, "weft: deadlock? Tasks: %zu. Nothing in this program is under way that could wake one of them; "
                    "another thread still may:\n", graph->count);
    print_graph(graph);
    funlockfile(stderr);
}

/* ---- a circle of awaits ---- */

/* What the task awaits, if that is a task; with a reference, for that on `task`. */
static struct weft__task *follow(struct weft__task *task) {
    struct weft__awaited awaited = {0};
    weft__wait_look(task, &awaited);
    weft_release(&task->future);
    struct weft__task *next = weft__task_of(awaited.future);
    if (!next) weft_release(awaited.future);
    return next;
}

static void report_circle(struct weft__task *first, unsigned length) {
    struct weft__task *task = weft__task_of(weft_ref(&first->future));
    flockfile(stderr);
    fprintf(stderr, "weft: %u tasks await each other; only a cancel request can end that:\n", length);
    for (unsigned i = 0; i < length && task; i++) {
        struct node node = look_at(&task->future);
        print_node(&node);
        weft_release(node.awaited.future);
        task = follow(task);
    }
    if (task) weft_release(&task->future);
    funlockfile(stderr);
}

void weft__deadlock_awaits(struct weft__task *task) {
    struct weft__task *met = weft__task_of(weft_ref(&task->future));
    unsigned length = 0;
    do met = follow(met);
    while (met && ++length < LINES_MOST && met != task); /* it may have come into a circle of others */
    if (met == task) report_circle(task, length);
    if (met) weft_release(&met->future);
}

/* ---- the look ---- */

bool weft__deadlock_to_look(struct weft__runtime *runtime) {
    struct weft__deadlock *self = &runtime->deadlock;
    uint64_t asleep = load_seq_cst(&self->asleep); /* pairs with F1 */
    return !self->reported && everybody(runtime, asleep) && asleep != self->seen;
}

static int64_t look_again(struct weft__deadlock *self, bool unchanged) {
    self->again_ns = !unchanged ? AGAIN_NS : self->again_ns < INT64_MAX / 2 ? 2 * self->again_ns : self->again_ns;
    return self->again_ns;
}

int64_t weft__deadlock_look(struct weft__runtime *runtime) {
    struct weft__deadlock *self = &runtime->deadlock;
    uint64_t asleep = load_seq_cst(&self->asleep); /* L1; pairs with F1 */
    bool unchanged = asleep == self->seen;
    struct graph graph;
    self->seen = asleep;
    if (self->reported || !everybody(runtime, asleep)) return 0;
    if (any_timer(runtime) || weft__signals_any(runtime)) return 0; /* L2 */
    if (any_stranger(runtime)) return look_again(self, unchanged); /* L3 */
    if (!all_sleep(runtime) || !graph_init(&graph, runtime)) return 0; /* L4, L5 */
    if (load_seq_cst(&self->asleep) == asleep) { /* L6 */
        self->reported = true;
        report(&graph);
    }
    graph_fini(&graph);
    return 0;
}
