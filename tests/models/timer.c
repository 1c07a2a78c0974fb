/* The timers of runtime/timer.c themselves, on the wheel of timer_wheel.c. The worker arms a timer, as a task's
 * commit does once the wait is published, and fires what is due, and so does, at times, the watchman; others
 * cancel it meanwhile, in one of the two ways that there are:
 *   - whoever takes the timer out of the wheel wakes the task, as sleep.c and the operations have it; a cancel
 *     that came first makes the arming fail. Exactly one must do so.
 *   - the owner of a timeout scope settles it and then gives up its memory (poisoned here), which the firing must
 *     not touch any more.
 *
 * Code: runtime/timer.c runtime/timer_wheel.c
 *
 * Mutants, each of which must be rejected:
 *     NO_EARLY_CANCEL     runtime/timer.c weft__timer_cancel  s/case WEFT__TIMER_INIT:/case WEFT__TIMER_INIT: break; case 99:/
 *     ARMED_ANYWAY        runtime/timer.c arm  s/bool armed = .*;/bool armed = true;/
 *     FIRING_UNMARKED     runtime/timer.c take_due  s/WEFT__TIMER_FIRING/WEFT__TIMER_ARMED/
 *     UNLOCKED_CANCEL     runtime/timer.c weft__timer_cancel  /weft__lock_(acquire|release)/d
 *     UNLOCKED_FIRE       runtime/timer.c take_due  /weft__lock_(acquire|release)/d
 *     SETTLED_TOO_EARLY   runtime/timer.c weft__timer_settle  s/was == WEFT__CANCEL_FIRING/false/
 *     FIRED_UNORDERED     runtime/timer.h weft__timer_fired  s/store_release/store_relaxed/
 *     SETTLED_UNORDERED   runtime/timer.c weft__timer_cancel  s/load_acquire/load_relaxed/
 *     LOCK_UNORDERED      runtime/world.h weft__lock_release  s/exchange_acq_rel\((.*), 0\)/atomic_exchange_explicit(\1, 0, memory_order_relaxed)/
 */
#include "model.h"

#include "runtime/timer.h"

static struct weft__timers timers;
static struct weft__timer *timer;
static bool settling;               /* the scope's way */
static unsigned cancellers;         /* the other way: 1 or 2 */
static int fired, refused, removed[2], early[2];

static void fire(struct weft__timer *self) {
    fired++;
    weft__timer_fired(self);
}

static void before(void) {
    fired = refused = removed[0] = removed[1] = early[0] = early[1] = 0;
    settling = model_choose(2);
    cancellers = 1 + model_choose(2);
    weft__timers_init(&timers, 0);
    timer = model_malloc(sizeof *timer);
    weft__timer_init(timer, &timers, fire);
    if (settling) weft__timer_arm(timer, 1000); /* by the task that then goes on elsewhere */
}

static void work(void) {
    if (!settling) refused = !weft__timer_arm(timer, 1000);
    weft__timers_fire(&timers, (int64_t)1 << WEFT__WHEEL_TICK_SHIFT, model_choose(2));
}

static void cancel(unsigned who) {
    enum weft__timer_cancel was = weft__timer_cancel(timer);
    removed[who] = was == WEFT__CANCEL_DONE;
    early[who] = was == WEFT__CANCEL_EARLY;
    if (was == WEFT__CANCEL_LATE && cancellers == 1) model_assert(fired == 1); /* and we see what it did */
}

static void settle(void) {
    weft__timer_settle(timer);
    fired += 2;
    model_free(timer);
}

static void thread(unsigned index) {
    if (index == 0) work();
    else if (!settling && index <= cancellers) cancel(index - 1);
    else if (settling && index == 1) settle();
    else weft__timers_rescue(&timers, (int64_t)1 << WEFT__WHEEL_TICK_SHIFT);
}

static void after(void) {
    if (settling) {
        model_assert(fired == 2 || fired == 3);
    } else {
        model_assert(fired + refused + removed[0] + removed[1] == 1);
        model_assert(early[0] + early[1] == refused);
    }
    model_assert(timers.wheel.count == 0);
}

const struct model model = {.threads = 3, .rounds = 500000, .before = before, .thread = thread, .after = after};
