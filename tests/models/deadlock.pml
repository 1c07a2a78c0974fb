/* Whether everybody sleeps for good, of runtime/deadlock.h: workers fall asleep and wake up (idle.h), the watchman decides.
 *
 * The steps bear the names of deadlock.h, idle.h and watchman.h. A message is work for one worker, who may send one more to
 * the other, or have the helper, a thread of a pool, send one. The watchman carries messages from one worker to the other
 * while anybody is awake.
 *
 * Checked: what is reported is a deadlock, no message anywhere and the helper at rest; and a deadlock is reported. Mutants,
 * each of which must be rejected:
 *     COUNTED_FIRST   F1 comes before S3
 *     NO_ALARM        F2 is left out
 *     NO_FALLS        F1 counts no falls
 *     NO_HELPER       L3 is left out
 *     NOT_AGAIN       L3 finds the helper busy, and nobody comes again
 *     STATES_FIRST    L4 comes before L3
 *     NO_STATES       L4 is left out
 *     NO_SECOND_READ  L6 is left out
 *     NO_CHANGE       B3 does not compare `asleep` with what L1 saw */

#define WORKERS 2
#define MESSAGES 4

mtype = {AWAKE, SLEEPING, NOTIFIED};

mtype state[WORKERS];
byte inbox[WORKERS];
bool doorbell[WORKERS];
byte asleep, falls;         /* one word */
byte sent = 1;              /* of MESSAGES; the first lies in an inbox */
bool job, busy;             /* the helper's; `busy` is weft__elsewhere */
bool armed = true, alarm = true;
bool reported;

inline wake(to) {           /* W1 to W4 */
    inbox[to]++;
    atomic {
        if
        :: state[to] == SLEEPING -> state[to] = NOTIFIED; doorbell[to] = true
        :: else
        fi
    }
}

inline see() {              /* A2 */
    if
    :: armed
    :: else -> atomic { armed = true; alarm = true }
    fi
}

inline fall_asleep(last) {  /* F1 and F2 */
    atomic {
        asleep++;
#ifndef NO_FALLS
        falls++;
#endif
        last = asleep == WORKERS
    };
#ifndef NO_ALARM
    if
    :: last -> see()
    :: else
    fi;
#endif
    last = false
}

proctype worker(byte self) {
    bool last;
    do
    :: atomic { inbox[self] > 0 -> inbox[self]-- };
       if
       :: sent < MESSAGES -> sent++; wake(1 - self)
       :: atomic { sent < MESSAGES && !busy -> sent++; busy = true; job = true }
       :: skip
       fi
    :: inbox[self] == 0 ->
       state[self] = SLEEPING;                  /* S1 */
#ifdef COUNTED_FIRST
       fall_asleep(last);
#endif
       if
       :: inbox[self] > 0                       /* S3 */
       :: else ->
#ifndef COUNTED_FIRST
          fall_asleep(last);
#endif
end_asleep:
          atomic { doorbell[self] -> doorbell[self] = false };  /* S4 */
#ifndef COUNTED_FIRST
          asleep--                              /* F3 */
#endif
       fi;
#ifdef COUNTED_FIRST
       asleep--;
#endif
       state[self] = AWAKE;                     /* S5 */
       see()
    od
}

active proctype helper() {
end_idle:
    do
    :: atomic { job -> job = false };
       if
       :: wake(0)
       :: wake(1)
       fi;
       busy = false
    od
}

inline read_states() {                          /* all `sleep`? */
    sleep = state[0] == SLEEPING;
    sleep = sleep && state[1] == SLEEPING
}

inline decide() {                               /* L3, L4 */
    sleep = true;
#ifdef STATES_FIRST
    read_states();
#endif
#ifndef NO_HELPER
    again = busy;
#endif
#if !defined(STATES_FIRST) && !defined(NO_STATES)
    if
    :: !again -> read_states()
    :: else
    fi;
#endif
    sleep = sleep && !again
#ifdef NOT_AGAIN
    ;
    again = false
#endif
}

active proctype watchman() {
    byte seen, seen_falls;
    bool sleep, again;
end_resting:
    do
    :: atomic { alarm -> alarm = false };
       read_states();
       if
       :: !sleep ->
          alarm = true;                         /* it rings every 4 ms */
          if
          :: atomic { inbox[0] > 0 -> inbox[0]-- }; wake(1)
          :: skip
          fi
       :: else ->
          atomic { seen = asleep; seen_falls = falls };         /* L1 */
          again = false;
          if
          :: seen == WORKERS && !reported ->
             decide();
             if
#ifdef NO_SECOND_READ
             :: sleep ->
#else
             :: sleep && asleep == seen && falls == seen_falls ->    /* L6 */
#endif
                assert(inbox[0] == 0 && inbox[1] == 0 && !job && !busy);
                reported = true
             :: else
             fi
          :: else
          fi;
          alarm = again;                        /* B1 */
          armed = false;                        /* B2 */
          read_states();                        /* B3 */
          if
          :: !sleep -> see()
#ifndef NO_CHANGE
          :: sleep && asleep == WORKERS && !reported && (seen != asleep || seen_falls != falls) -> see()
#endif
          :: else
          fi
       fi
    od
}

/* Nothing can move. */
active proctype observer() {
end_watching:
    timeout -> assert(reported)
}

init {
    atomic {
        state[0] = AWAKE;
        state[1] = AWAKE;
        inbox[0] = 1;
        run worker(0);
        run worker(1)
    }
}
