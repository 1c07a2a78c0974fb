# The benchmarks' load generator; time is its subject, so only as it is measured with.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    weft_test(load SERIAL SOURCES load.c ../benches/load/histogram.c ../benches/load/http.c
              DEFINITIONS BENCH_LOAD="$<TARGET_FILE:bench_load>")
    target_link_libraries(test_load PRIVATE m)
    add_dependencies(test_load bench_load)
endif()
