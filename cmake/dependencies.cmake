# Everything comes from Debian packages (tools/setup.sh); nothing is downloaded while configuring.
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
if(NOT MXVIDEO_X86_64)
  # The kernels keep vectors in arrays, so their length must be known to the compiler.
  target_compile_definitions(PkgConfig::HWY INTERFACE
    "HWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE_256|HWY_SVE2|HWY_SVE2_128|HWY_RVV)")
endif()

# oneDNN's own CMake package asks for OpenCL headers, which only its GPU side needs. Debian's
# development packages for two processors exclude each other; the library alone is enough.
find_library(DNNL_LIBRARY NAMES dnnl libdnnl.so.2 REQUIRED)
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
add_library(dnnl INTERFACE IMPORTED)
target_link_libraries(dnnl INTERFACE ${DNNL_LIBRARY})
target_include_directories(dnnl SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})

if(MXVIDEO_KERNELS_ONLY)
  return()
endif()
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(benchmark REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(FFMPEG REQUIRED IMPORTED_TARGET
  libavfilter libavformat libavcodec libavutil libswscale)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpmux)
pkg_check_modules(WEBPDEMUX REQUIRED IMPORTED_TARGET libwebpdemux)  # tests only
pkg_check_modules(AVIF REQUIRED libavif)
pkg_check_modules(HEIF REQUIRED libheif)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc)

# Headers alone: src/media/ loads these libraries when they are needed.
add_library(loaded_later INTERFACE IMPORTED)
target_include_directories(loaded_later SYSTEM INTERFACE
  ${FFMPEG_INCLUDE_DIRS} ${AVIF_INCLUDE_DIRS} ${HEIF_INCLUDE_DIRS})
foreach(name avif heif)  # their headers do not tell the name with the number of the interface
  find_library(${name}_file ${name} REQUIRED)
  execute_process(COMMAND ${CMAKE_OBJDUMP} -p ${${name}_file} OUTPUT_VARIABLE dynamic
                  COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "SONAME +([^\n]+)" soname "${dynamic}")
  string(TOUPPER ${name} upper)
  target_compile_definitions(loaded_later INTERFACE MXVIDEO_${upper}_LIBRARY="${CMAKE_MATCH_1}")
endforeach()
