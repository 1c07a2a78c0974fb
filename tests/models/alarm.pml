/* The watchman's alarm, of runtime/watchman.h and watchman.c, for two workers: an idle process does not wake up, and
 * yet nobody who is awake goes unwatched.
 *
 * The steps bear the names of watchman.h. A worker falls asleep and wakes up as often as it likes; in the end it
 * sleeps, or computes, for ever. The alarm is a timerfd: setting it forgets what has rung. A signal that comes late
 * sets it at any moment. The runtime may stop its watchman meanwhile. (What is shared is changed and read by
 * sequentially consistent operations in the code, and so is it here.)
 *
 * Checked: there is no state without a next step in which a worker computes and no watchman looks, or in which stop
 * waits; and the watchman does not look three times while everybody sleeps. Mutants, each of which must be rejected:
 *     UNSEEN          A2 is left out
 *     SEEN_FIRST      A2 comes before A1
 *     ONE_SHOT        A2 sets an alarm that rings but once
 *     NEVER_OFF       B1 is left out
 *     OFF_LATE        B1 comes after B2
 *     OFF_LAST        B1 comes after B3
 *     STAYS_ARMED     B2 is left out
 *     NO_SECOND_LOOK  B3 is left out
 *     OVER_FIRST      the watchman looks at `over` before it rests
 *     OVER_LATE       stop sets the alarm before `over`
 *     UNRUNG          stop does not set the alarm */

#define WORKERS 2

mtype = {AWAKE, SLEEPING, NOTIFIED};

mtype state[WORKERS] = AWAKE;   /* sleep_state */
bool computes[WORKERS];         /* for ever */
bool armed = true;
bool over, stopping, stopped;   /* `stopped`: joined */
bool watchman_ended;
bool on = true;                 /* the timerfd */
bool periodic = true;
bool rung;
byte idle_looks;                /* since anything has happened */

/* weft__world_alarm_set */
inline set_alarm(ring, again) {
    d_step { on = ring; periodic = again; rung = false }
}

/* weft__watchman_see, and arm; `was` is the caller's. */
inline see(was) {
    was = armed;
    if
    :: !was ->
       atomic { was = armed; armed = true };
       if
       :: !was ->
#ifdef ONE_SHOT
          set_alarm(true, false)
#else
          set_alarm(true, true)
#endif
       :: else
       fi
    :: else
    fi;
    was = false
}

/* What weft__idle_park has to do with it. */
active [WORKERS] proctype worker() {
    bool was;
    byte me = _pid;
    do
    :: computes[me] = true; break
    :: atomic { state[me] = SLEEPING; idle_looks = 0 }; /* S1 */
       if
       :: true -> break
       :: true                                          /* found something, or its time has come */
       :: state[me] = NOTIFIED                          /* by somebody else */
       fi;
#ifdef SEEN_FIRST
       see(was);
#endif
       atomic { state[me] = AWAKE; idle_looks = 0 };    /* A1 */
#ifndef UNSEEN
#ifndef SEEN_FIRST
       see(was)                                         /* A2 */
#endif
#endif
    od
}

/* look, as far as it matters here: who is seen awake is rescued if he does not move. */
inline any_awake(i, awake) {
    d_step { i = 0; awake = false };
    do
    :: i < WORKERS -> awake = awake || state[i] != SLEEPING; i++
    :: else -> break
    od;
    i = 0
}

inline rest(i, awake, was) {
#ifndef NEVER_OFF
#ifndef OFF_LATE
#ifndef OFF_LAST
    set_alarm(false, false);                            /* B1 */
#endif
#endif
#endif
#ifndef STAYS_ARMED
    armed = false;                                      /* B2 */
#endif
#ifdef OFF_LATE
    set_alarm(false, false);
#endif
#ifndef NO_SECOND_LOOK
    any_awake(i, awake);                                /* B3 */
    if
    :: awake -> see(was)
    :: else
    fi;
#endif
#ifdef OFF_LAST
    set_alarm(false, false);
#endif
    awake = false
}

/* watch */
active proctype watchman() {
    byte i;
    bool awake, was;
    do
    :: any_awake(i, awake);
#ifdef OVER_FIRST
       if
       :: over -> break
       :: else
       fi;
#endif
       if
       :: !awake -> idle_looks++; assert(idle_looks < 3); rest(i, awake, was)
       :: else -> awake = false
       fi;
#ifndef OVER_FIRST
       if
       :: over -> break
       :: else
       fi;
#endif
end_waiting:
       atomic { rung -> rung = false }                  /* weft__world_alarm_wait */
    od;
    watchman_ended = true
}

/* Time. */
active proctype timer() {
end_off:
    do
    :: atomic { on && !rung -> rung = true; on = periodic }
    od
}

/* on_urge */
active proctype signal() {
    if
    :: true -> atomic { set_alarm(true, true); idle_looks = 0 }
    :: true
    fi
}

/* weft__watchman_stop */
active proctype stop() {
    if
    :: true ->
       stopping = true;
#ifdef OVER_LATE
       set_alarm(true, true);
       over = true;
#else
       over = true;
#ifndef UNRUNG
       set_alarm(true, true);
#endif
#endif
       watchman_ended;
       armed = true;
       stopped = true
    :: true
    fi
}

/* Nothing can move: nobody looks any more. */
active proctype observer() {
end_watching:
    timeout -> assert(stopped == stopping && (stopped || (!computes[0] && !computes[1])))
}
