# Helpers that every CMakeLists.txt of this repository uses.

# Whether files for x86-64 alone are compiled.
set(MXVIDEO_X86_64 OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(MXVIDEO_X86_64 ON)
endif()

# Compiler settings shared by all our code. FP contraction is off everywhere: a fused multiply-add
# is written as an intrinsic where it is meant, so that results do not depend on the optimiser.
add_library(mxvideo_options INTERFACE)
target_include_directories(mxvideo_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(mxvideo_options INTERFACE -ffp-contract=off -Wall -Wextra -Wshadow)
if(MXVIDEO_WERROR)
  target_compile_options(mxvideo_options INTERFACE -Werror)
endif()
if(MXVIDEO_SANITIZE)
  target_compile_options(mxvideo_options INTERFACE
    -fsanitize=${MXVIDEO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    # GCC 12 finds uninitialised members in std::regex when it instruments it, and only then.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(mxvideo_options INTERFACE -fsanitize=${MXVIDEO_SANITIZE})
endif()

# mxvideo_add_layer(NAME SOURCES... [DEPENDS layers and libraries...])
# One static library per folder of src/; DEPENDS may only name layers above it (tools/layers.txt).
function(mxvideo_add_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(mxvideo_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(mxvideo_${name} PUBLIC mxvideo_options ${ARG_DEPENDS})
endfunction()

# mxvideo_add_isa_kernels(LAYER FLAGS flags... SOURCES files...)
# Compiles SOURCES with FLAGS in an object library of their own and adds the objects to LAYER.
# Such objects define no weak symbol (a test checks it), so no code of another file can end up
# running instructions that this CPU lacks.
function(mxvideo_add_isa_kernels layer isa)
  cmake_parse_arguments(ARG "" "" "FLAGS;SOURCES" ${ARGN})
  set(objects mxvideo_${layer}_${isa})
  add_library(${objects} OBJECT ${ARG_SOURCES})
  target_link_libraries(${objects} PRIVATE mxvideo_options)
  target_compile_options(${objects} PRIVATE ${ARG_FLAGS})
  target_sources(mxvideo_${layer} PRIVATE $<TARGET_OBJECTS:${objects}>)
  set_property(GLOBAL APPEND PROPERTY MXVIDEO_ISA_OBJECT_LIBRARIES ${objects})
endfunction()

# mxvideo_add_test(NAME SOURCES... DEPENDS... [LABEL unit|golden|e2e|fuzz])
# One GoogleTest binary, one ctest entry. The shared main fails on skipped tests that this machine
# could run and prints the number of the others.
function(mxvideo_add_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;DEPENDS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} mxvideo_test_support)
  target_compile_definitions(${name} PRIVATE
    MXVIDEO_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden"
    MXVIDEO_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  # Sanitizers slow the longest test down to about that.
  set(timeout 900)
  if(MXVIDEO_SANITIZE)
    set(timeout 2700)
  endif()
  # Spinning OpenMP threads of several test processes would starve each other.
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${timeout}
    ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
