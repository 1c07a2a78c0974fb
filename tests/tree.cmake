# The tree itself, and what only a whole program shows.
add_test(NAME tidy COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tidy.sh)
add_test(NAME tidy_canary COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tidy_canary.sh)
add_test(NAME seeds_canary COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/seeds_canary.sh)
weft_test(overflow)
weft_test(fork)
weft_test(million SERIAL TIMEOUT 180)
