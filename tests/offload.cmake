# Blocking and CPU-bound code out of the loops' way: a program per subject.
file(GLOB subjects CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} offload/*.c)
foreach(subject ${subjects})
    get_filename_component(name ${subject} NAME_WE)
    weft_test(offload_${name} SOURCES ${subject} TIMEOUT 300)
endforeach()
