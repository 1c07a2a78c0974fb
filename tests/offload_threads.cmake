# Thread pools and blocking regions.
weft_test(offload_thread_pool SOURCES offload/thread_pool.c TIMEOUT 300)
weft_test(offload_thread_race SOURCES offload/thread_race.c TIMEOUT 300)
weft_test(offload_thread_failure SOURCES offload/thread_failure.c TIMEOUT 300 WRAP pthread_create malloc mmap)
weft_test(offload_blocking_region SOURCES offload/blocking_region.c TIMEOUT 300)
