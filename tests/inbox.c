/* The inbox: every message arrives once, and each poster's messages in the order in which it posted. */
#include "structures.h"

#include "runtime/inbox.h"

struct message {
    struct weft__item link;
    unsigned poster;
    size_t number;
    _Atomic bool free; /* for test_reuse */
};

static struct message *message_of(struct weft__item *link) {
    return weft__container_of(link, struct message, link);
}

static struct weft__item *take_list(struct weft__inbox *inbox) {
    struct weft__fifo taken = {0};
    weft__inbox_take_all(inbox, &taken);
    return taken.head;
}

/* Through more messages than there are slots. */
static void test_smoke(void **state) {
    enum { COUNT = WEFT__INBOX_SLOTS + 3 };
    static struct weft__inbox inbox;
    static struct message messages[COUNT];
    (void)state;
    weft__inbox_init(&inbox);
    for (unsigned round = 0; round < 7; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            weft__inbox_post(&inbox, &messages[i].link);
            assert_false(weft__inbox_empty(&inbox));
        }
        struct weft__item *link = take_list(&inbox);
        assert_true(weft__inbox_empty(&inbox));
        for (size_t i = 0; i < COUNT; i++, link = link->next) assert_ptr_equal(link, &messages[i].link);
        assert_null(link);
    }
}

static void test_empty(void **state) {
    static struct weft__inbox inbox;
    (void)state;
    weft__inbox_init(&inbox);
    assert_true(weft__inbox_empty(&inbox));
    assert_null(take_list(&inbox));
    assert_null(take_list(&inbox));
    assert_true(weft__inbox_empty(&inbox));
}

/* A poster that was preempted before it filled its slot keeps only its own message back. */
static void test_preempted_poster(void **state) {
    static struct weft__inbox inbox;
    static struct message messages[2 * WEFT__INBOX_SLOTS];
    (void)state;
    weft__inbox_init(&inbox);
    uint32_t slot = load_relaxed(&inbox.tail);
    fetch_add_relaxed(&inbox.tail, 1);
    for (size_t i = 0, taken = 0; i < 2 * WEFT__INBOX_SLOTS; i++) {
        weft__inbox_post(&inbox, &messages[i].link);
        if (i % 3 != 2 && i + 1 < 2 * WEFT__INBOX_SLOTS) continue;
        for (struct weft__item *link = take_list(&inbox); link; link = link->next)
            assert_ptr_equal(link, &messages[taken++].link);
        assert_int_equal(taken, i + 1);
        assert_true(weft__inbox_empty(&inbox));
    }
    struct message late;
    store_release(&inbox.slots[slot % WEFT__INBOX_SLOTS], &late.link);
    assert_false(weft__inbox_empty(&inbox));
    assert_ptr_equal(take_list(&inbox), &late.link);
    assert_true(weft__inbox_empty(&inbox));
    assert_int_equal(load_relaxed(&inbox.head), load_relaxed(&inbox.tail));
}

struct post_office {
    struct weft__inbox inbox;
    unsigned posters;
    size_t each; /* messages of one poster */
    struct message *messages;
    size_t arrived[CREW_MOST]; /* from each poster; the taker's */
};

static void open_office(struct post_office *office, unsigned posters, size_t each) {
    *office = (struct post_office){.posters = posters, .each = each};
    weft__inbox_init(&office->inbox);
    office->messages = calloc(posters * each, sizeof *office->messages);
    must(office->messages);
}

/* Takes what is there, and checks that each poster's numbers go up by one: none lost, doubled, overtaken. */
static size_t take(struct post_office *office) {
    size_t count = 0;
    for (struct weft__item *link = take_list(&office->inbox), *next; link; link = next) {
        struct message *message = message_of(link);
        next = link->next;
        must(message->poster >= 1 && message->poster <= office->posters);
        must_equal(message->number, office->arrived[message->poster]);
        office->arrived[message->poster]++;
        count++;
        store_release(&message->free, true);
    }
    return count;
}

static void close_office(struct post_office *office) {
    must_equal(take(office), 0);
    for (unsigned i = 1; i <= office->posters; i++) must_equal(office->arrived[i], office->each);
    free(office->messages);
}

static void take_until_complete(struct post_office *office) {
    size_t total = 0;
    for (unsigned round = 0; total < office->posters * office->each; round++) {
        size_t count = weft__inbox_empty(&office->inbox) ? 0 : take(office);
        if (count == 0) wait_a_little(round);
        total += count;
    }
}

static void post_or_take(unsigned index, void *arg) {
    struct post_office *office = arg;
    if (index == 0) {
        take_until_complete(office);
        return;
    }
    struct message *mine = office->messages + (index - 1) * office->each;
    for (size_t i = 0; i < office->each; i++) {
        mine[i].poster = index;
        mine[i].number = i;
        weft__inbox_post(&office->inbox, &mine[i].link);
    }
}

static void exchange_mail(unsigned posters, size_t each) {
    struct post_office office;
    open_office(&office, posters, each);
    run_together(1 + posters, post_or_take, &office);
    close_office(&office);
}

static void test_one_producer_one_consumer(void **state) {
    (void)state;
    exchange_mail(1, ROUNDS(500000));
}

/* Few messages, many times: everybody collides at the start. */
static void test_stampede(void **state) {
    (void)state;
    for (unsigned round = 0; round < ROUNDS(2000); round++) exchange_mail(4, 4);
}

static void test_stress(void **state) {
    (void)state;
    exchange_mail(4, ROUNDS(200000));
    exchange_mail(8, ROUNDS(200000));
}

/* Posters with three messages, which they post again as soon as they
 * have arrived: the same addresses come back at once, where an ABA mistake would show. */
#define FEW 3

static void post_again_or_take(unsigned index, void *arg) {
    struct post_office *office = arg;
    if (index == 0) {
        take_until_complete(office);
        return;
    }
    struct message *mine = office->messages + (index - 1) * FEW;
    for (size_t i = 0; i < office->each; i++) {
        struct message *message = &mine[i % FEW];
        if (i >= FEW)
            for (unsigned round = 0; !load_acquire(&message->free); round++) wait_a_little(round);
        store_relaxed(&message->free, false);
        message->poster = index;
        message->number = i;
        weft__inbox_post(&office->inbox, &message->link);
    }
}

static void test_reuse(void **state) {
    (void)state;
    struct post_office office;
    open_office(&office, 4, ROUNDS(100000));
    run_together(1 + office.posters, post_again_or_take, &office);
    close_office(&office);
}

/* Each poster gets through while the others never pause. */
#define SHARE 100

struct crowd {
    struct weft__inbox inbox;
    struct message messages[CREW_MOST][FEW];
    _Atomic size_t posted[CREW_MOST];
    _Atomic bool over;
};

static void post_without_pause(unsigned index, void *arg) {
    struct crowd *crowd = arg;
    for (unsigned round = 0; index > 0 && !load_relaxed(&crowd->over); round++) {
        struct message *message = &crowd->messages[index][round % FEW];
        if (!load_acquire(&message->free)) continue;
        store_relaxed(&message->free, false);
        weft__inbox_post(&crowd->inbox, &message->link);
        fetch_add_relaxed(&crowd->posted[index], 1);
    }
    for (bool served = index > 0; !served;) {
        for (struct weft__item *link = take_list(&crowd->inbox), *next; link; link = next) {
            next = link->next;
            store_release(&message_of(link)->free, true);
        }
        served = true;
        for (unsigned i = 1; i <= 3; i++) served = served && load_relaxed(&crowd->posted[i]) >= SHARE;
    }
    if (index == 0) store_relaxed(&crowd->over, true);
}

static void test_no_starvation(void **state) {
    (void)state;
    struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    weft__inbox_init(&crowd.inbox);
    for (unsigned i = 0; i < CREW_MOST; i++)
        for (unsigned k = 0; k < FEW; k++) crowd.messages[i][k].free = true;
    run_together(4, post_without_pause, &crowd);
}

/* What is left when the owner goes comes out in one list. */
static void test_destruction(void **state) {
    (void)state;
    struct post_office office;
    open_office(&office, 1, 1000);
    for (size_t i = 0; i < 1000; i++) {
        office.messages[i] = (struct message){.poster = 1, .number = i};
        weft__inbox_post(&office.inbox, &office.messages[i].link);
    }
    assert_int_equal(take(&office), 1000);
    close_office(&office);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smoke),         cmocka_unit_test(test_empty),
        cmocka_unit_test(test_preempted_poster),
        cmocka_unit_test(test_one_producer_one_consumer),
        cmocka_unit_test(test_stampede),      cmocka_unit_test(test_stress),
        cmocka_unit_test(test_reuse),         cmocka_unit_test(test_no_starvation),
        cmocka_unit_test(test_destruction),
    };
    return run_group(tests);
}
