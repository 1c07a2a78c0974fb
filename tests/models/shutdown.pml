/* How a runtime ends: runtime/shutdown.c, with the gate of loop.c and the guests of weft__task_wake, for two
 * workers.
 *
 * The steps bear the names of the functions. Tasks lie in one queue from which any worker takes (parking is
 * park.pml's matter). `main` spawns a task that waits for ever, and that may spawn another one, before it waits or
 * as clean-up afterwards. One foreign thread submits a task through the gate; another one wakes the task that
 * waits. A generator may have begun, which a task of its own then closes. No task that waits can be relied upon to
 * end unless it is cancelled.
 *
 * What a worker adds to its `finished` lies in its store buffer until a fence, or any time earlier, makes it
 * visible; so do plain stores on x86 and ARM. (Its `spawns` too, but whoever finds the task that was spawned sees
 * that.) Of `stopping` a worker that has not had its notice may read the old value. All else that is shared is
 * changed by RMWs, or under a lock.
 *
 * 14 million states, all of them. Found when it was written: FENCE_LATE and LOUD_AGAIN, which is how the code was.
 *
 * Checked: the loops always return and the runtime is freed; they are told to return when no task is left; a task
 * is cancelled at most once, and never if it was born so; nobody from outside touches a runtime that is freed.
 * Mutants, each of which must be rejected:
 *     NO_FENCE            weft__shutdown_look has no fence
 *     FENCE_LATE          its fence comes after the look at `unnoticed`
 *     SPAWNED_FIRST       end_if_quiet reads the spawns before `finished`
 *     NO_LOOK             a task that finishes does not look
 *     NO_LAST_LOOK        the last notice does not look
 *     FIRST_NOTICE        the first notice cancels, not the last
 *     NO_BIRTH            no task is born cancelled
 *     BORN_TOO            the last notice cancels those as well
 *     GATE_OPEN           the gate is not closed
 *     GATE_NOT_AWAITED    the gate is closed, but those inside are not awaited
 *     NO_GUESTS           nobody waits for guests
 *     QUIET_TWICE         `quiet` is no CAS
 *     LOUD_AGAIN          `quiet` goes back to 0 for the generators, where a late CAS takes it for the first time
 *     CLOSES_UNLOOKED     run_clean_up does not look
 *     CLOSES_UNCOUNTED    run_clean_up moves `quiet` on before the task is counted */

#define WORKERS 2
#define TASKS 5
#define MAIN 0
#define WAITS 1
#define CHILD 2             /* of WAITS */
#define FOREIGN 3
#define CLOSES 4            /* the generators */

mtype = {NONE, READY, QUEUED, RUNNING, SUSPENDED, DONE};

mtype phase[TASKS] = NONE;
bool stepped[TASKS];        /* has had its first step */
bool born_cancelled[TASKS];
byte requests[TASKS];

byte spawns[WORKERS], finished[WORKERS], foreign_spawns;
byte finished_buffered[WORKERS];
bool stopping, ended, freed;
byte unnoticed = WORKERS;
byte quiet;                 /* odd: it is */
bool generators, generators_done;
bool begin_posted, closing_posted, notice_posted[WORKERS], noticed[WORKERS];
bool gate_closed;
byte inside, guests, left;

#define over(t) (phase[t] == NONE || phase[t] == DONE)
#define all_over (over(MAIN) && over(WAITS) && over(CHILD) && over(FOREIGN) && over(CLOSES))

inline fence(me) {
    d_step {
        finished[me] = finished[me] + finished_buffered[me]; finished_buffered[me] = 0
    }
}

/* weft__task_schedule; `late`: an old value of `stopping` can still be read. */
inline schedule(t, late) {
    atomic {
        assert(phase[t] == NONE && !freed);
        if
#ifndef NO_BIRTH
        :: stopping -> born_cancelled[t] = true
#endif
        :: !stopping || late -> skip
#ifdef NO_BIRTH
        :: stopping && !(late) -> skip
#endif
        fi;
        phase[t] = READY
    }
}

/* weft_create_task */
inline spawn(me, t) {
    schedule(t, !noticed[me]);
    spawns[me]++;
    atomic { assert(phase[t] == READY); phase[t] = QUEUED }
}

inline end_if_quiet(me, loud, f, s) {
#ifdef QUIET_TWICE
    loud = 0;
#else
    loud = quiet;
#endif
#ifdef SPAWNED_FIRST
    s = spawns[me]; s = s + spawns[1 - me]; s = s + foreign_spawns;
#endif
    f = finished[me] + finished_buffered[me]; f = f + finished[1 - me];
#ifndef SPAWNED_FIRST
    s = spawns[me]; s = s + spawns[1 - me]; s = s + foreign_spawns;
#endif
    if
#ifdef QUIET_TWICE
    :: atomic { loud % 2 == 0 && f == s -> quiet = loud + 1 };
#else
    :: atomic { loud % 2 == 0 && f == s && quiet == loud -> quiet = loud + 1 };
#endif
       atomic {                                     /* finish */
           assert(all_over && !ended);
           if
           :: generators && !generators_done -> generators_done = true; closing_posted = true
           :: else -> ended = true
           fi
       }
#ifndef QUIET_TWICE
    :: atomic { !(loud % 2 == 0 && f == s && quiet == loud) }
#else
    :: atomic { !(loud % 2 == 0 && f == s) }
#endif
    fi;
    d_step { f = 0; s = 0; loud = 0 }
}

/* weft__shutdown_look */
inline look(me, loud, f, s) {
    if
    :: stopping ->
#ifndef NO_FENCE
#ifndef FENCE_LATE
       fence(me);
#endif
#endif
       if
       :: unnoticed == 0 ->
#ifdef FENCE_LATE
          fence(me);
#endif
          end_if_quiet(me, loud, f, s)
       :: unnoticed > 0
       fi
    :: !stopping || !noticed[me]
    fi
}

/* The end of weft__task_run, and weft__runtime_task_finished. */
inline end(me, t, loud, f, s) {
    phase[t] = DONE;
    if
    :: t == MAIN -> begin_posted = true /* serve_main_done, weft__shutdown_begin */
    :: else
    fi;
    finished_buffered[me]++;
#ifndef NO_LOOK
    look(me, loud, f, s)
#endif
}

/* A commit: whoever cancels later wakes the task; a request that came before is found here. */
inline suspend(t) {
    atomic {
        if
        :: requests[t] > 0 -> phase[t] = QUEUED
        :: else -> phase[t] = SUSPENDED
        fi
    }
}

inline step(me, t, loud, f, s) {
    if
    :: !stepped[t] && t != CLOSES && (born_cancelled[t] || requests[t] > 0) -> end(me, t, loud, f, s)
    :: stepped[t] || t == CLOSES ->
       if
       :: t == WAITS && phase[CHILD] == NONE -> spawn(me, CHILD)
       :: true
       fi;
       end(me, t, loud, f, s)
    :: !stepped[t] && t == MAIN && requests[t] == 0 -> spawn(me, WAITS); end(me, t, loud, f, s)
    :: !stepped[t] && t != MAIN && t != CLOSES && !born_cancelled[t] && requests[t] == 0 ->
       stepped[t] = true;
       if
       :: t == WAITS -> spawn(me, CHILD)
       :: true
       fi;
       suspend(t)
    fi
}

inline gate_close() {
#ifdef GATE_OPEN
    skip;
#else
    gate_closed = true;
#ifndef GATE_NOT_AWAITED
    inside == 0
#endif
#endif
}

inline run_begin() {
    gate_close();
    stopping = true;
    notice_posted[0] = true;
    notice_posted[1] = true
}

inline cancel_leftover(t) {
    atomic {
        if
#ifdef BORN_TOO
        :: !over(t) ->
#else
        :: !over(t) && !born_cancelled[t] ->
#endif
           requests[t]++;
           assert(requests[t] == 1 && !born_cancelled[t]);
           if
           :: phase[t] == SUSPENDED -> phase[t] = QUEUED
           :: else
           fi
        :: else
        fi
    }
}

inline run_notice(me, before, t, loud, f, s) {
    d_step {                            /* a release: what was counted before is seen by the last one */
        finished[me] = finished[me] + finished_buffered[me]; finished_buffered[me] = 0;
        noticed[me] = true;
        before = unnoticed; unnoticed--
    };
    if
#ifdef FIRST_NOTICE
    :: before == WORKERS ->
#else
    :: before == 1 ->
#endif
       t = 0;
       do
       :: t < TASKS -> cancel_leftover(t); t++
       :: else -> break
       od;
#ifdef NO_LAST_LOOK
       skip
#else
       look(me, loud, f, s)
#endif
    :: else
    fi;
    d_step { before = 0; t = 0 }
}

inline run_clean_up(me, loud, f, s) {
#ifdef LOUD_AGAIN
    quiet = 0;
    spawn(me, CLOSES);
#else
#ifdef CLOSES_UNCOUNTED
    quiet = 2;
    spawn(me, CLOSES);
#else
    spawn(me, CLOSES);
    quiet = 2;
#endif
#ifndef CLOSES_UNLOOKED
    look(me, loud, f, s)
#endif
#endif
}

active [WORKERS] proctype worker() {
    byte t, before, loud, f, s;
    byte me = _pid;
    do
    :: me == 0 && begin_posted -> begin_posted = false; run_begin()
    :: me == 0 && closing_posted -> closing_posted = false; run_clean_up(me, loud, f, s)
    :: notice_posted[me] -> notice_posted[me] = false; run_notice(me, before, t, loud, f, s)
    :: atomic { phase[MAIN] == QUEUED -> phase[MAIN] = RUNNING; t = MAIN }; step(me, t, loud, f, s); t = 0
    :: atomic { phase[WAITS] == QUEUED -> phase[WAITS] = RUNNING; t = WAITS }; step(me, t, loud, f, s); t = 0
    :: atomic { phase[CHILD] == QUEUED -> phase[CHILD] = RUNNING; t = CHILD }; step(me, t, loud, f, s); t = 0
    :: atomic { phase[FOREIGN] == QUEUED -> phase[FOREIGN] = RUNNING; t = FOREIGN }; step(me, t, loud, f, s); t = 0
    :: atomic { phase[CLOSES] == QUEUED -> phase[CLOSES] = RUNNING; t = CLOSES }; step(me, t, loud, f, s); t = 0
    :: ended -> break
    od;
    left++;                             /* close_worker */
    if
    :: me == 0 ->
       left == WORKERS;
#ifndef NO_GUESTS
       guests == 0;
#endif
       atomic { assert(all_over); freed = true }
    :: else
    fi
}

/* weft_run_coroutine_threadsafe */
active proctype submitter() {
    bool closed;
    atomic { inside++; closed = gate_closed };
    if
    :: !closed ->
       schedule(FOREIGN, true);
       atomic { assert(!freed); foreign_spawns++ };
       atomic { assert(!freed); phase[FOREIGN] = QUEUED }
    :: else
    fi;
    inside--
}

/* weft__task_wake from a thread that is no worker: it has taken the waiter out of the future's list, so that no cancel
 * wakes the task as well; RUNNING stands for that. */
active proctype waker() {
end_waiting:
    atomic { phase[WAITS] == SUSPENDED -> phase[WAITS] = RUNNING };
    atomic { assert(!freed); guests++ };
    atomic { assert(!freed); phase[WAITS] = QUEUED };
    atomic { assert(!freed); guests-- }  /* rings a doorbell before it goes */
}

/* The store buffers drain by themselves, at any time. */
active [WORKERS] proctype drain() {
    byte me = _pid - WORKERS - 2;
end_drained:
    do
    :: atomic { finished_buffered[me] > 0 -> finished[me]++; finished_buffered[me]-- }
    od
}

/* Nothing can move: then all must be over. */
active proctype observer() {
    atomic {
        if
        :: generators = true
        :: generators = false
        fi;
        schedule(MAIN, true);
        spawns[0] = 1;
        phase[MAIN] = QUEUED
    };
end_watching:
    timeout -> assert(freed)
}
