// MXVIDEO_UNROLL before a loop of constant length whose arrays of vectors must become registers.
// Macros only, so that ISA files may include it.
#pragma once

#ifdef __clang__
#define MXVIDEO_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MXVIDEO_UNROLL _Pragma("GCC unroll 32")
#endif
