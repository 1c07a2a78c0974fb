# Blocking and CPU-bound code out of the loops' way: a program per subject.
set(process_memory_wrap malloc calloc mmap fallocate ftruncate)
set(thread_failure_wrap pthread_create malloc mmap)
file(GLOB subjects CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} offload/*.c)
foreach(subject ${subjects})
    get_filename_component(name ${subject} NAME_WE)
    weft_test(offload_${name} SOURCES ${subject} WRAP ${${name}_wrap} TIMEOUT 300)
endforeach()
