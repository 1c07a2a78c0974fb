# The rules of semantics.md: a program per chapter, a test per rule, named with the rule's number.
file(GLOB chapters CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} conformance/*.c)
foreach(chapter ${chapters})
    get_filename_component(name ${chapter} NAME_WE)
    weft_test(rules_${name} SOURCES ${chapter} TIMEOUT 300)
endforeach()
