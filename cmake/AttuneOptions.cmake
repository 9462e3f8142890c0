# Compiler settings of the whole project.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Dev)
endif()
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1")
set(CMAKE_C_FLAGS_DEV "-O1 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

set(_warnings -Wall -Wextra)
if(ATTUNE_WARNINGS_AS_ERRORS)
  list(APPEND _warnings -Werror)
endif()
add_compile_options("$<$<COMPILE_LANGUAGE:C,CXX,ASM>:${_warnings}>")
if(ATTUNE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(ATTUNE_SANITIZE)
  list(JOIN ATTUNE_SANITIZE "," _sanitizers)
  add_compile_options(-fsanitize=${_sanitizers} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${_sanitizers})
endif()

# ccache and mold save most of the time between two builds; neither is needed.
find_program(ATTUNE_CCACHE ccache)
if(ATTUNE_CCACHE)
  set(_launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
                CCACHE_NOHASHDIR=1
                CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
                ${ATTUNE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${_launcher})
  set(CMAKE_C_COMPILER_LAUNCHER ${_launcher})
endif()
find_program(ATTUNE_MOLD mold)
if(ATTUNE_MOLD AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
  add_link_options(-fuse-ld=mold)
endif()

# Where install_dependencies.sh unpacks what comes from PyPI.
if(DEFINED ENV{ATTUNE_CACHE_DIR})
  set(_cache $ENV{ATTUNE_CACHE_DIR})
else()
  set(_cache $ENV{HOME}/.cache/attune)
endif()
set(ATTUNE_CACHE_DIR ${_cache} CACHE PATH "Folder of the unpacked wheels")
if(NOT EXISTS ${ATTUNE_CACHE_DIR}/vocabulary)
  message(FATAL_ERROR "${ATTUNE_CACHE_DIR} lacks the build's inputs: run "
                      "deploy/install_dependencies.sh first")
endif()
