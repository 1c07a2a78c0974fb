# The tree itself, and what only a whole program shows.
add_test(NAME tidy COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tidy.sh)
add_test(NAME tidy_canary COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tidy_canary.sh)
add_test(NAME seeds_canary COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/seeds_canary.sh)
if(NOT WEFT_SANITIZE STREQUAL "thread") # its handlers find no alternate stack of ours, its children start no threads
    weft_test(overflow)
    weft_test(fork)
endif()
if(NOT WEFT_SANITIZE) # TSan has room for some thousand fibers, ASan for a few times as much memory
    weft_test(million SERIAL TIMEOUT 180)
endif()
