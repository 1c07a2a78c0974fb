# The benchmarks' runner; what it measures with is built in the release preset.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_test(NAME bench COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/bench.py)
    set_tests_properties(bench PROPERTIES TIMEOUT 60)
endif()
