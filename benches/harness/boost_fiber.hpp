/* Boost.Fiber on several threads: those beside main's steal its fibers, as its work_stealing example has it. */
#ifndef BENCHES_BOOST_FIBER_HPP
#define BENCHES_BOOST_FIBER_HPP

#include <mutex>
#include <thread>
#include <vector>

#include <boost/fiber/all.hpp>

#include "harness/timing.h"

class fiber_workers {
    boost::fibers::mutex mutex;
    boost::fibers::condition_variable_any ended;
    bool over = false;
    std::vector<std::thread> threads;

    void work(unsigned workers) {
        boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(workers, true);
        std::unique_lock<boost::fibers::mutex> lock(mutex);
        ended.wait(lock, [this] { return over; });
    }

public:
    /* One worker keeps the default, round_robin. */
    explicit fiber_workers(unsigned workers) {
        if (workers == 1) return;
        for (unsigned i = 1; i < workers; i++) threads.emplace_back([=, this] { work(workers); });
        boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(workers, true);
    }

    ~fiber_workers() {
        {
            std::unique_lock<boost::fibers::mutex> lock(mutex);
            over = true;
        }
        ended.notify_all();
        for (auto &thread : threads) thread.join();
    }
};

#endif
