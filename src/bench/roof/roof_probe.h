// What this machine can do at best, measured: multiply-adds of each arithmetic unit, and memory.
// Every bench states its result as a fraction of these, taken in the same run.
//
// A rate is that of all threads that parallel_for uses now, the best of several short trials, about
// two seconds in all; measured once per thread count. Not thread-safe.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/system/cpu_features.h"

namespace mxvideo::bench {

enum class RoofUnit : uint8_t { kFp32Fma, kFp16Fma, kInt16Madd, kInt8Vnni, kBf16Dot, kBf16Amx };

// "fp32_fma", "fp16_fma", "int16_madd", "int8_vnni", "bf16_dot", "bf16_amx".
const char* unit_name(RoofUnit unit);

// The unit that multiplies in a row of a kernel table (kernels/registry.h), by the row's name; a
// test keeps this complete for the products and attention. Null for a name it does not know.
const RoofUnit* unit_of_row(std::string_view row);

// A loop that is compiled into this program.
struct RoofLoop {
  RoofUnit unit;
  const char* isa;  // "avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_fp16", "avx512_bf16", …
  CpuFeatures requires_cpu;
};
// Of each unit the widest first: the first that the CPU has is the unit's roof.
std::span<const RoofLoop> roof_loops();

struct UnitRoof {
  RoofUnit unit = RoofUnit::kFp32Fma;
  const char* isa = nullptr;         // null: this CPU has no such unit
  double operations_per_second = 0;  // two per multiply-add
};

struct Roofs {
  std::vector<UnitRoof> units;  // every unit, in the order of the enumeration
  // Of arrays that no cache holds. Reads: 0 without AVX2. Copies count the bytes that are read.
  double read_bytes_per_second = 0;
  double copy_bytes_per_second = 0;

  // 0: this CPU has no such unit.
  double operations_per_second(RoofUnit unit) const;
};

const Roofs& roofs();

}  // namespace mxvideo::bench
