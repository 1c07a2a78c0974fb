/* wait_for: a timeout scope around an await. On a plain thread, a wait with a limit, a cancel, a wait for the
 * end. */
#include <weft/combine.h>

#include "worker.h"

static intptr_t wait_on_thread(weft_future *future, int64_t timeout_ns) {
    intptr_t result = weft_wait_blocking(future, timeout_ns);
    if (result != -ETIMEDOUT || weft__is_done(future)) return weft_await(future);
    weft_cancel(future);
    result = weft_await(future); /* what came in the meantime is returned */
    return result == -ECANCELED ? -ETIMEDOUT : result;
}

intptr_t weft_wait_for(weft_future *awaitable, int64_t timeout_ns) {
    struct weft__worker *worker = weft__world_worker();
    if (!awaitable) return -EINVAL;
    if (worker && worker->current && timeout_ns <= 0 && weft_iscoroutine(awaitable)) {
        weft_coroutine_close(awaitable);
        return -ETIMEDOUT;
    }
    bool bounded = timeout_ns != WEFT_FOREVER && !weft__is_done(awaitable);
    if (!worker && weft__blocked_task()) bounded = false; /* it returns -EPERM */
    if (!bounded || (worker ? !worker->current : weft_iscoroutine(awaitable))) return weft_await(awaitable);
    if (!worker) return wait_on_thread(awaitable, timeout_ns);
    weft_timeout scope;
    weft_timeout_enter(&scope, timeout_ns);
    return weft_timeout_exit(&scope, weft_await(awaitable));
}
