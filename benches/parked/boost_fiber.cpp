/* With the default allocator of stacks, fixedsize_stack. */
#include <string>
#include <thread>
#include <vector>

#include <boost/fiber/all.hpp>

#include "parked.h"

static long asleep;

static void sleeper() {
    asleep++;
    boost::this_fiber::sleep_for(std::chrono::hours(1));
}

int main(int argc, char **argv) {
    long tasks = argc == 3 ? std::stol(argv[2]) : 0;
    look();
    for (long i = 0; i < tasks; i++) boost::fibers::fiber(sleeper).detach();
    while (asleep < tasks) boost::this_fiber::yield();
    look();
    std::_Exit(0);
}
