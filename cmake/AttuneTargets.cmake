# One target a folder. A wrong edge between folders then fails to link, and
# the include root is the repository: #include "storage/job_store.h".

# attune_library(NAME [TORCH] SOURCES … [PUBLIC targets …] [PRIVATE targets …])
# TORCH: compiled with LibTorch's precompiled header.
function(attune_library name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  if(ARG_TORCH)
    attune_use_torch(${name})
  endif()
endfunction()

# attune_binary(NAME [TORCH] SOURCES … LINK targets …)
function(attune_binary name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ${ATTUNE_SANITIZER_OBJECTS})
  if(ARG_TORCH)
    attune_use_torch(${name})
  endif()
endfunction()

# attune_test(NAME [TORCH] SOURCES … LINK targets …)
# One test program a folder; each case is a ctest test NAME.Suite.Case.
function(attune_test name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE
    ${ARG_LINK} GTest::gmock_main ${ATTUNE_SANITIZER_OBJECTS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  set(_environment)
  if(ARG_TORCH)
    attune_use_torch(${name})
    # Threads that spin while they wait make everything thirty times slower
    # where tests run side by side.
    set(_environment ENVIRONMENT OMP_WAIT_POLICY=passive)
  endif()
  # A parameter's own name or number: its printed bytes differ from run to run.
  gtest_discover_tests(${name} TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST
    NO_PRETTY_VALUES
    PROPERTIES TIMEOUT 300 SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]"
               ${_environment})
endfunction()

# Every file that sees LibTorch shares one precompiled header, which the
# compiler takes only for the settings that it was made with: programs are
# compiled with -fPIC, as libraries are, not with -fPIE.
function(attune_use_torch name)
  get_target_property(_type ${name} TYPE)
  if(_type STREQUAL EXECUTABLE)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIC)
  endif()
  target_link_libraries(${name} PRIVATE LibTorch::cpu)
  target_precompile_headers(${name} REUSE_FROM attune_torch_headers)
endfunction()

# attune_embed(NAME FILE SYMBOL): a library that holds FILE's bytes between
# the symbols SYMBOL_begin and SYMBOL_end.
function(attune_embed name file symbol)
  set(assembly ${CMAKE_CURRENT_BINARY_DIR}/${name}.s)
  file(CONFIGURE OUTPUT ${assembly} @ONLY CONTENT [[
.section .rodata
.global @symbol@_begin
.global @symbol@_end
.balign 16
@symbol@_begin:
.incbin "@file@"
@symbol@_end:
.byte 0
.section .note.GNU-stack,"",%progbits
]])
  add_library(${name} STATIC ${assembly})
  set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS ${file})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C)
endfunction()

# For targets that see both LibTorch and gRPC, whose dependencies (re2) ask for
# -pthread: its one effect on compiling is a macro that nothing here reads and
# that would make the compiler refuse the precompiled header.
function(attune_torch_beside_grpc)
  foreach(name ${ARGN})
    target_compile_options(${name} PRIVATE -U_REENTRANT)
  endforeach()
endfunction()
