# LibTorch out of the PyPI wheel that deploy/install_dependencies.sh unpacks.
#
# LibTorch::cpu   headers, libtorch_cpu and libc10; with ATTUNE_CUDA
#                      libtorch_cuda too
#
# PyTorch's own find_package(Torch) needs a CUDA toolkit even for CPU code.

set(LibTorch_ROOT ${ATTUNE_CACHE_DIR}/libtorch-2.11.0
    CACHE PATH "Folder with LibTorch's include and lib")
find_path(LibTorch_INCLUDE_DIR torch/types.h NO_DEFAULT_PATH
  PATHS ${LibTorch_ROOT}/include
        ${LibTorch_ROOT}/include/torch/csrc/api/include)
find_library(LibTorch_CPU_LIBRARY torch_cpu NO_DEFAULT_PATH
  PATHS ${LibTorch_ROOT}/lib)
find_library(LibTorch_C10_LIBRARY c10 NO_DEFAULT_PATH
  PATHS ${LibTorch_ROOT}/lib)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS
  LibTorch_INCLUDE_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY)

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  # -idirafter: PyTorch carries headers of other libraries, and the system's
  # must win.
  target_compile_options(LibTorch::cpu INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${LibTorch_ROOT}/include>"
    "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${LibTorch_ROOT}/include/torch/csrc/api/include>")
  target_link_libraries(LibTorch::cpu INTERFACE
    ${LibTorch_CPU_LIBRARY} ${LibTorch_C10_LIBRARY} Threads::Threads)
  target_link_options(LibTorch::cpu INTERFACE
    -Wl,-rpath,${LibTorch_ROOT}/lib -Wl,-rpath-link,${LibTorch_ROOT}/lib)
  if(ATTUNE_CUDA)
    find_library(LibTorch_CUDA_LIBRARY torch_cuda NO_DEFAULT_PATH REQUIRED
      PATHS ${LibTorch_ROOT}/lib)
    # Nothing names a symbol of libtorch_cuda: it registers its kernels when it
    # is loaded, so the linker must keep it. The driver's libcuda.so.1 may be
    # missing where this is linked.
    target_link_libraries(LibTorch::cpu INTERFACE
      -Wl,--no-as-needed ${LibTorch_CUDA_LIBRARY} -Wl,--as-needed)
    target_link_options(LibTorch::cpu INTERFACE -Wl,--allow-shlib-undefined)
    if(ATTUNE_CUDA_KERNELS)
      find_library(LibTorch_CUDA_RUNTIME libcudart.so.13 NO_DEFAULT_PATH REQUIRED
        PATHS ${LibTorch_ROOT}/lib)
      target_link_libraries(LibTorch::cpu INTERFACE ${LibTorch_CUDA_RUNTIME})
    endif()
  endif()
endif()
