# Protocols, checked exhaustively, with mutants that must be rejected; once, not once a sanitizer.
if(NOT WEFT_SANITIZE AND NOT WEFT_FORCE_MIGRATION)
    file(GLOB models CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/models/*.pml)
    foreach(model ${models})
        get_filename_component(name ${model} NAME_WE)
        add_test(NAME model_${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/models/check.sh ${model})
        set_tests_properties(model_${name} PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
    endforeach()
endif()
