/* The parking protocol of runtime/idle.h and idle.c, for two workers: who sleeps, who searches, whom to wake.
 *
 * The steps bear the names of idle.h. Two threads submit at the same time; each publishes work that anybody may do, and
 * one of them then a callback for either worker. The callback does not end before all the work is done (tests/park.c
 * calls that a standstill): so whoever runs it must have seen to it that the other one does the work.
 *
 * What is published lies in the submitter's store buffer until a fence, or any time earlier, makes it visible: as on
 * x86 and ARM. All else that is shared is changed by sequentially consistent RMWs in the code, and is atomic here.
 *
 * Checked: there is no state without a next step in which work is left. Mutants, each of which must be rejected:
 *     NO_FENCE        W2 is left out
 *     NO_RECHECK      S3 is left out
 *     RECHECK_FIRST   S3 comes before S1
 *     NO_RESUME       S6 is left out: what S3 found may be more than one can do
 *     NO_SECOND_LOOK  a waker that announced a searcher, and found it awake, does not look again
 *     NO_RELAY        the last searcher that finds work wakes nobody */

#define WORKERS 2
#define SUBMITTERS 2

mtype = {AWAKE, SLEEPING, NOTIFIED, NOTIFIED_TO_SEARCH};

mtype state[WORKERS] = AWAKE;
bool idle_bit[WORKERS];        /* idle.bits */
bool doorbell[WORKERS];     /* io/doorbell.h: stays rung until it is heard */
bool counted[WORKERS];      /* worker->searching */
byte searching;             /* idle.searching */
byte work;                  /* the injector */
byte calls[WORKERS];        /* inboxes */
byte worked, called;
byte buffered[SUBMITTERS];  /* published, and not visible yet */

/* weft__idle_notify; `lost` and `i` are the caller's. */
inline notify(i, lost) {
    do
    :: lost = false;
       if
       :: searching > 0 -> break /* W3 */
       :: else
       fi;
       i = 0;
       do
       :: i < WORKERS && (!idle_bit[i] || state[i] != SLEEPING) -> i++
       :: i < WORKERS && idle_bit[i] && state[i] == SLEEPING ->
          searching++;
          if /* W4 */
          :: atomic { state[i] == SLEEPING -> state[i] = NOTIFIED_TO_SEARCH; doorbell[i] = true }
          :: atomic { state[i] != SLEEPING -> searching--; lost = true }
          fi;
          break
       :: i == WORKERS -> break
       od;
#ifdef NO_SECOND_LOOK
       break
#else
       if
       :: lost -> skip
       :: else -> break
       fi
#endif
    od;
    i = 0; lost = false /* fewer states */
}

/* weft__idle_search_end */
inline search_end(me, found, i, lost, before) {
    if
    :: counted[me] ->
       counted[me] = false;
       atomic { before = searching; assert(before > 0); searching-- };
#ifndef NO_RELAY
       if
       :: found && before == 1 -> before = 0; notify(i, lost)
       :: else -> before = 0
       fi
#else
       skip
#endif
    :: else
    fi
}

/* weft__idle_park */
inline park(me, i, lost, before, searched, found) {
    searched = counted[me];
    search_end(me, false, i, lost, before);
#ifdef RECHECK_FIRST
    found = work > 0 || calls[me] > 0;
#endif
    state[me] = SLEEPING;                       /* S1 */
    idle_bit[me] = true;
#ifdef NO_RECHECK
    found = false;
#else
#ifndef RECHECK_FIRST
    found = work > 0;                           /* S3: one source after the other */
    found = found || calls[me] > 0;
#endif
#endif
    if
    :: !found ->
end_asleep: atomic { doorbell[me] -> doorbell[me] = false } /* S4 */
    :: else
    fi;
    idle_bit[me] = false;
    atomic { counted[me] = (state[me] == NOTIFIED_TO_SEARCH); state[me] = AWAKE }; /* S5 */
#ifndef NO_RESUME
    if
    :: atomic { found && searched && !counted[me] -> searching++; counted[me] = true } /* S6 */
    :: else
    fi;
#endif
    d_step { found = false; searched = false }
}

active [WORKERS] proctype worker() {
    byte i, before;
    bool lost, searched, found;
    byte me = _pid;
    do
    :: if
       :: calls[me] > 0 ->                      /* run_local */
          search_end(me, true, i, lost, before);
          calls[me]--;
          worked == SUBMITTERS;                 /* the callback */
          called++
       :: else ->
          if                                    /* run_ready: the injector */
          :: atomic { work > 0 -> work-- };
             search_end(me, true, i, lost, before);
             worked++
          :: work == 0 ->
             if                                 /* steal: looks elsewhere, in vain */
             :: atomic { !counted[me] && 2 * searching < WORKERS -> searching++; counted[me] = true }
             :: counted[me] || 2 * searching >= WORKERS
             fi;
             park(me, i, lost, before, searched, found)
          fi
       fi
    od
}

active [SUBMITTERS] proctype submitter() {
    byte i, target;
    bool lost;
    byte me = _pid - WORKERS;
    buffered[me] = 1;                           /* W1 */
#ifndef NO_FENCE
    atomic { work = work + buffered[me]; buffered[me] = 0 }; /* W2 */
#endif
    notify(i, lost);
    atomic { work = work + buffered[me]; buffered[me] = 0 };
    if
    :: me == 0 ->
       select(target : 0 .. WORKERS - 1);
       calls[target]++;                         /* posting is an RMW */
       if                                       /* weft__idle_notify_worker */
       :: atomic { state[target] == SLEEPING -> state[target] = NOTIFIED; doorbell[target] = true }
       :: state[target] != SLEEPING
       fi
    :: else
    fi
}

/* The store buffers drain by themselves, at any time. */
active [SUBMITTERS] proctype drain() {
    byte me = _pid - WORKERS - SUBMITTERS;
end_drained:
    atomic { buffered[me] > 0 -> work = work + buffered[me]; buffered[me] = 0 }
}

/* Nothing can move: then everything must be done. */
active proctype observer() {
end_watching:
    timeout -> assert(worked == SUBMITTERS && called == 1)
}
