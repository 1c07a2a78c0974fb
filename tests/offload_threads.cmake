# Thread pools and blocking regions.
file(GLOB programs CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} offload/thread_*.c offload/blocking_*.c)
foreach(program ${programs})
    get_filename_component(name ${program} NAME_WE)
    weft_test(offload_${name} SOURCES ${program} TIMEOUT 300)
endforeach()
