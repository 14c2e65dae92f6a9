target_sources(mxvideo_kernels PRIVATE cpu/rows_x86_64.cpp)
# -O3 in every build type: the tiles are loops that must be unrolled into registers.
mxvideo_add_isa_kernels(kernels gemm_mx_avx2
  FLAGS -mavx2 -mfma -mf16c -O3
  SOURCES cpu/avx2.cpp)
mxvideo_add_isa_kernels(kernels gemm_mx_avx2_int16
  FLAGS -mavx2 -mfma -O3
  SOURCES cpu/avx2_int16.cpp)
mxvideo_add_isa_kernels(kernels gemm_mx_avx_vnni_int16
  FLAGS -mavx2 -mfma -mavxvnni -O3
  SOURCES cpu/avx_vnni_int16.cpp)
# GCC 12 warns about the deliberately undefined registers of its own AVX-512 header.
set(no_undefined_warnings
  $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
mxvideo_add_isa_kernels(kernels gemm_mx_avx512
  FLAGS -mavx512f -mavx512bw -mfma -mf16c -O3 ${no_undefined_warnings}
  SOURCES cpu/avx512.cpp)
mxvideo_add_isa_kernels(kernels gemm_mx_avx512_vnni
  FLAGS -mavx512f -mavx512bw -mavx512vnni -mfma -O3 ${no_undefined_warnings}
  SOURCES cpu/avx512_vnni_int16.cpp cpu/avx512_vnni_int8.cpp)
mxvideo_add_isa_kernels(kernels gemm_mx_avx512_bf16
  FLAGS -mavx512f -mavx512bw -mavx512bf16 -mfma -O3 ${no_undefined_warnings}
  SOURCES cpu/avx512_bf16.cpp)
mxvideo_add_isa_kernels(kernels gemm_mx_amx
  FLAGS -mavx512f -mavx512bw -mamx-tile -mamx-bf16 -O3 ${no_undefined_warnings}
  SOURCES cpu/amx_bf16.cpp)
