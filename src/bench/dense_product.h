// oneDNN's dense x · w with weights in its own layout: the rival of our matrix products.
// Not copyable; run() from one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace mxvideo::bench {

enum class RivalType : uint8_t { kF32, kBf16, kInt8 };
inline constexpr std::array kRivalTypes = {RivalType::kF32, RivalType::kBf16, RivalType::kInt8};

class DenseProduct {
 public:
  // x [m, k] and w [k, n] of `type`, y [m, n] in fp32. kInt8: u8 x s8 without scales, that is,
  // without any quantization of x. Null where oneDNN has no kernel for this CPU, or only a plain
  // loop, which is no rival.
  static std::unique_ptr<DenseProduct> create(int64_t m, int64_t n, int64_t k, RivalType type);
  ~DenseProduct();
  DenseProduct(const DenseProduct&) = delete;
  DenseProduct& operator=(const DenseProduct&) = delete;

  void run();

 private:
  struct Primitive;
  explicit DenseProduct(std::unique_ptr<Primitive> primitive);
  std::unique_ptr<Primitive> primitive_;
};

// "f32", "bf16", "int8".
const char* rival_name(RivalType type);

}  // namespace mxvideo::bench
