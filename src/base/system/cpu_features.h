// What this CPU can run: CPUID and the operating system's consent (XCR0) together.
#pragma once

#include <cstdint>
#include <string>

namespace mxvideo {

// Bits of a set; a kernel row states the set it needs.
using CpuFeatures = uint32_t;
inline constexpr CpuFeatures kCpuNone = 0;
inline constexpr CpuFeatures kCpuAvx2 = 1u << 0;        // AVX2 + FMA + F16C
inline constexpr CpuFeatures kCpuAvx512 = 1u << 1;      // AVX-512 F, BW, DQ, VL
inline constexpr CpuFeatures kCpuAvx512Vnni = 1u << 2;  // VPDPBUSD, 512 bit
inline constexpr CpuFeatures kCpuAvx512Bf16 = 1u << 3;
inline constexpr CpuFeatures kCpuAvx512Fp16 = 1u << 4;
inline constexpr CpuFeatures kCpuAmxInt8 = 1u << 5;
inline constexpr CpuFeatures kCpuAmxBf16 = 1u << 6;
inline constexpr CpuFeatures kCpuAvxVnni = 1u << 7;  // VPDPWSSD and VPDPBUSD, 256 bit, VEX
// VDPBF16PS is as fast as VPDPWSSD: on AMD. On Intel it is slower than an fp32 FMA.
inline constexpr CpuFeatures kCpuFullRateBf16 = 1u << 8;

// Detected once; thread-safe.
CpuFeatures cpu_features();

inline bool cpu_has(CpuFeatures available, CpuFeatures required) {
  return (available & required) == required;
}

// "avx2 avx512 …"; "none" for an empty set.
std::string cpu_features_to_string(CpuFeatures features);

// Parses a comma-separated list of the names above; throws Code::kInvalidArgument on others.
CpuFeatures parse_cpu_features(const std::string& list);

// Marketing name of the processor; empty when unknown.
std::string cpu_model_name();

}  // namespace mxvideo
