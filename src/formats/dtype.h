// Element types as checkpoints name them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mxvideo {

enum class DType : uint8_t {
  kBool,
  kU8,
  kI8,
  kI16,
  kU16,
  kI32,
  kU32,
  kI64,
  kU64,
  kF16,
  kBF16,
  kF32,
  kF64,
  kF8E4M3,
  kF8E5M2,
  kF8E8M0,
};

int64_t dtype_size(DType dtype);  // bytes per element

// safetensors spelling: "F32", "BF16", "F8_E4M3", …
std::string_view dtype_name(DType dtype);
std::optional<DType> parse_dtype(std::string_view safetensors_name);

}  // namespace mxvideo
