/* What the notes say about gather: results in the order of the arguments; the first error at once, while the
 * others go on; errors as results; cancelling it cancels all, cancelling one spares the others. */
#include "delay.h"
#include "python_text.h"

weft_async(value_after, (int, value), (int, seconds)) {
    int error = weft_sleep(seed_seconds(seconds));
    return error < 0 ? error : value;
}

weft_async(fails_after, (int, seconds)) {
    int error = weft_sleep(seed_seconds(seconds));
    return error < 0 ? error : -EIO;
}

static void print_results(const intptr_t *results, int count) {
    for (int i = 0; i < count; i++) {
        if (weft_is_error(results[i]))
            printf("%s ", weft_strerror(results[i]));
        else
            printf("%ld ", (long)results[i]);
    }
    putchar('\n');
}

weft_async(async_main) {
    intptr_t results[3];

    weft_await(weft_gather_into(results, value_after(1, 3), value_after(2, 1), value_after(3, 2)));
    print_results(results, 3);

    weft_task *sibling = weft_create_task(value_after(4, 2));
    intptr_t result = weft_await(weft_gather_all(sibling, fails_after(1)));
    printf("%s, sibling done? %s\n", weft_strerror(result), python_bool(weft_done(sibling)));
    printf("sibling: %d\n", (int)weft_join(sibling));

    weft_future *all[] = {value_after(5, 1), fails_after(1)};
    weft_await(weft_gather(all, 2, (weft_gather_options){.return_exceptions = true, .results = results}));
    print_results(results, 2);

    weft_task *first = weft_create_task(value_after(6, 2)), *second = weft_create_task(value_after(7, 2));
    weft_future *gathered = weft_ref(weft_gather_all(first, second));
    weft_sleep(seed_seconds(1));
    weft_cancel(gathered);
    printf("%s", weft_strerror(weft_await(gathered)));
    weft_release(gathered);
    printf(", %s", python_bool(weft_cancelled(first)));
    printf(", %s\n", python_bool(weft_cancelled(second)));
    weft_release(first);
    weft_release(second);

    first = weft_create_task(value_after(8, 1)), second = weft_create_task(value_after(9, 1));
    weft_cancel(first);
    printf("%s", weft_strerror(weft_await(weft_gather_all(first, second))));
    printf(", %d\n", (int)weft_join(second));
    weft_release(first);
    return 0;
}

WEFT_MAIN(async_main)
