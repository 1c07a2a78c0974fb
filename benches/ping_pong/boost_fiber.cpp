#include "harness/boost_fiber.hpp"

using promise = boost::fibers::promise<long>;
using channel = boost::fibers::buffered_channel<long>;

/* Completes a promise whose place the other fiber, once awake, gives to the next one. */
static void complete(promise &place, long value) {
    promise mine = std::move(place);
    mine.set_value(value);
}

static void future_round_trips(long count) {
    promise there, back;
    auto question = there.get_future();
    boost::fibers::fiber answers([&] {
        for (long i = 0; i < count; i++) {
            question.get();
            there = promise();
            question = there.get_future();
            complete(back, i);
        }
    });
    for (long i = 0; i < count; i++) {
        auto answer = back.get_future();
        complete(there, i);
        answer.get();
        back = promise();
    }
    answers.join();
}

static void channel_round_trips(long count) {
    channel questions(2), replies(2);
    boost::fibers::fiber echoes([&] {
        for (long question : questions) replies.push(question);
    });
    for (long i = 0; i < count; i++) {
        questions.push(i);
        replies.value_pop();
    }
    questions.close();
    echoes.join();
}

static double futures(unsigned workers) {
    fiber_workers running(workers);
    return each_ns(future_round_trips);
}

static double queues(unsigned workers) {
    fiber_workers running(workers);
    return each_ns(channel_round_trips);
}

BENCH_MAIN({"futures", futures}, {"queues", queues})
