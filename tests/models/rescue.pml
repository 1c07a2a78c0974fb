/* The lock of a completion queue, of io/uring.c: the owner drains and goes to sleep, the watchman drains for it.
 *
 * The steps bear the names of io/uring.c. The kernel appends completions, for anybody and for the owner alone (so does
 * the handler of SIGURG, which makes the kernel do it earlier). The watchman takes the owner for stuck at any moment, also
 * when it is not. What is the owner's goes to `left`.
 *
 * Checked: everything is completed exactly once, in the end everything, an owner's only by the owner, and the owner does
 * not sleep over anything that is its own. Mutants, each of which must be rejected:
 *     NO_LOCK         the owner drains without the lock
 *     NO_WAITING      R2 is left out: the watchman drains for an owner that falls asleep
 *     NO_FREE_WAIT    W2 is left out: the owner falls asleep while the watchman drains
 *     NO_LEFT_CHECK   W3 is left out
 *     WAIT_FIRST      W2 comes before W1 */

#define COMPLETIONS 3

mtype = {ANYBODYS, OWNERS};

mtype cq[COMPLETIONS];
byte head, tail;            /* of cq */
byte left[COMPLETIONS];     /* numbers of CQEs */
byte left_count;
bool locked, waiting;
byte times[COMPLETIONS];    /* completed */

inline complete(i) { times[i]++; assert(times[i] == 1) }

/* Moves the head past one CQE: a load and a store. */
inline next(at, found) {
    at = head;
    found = at < tail;
    if
    :: found -> head = at + 1
    :: else
    fi
}

inline drain(i, at, found) {
    if
    :: head == tail && left_count == 0
    :: else ->
#ifdef NO_LOCK
       if
       :: true ->
#else
       if
       :: atomic { locked -> skip }             /* comes again in its next turn */
       :: atomic { !locked -> locked = true };
#endif
          i = 0;
          do
          :: i < left_count -> complete(left[i]); i++
          :: else -> break
          od;
          left_count = 0;
          do
          :: next(at, found);
             if
             :: found -> complete(at)
             :: else -> break
             fi
          od;
          i = 0; at = 0; found = false;
          locked = false
       fi
    fi
}

active proctype owner() {
    byte i, at;
    bool found;
    do
    :: drain(i, at, found);                     /* a turn; a task that is stuck is one that takes no step here */
       if
       :: skip                                  /* the next turn */
       :: true ->                               /* wait */
#ifdef WAIT_FIRST
          !locked;
          waiting = true;
#else
          waiting = true;                       /* W1 */
#ifndef NO_FREE_WAIT
          !locked;                              /* W2 */
#endif
#endif
#ifndef NO_LEFT_CHECK
          if
          :: left_count > 0                     /* W3 */
          :: else ->
end_asleep:  head < tail                        /* W4: the kernel returns with the first CQE */
          fi;
#else
end_asleep: head < tail;
#endif
          waiting = false
       fi
    od
}

active proctype watchman() {
    byte at;
    bool found;
    do
    :: atomic { !locked -> locked = true };     /* R1 */
#ifndef NO_WAITING
       if
       :: waiting                               /* R2 */
       :: else ->
#else
       if
       :: true ->
#endif
          do
          :: next(at, found);                   /* R3 */
             if
             :: found && cq[at] == ANYBODYS -> complete(at)
             :: found && cq[at] == OWNERS -> left[left_count] = at; left_count++
             :: !found -> break
             fi
          od
       fi;
       at = 0; found = false;
       locked = false                           /* R4 */
    :: true -> break                            /* there is nobody to rescue any more */
    od
}

active proctype kernel() {
    do
    :: tail < COMPLETIONS ->
       if
       :: cq[tail] = ANYBODYS
       :: cq[tail] = OWNERS
       fi;
       tail++
    :: tail == COMPLETIONS -> break
    od
}

/* Nothing can move: the owner sleeps, and everything must be done. */
active proctype observer() {
end_watching:
    timeout -> assert(head == COMPLETIONS && left_count == 0 && times[0] == 1 && times[1] == 1 && times[2] == 1)
}
