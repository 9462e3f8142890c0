# Kernels of our own for a CUDA build (the .cu files), where there is a compiler
# of LibTorch's CUDA version for them. Without one, LibTorch's operators do
# their work.
#
# Sets ATTUNE_CUDA_KERNELS.

set(ATTUNE_CUDA_KERNELS OFF)
if(ATTUNE_CUDA)
  find_program(ATTUNE_NVCC NAMES $ENV{CUDACXX} nvcc
    HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  set(_version)
  if(ATTUNE_NVCC)
    # Before CMake tries it: another version may not know the GPUs below.
    execute_process(COMMAND ${ATTUNE_NVCC} --version OUTPUT_VARIABLE _version)
  endif()
  if(_version MATCHES "release 13\\.")
    set(ATTUNE_CUDA_KERNELS ON)
    set(CMAKE_CUDA_COMPILER ${ATTUNE_NVCC})
    # All that CUDA 13 knows, and for later ones the last one's general code.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES
          75-real 80-real 86-real 89-real 90-real 100-real 120)
    endif()
    enable_language(CUDA)
    # One runtime a process: LibTorch's (FindLibTorch.cmake).
    set(CMAKE_CUDA_RUNTIME_LIBRARY None)
  else()
    message(WARNING "There is no nvcc of CUDA 13 (in PATH, CUDACXX, CUDA_HOME "
                    "or /usr/local/cuda): on a GPU this build computes with "
                    "LibTorch's operators alone")
  endif()
endif()

# attune_cuda_sources(NAME SOURCES …): adds what only a build with kernels has.
function(attune_cuda_sources name)
  cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
  if(NOT ATTUNE_CUDA_KERNELS)
    return()
  endif()
  target_sources(${name} PRIVATE ${ARG_SOURCES})
  # The newest that CMake 3.25 can ask nvcc for.
  set_target_properties(${name} PROPERTIES
    CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON)
  target_compile_options(${name} PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Wall,-Wextra>")
endfunction()
