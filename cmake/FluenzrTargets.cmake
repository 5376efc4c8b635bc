# flz_target(<target>): the warnings and sanitizers that every target of ours is built with.
function(flz_target target)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
        -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wswitch-enum
        -Wno-unused-parameter -Wno-missing-field-initializers
        # Texts for people are bounded and cut on purpose.
        $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
        -fno-common -fstack-protector-strong -fno-strict-aliasing)
    if(FLZ_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE FLZ_VERSION="${PROJECT_VERSION}")
    # Asserts guard against our own mistakes and stay on in every build type.
    target_compile_options(${target} PRIVATE -UNDEBUG)
    if(FLZ_SANITIZE)
        target_compile_options(${target} PRIVATE -fsanitize=${FLZ_SANITIZE} -fno-omit-frame-pointer
            -fno-sanitize-recover=all)
        target_link_options(${target} PRIVATE -fsanitize=${FLZ_SANITIZE})
    elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
        target_compile_definitions(${target} PRIVATE _FORTIFY_SOURCE=2)
    endif()
    if(FLZ_FUZZ)
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
endfunction()

# flz_library(<name> SOURCES ... LINK ...): a static library of ours; its headers are
# included by their path from the top of the tree ("common/base/error.h").
function(flz_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC ${ARG_LINK})
    flz_target(${name})
endfunction()

# flz_program(<name> SOURCES ... LINK ...)
function(flz_program name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE ${ARG_LINK})
    flz_target(${name})
endfunction()

# flz_unit_test(<name> SOURCES ... LINK ... [LABELS ...]): a cmocka program run by ctest.
function(flz_unit_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LABELS" ${ARGN})
    flz_program(${name} SOURCES ${ARG_SOURCES} LINK ${ARG_LINK} cmocka)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS "unit;${ARG_LABELS}"
        ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/unit/tsan.supp")
endfunction()

# flz_fuzzer(<name> SOURCES ... LINK ...): a libFuzzer target; without FLZ_FUZZ the same source
# is built with a small driver that runs it over the committed corpus.
function(flz_fuzzer name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
    if(FLZ_FUZZ)
        flz_program(${name} SOURCES ${ARG_SOURCES} LINK ${ARG_LINK})
        target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        add_test(NAME ${name} COMMAND ${name} -runs=100000 -max_total_time=20 -timeout=2
            -rss_limit_mb=512 ${CMAKE_CURRENT_BINARY_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    else()
        flz_program(${name} SOURCES ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus_main.c
            LINK ${ARG_LINK})
        add_test(NAME ${name} COMMAND ${name} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    endif()
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
