# The listings of the users' notes: their output, and their time, which a busy machine would spoil.
foreach(seed ${WEFT_SEEDS})
    add_test(NAME seed_${seed} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/seeds.sh $<TARGET_FILE:seed_${seed}>
        ${CMAKE_SOURCE_DIR}/examples/seeds/expected/${seed}.txt)
    set_tests_properties(seed_${seed} PROPERTIES TIMEOUT 120 RUN_SERIAL ON)
    if(WEFT_SANITIZE)
        set_tests_properties(seed_${seed} PROPERTIES ENVIRONMENT WEFT_SLOW=1)
    endif()
endforeach()
