// Random and exact MXFP8 products with their exact results, for the tests of gemm_mx.
// The expected values come from the definition of the formats written out here in double, not from
// formats/ or reference.cpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels/gemm_mx/cpu/mx_panels.h"

namespace mxvideo::kernels::test {

inline constexpr int64_t kBlock = 32;

struct Shape {
  int64_t m = 1;
  int64_t n = 1;
  int64_t k = 32;
};

inline double e4m3_value(uint8_t code) {
  const int exponent = (code >> 3) & 15;
  const int mantissa = code & 7;
  if ((code & 0x7f) == 0x7f) return std::numeric_limits<double>::quiet_NaN();
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return code & 0x80 ? -magnitude : magnitude;
}

inline double e8m0_value(uint8_t byte) {
  return byte == 255 ? std::numeric_limits<double>::quiet_NaN() : std::ldexp(1.0, byte - 127);
}

// Of one output, exact up to double rounding: Σ x·w, Σ |x·w|, and by how much the sum may change
// when each element of a block moves by at most d of its scale: d · moved + d² · moved_twice.
// `tiny`: Σ |x·w| of blocks whose scale bytes add up to less than kTinyScales.
inline constexpr int kTinyScales = 140;
struct ExactSum {
  double value = 0;
  double magnitude = 0;
  double moved = 0;
  double moved_twice = 0;
  double tiny = 0;
};

class Problem {
 public:
  explicit Problem(Shape shape, formats::MxElement element = formats::MxElement::kE4m3)
      : shape_(shape),
        element_(element),
        x_codes(static_cast<size_t>(shape.m * shape.k)),
        x_scales(static_cast<size_t>(shape.m * shape.k / kBlock), 127),
        w_codes(static_cast<size_t>(shape.n * shape.k)),
        w_scales(static_cast<size_t>(shape.n * shape.k / kBlock), 127) {}

  // Codes 0, ±32, ±64, ±128, ±192, ±256 and scales 2^-1..2^1: every partial sum in any order is
  // exact in fp32 while k <= 4096, and blocks fill their scales.
  static Problem exact(Shape shape, uint32_t seed) {
    Problem p(shape);
    std::mt19937 random(seed);
    constexpr uint8_t kCodes[] = {0x00, 0x60, 0x68, 0x70, 0x74, 0x78};
    for (auto* codes : {&p.x_codes, &p.w_codes}) {
      for (uint8_t& code : *codes) {
        const uint32_t sign = random() % 2 << 7;
        code = static_cast<uint8_t>(kCodes[random() % 6] | sign);
      }
    }
    p.random_scales(random, 126, 128);
    return p;
  }

  // Any code but NaN, the first of each block of at least 64 in magnitude; scales between the given
  // bytes.
  static Problem random(Shape shape, uint32_t seed, int lowest = 110, int highest = 140) {
    Problem p(shape);
    std::mt19937 random(seed);
    for (auto* codes : {&p.x_codes, &p.w_codes}) {
      for (uint8_t& code : *codes) {
        do code = static_cast<uint8_t>(random());
        while ((code & 0x7f) == 0x7f);
      }
      for (size_t i = 0; i < codes->size(); i += kBlock) {
        if (((*codes)[i] & 0x7f) < 0x68)
          (*codes)[i] = static_cast<uint8_t>(((*codes)[i] & 0x87) | 0x70);
      }
    }
    p.random_scales(random, lowest, highest);
    return p;
  }

  // Any INT8 code.
  static Problem random_int8(Shape shape, uint32_t seed, int lowest = 110, int highest = 140) {
    Problem p(shape, formats::MxElement::kInt8);
    std::mt19937 random(seed);
    for (auto* codes : {&p.x_codes, &p.w_codes}) {
      for (uint8_t& code : *codes) code = static_cast<uint8_t>(random());
    }
    p.random_scales(random, lowest, highest);
    return p;
  }

  MxPanels packed() const {
    return pack_mx_panels(w_codes.data(), w_scales.data(), shape_.n, shape_.k, element_);
  }

  ExactSum exact_sum(int64_t i, int64_t j) const {
    ExactSum sum;
    const int64_t k = shape_.k;
    for (int64_t t = 0; t < k; ++t) {
      const double x = table().code[x_codes[static_cast<size_t>(i * k + t)]] *
                       table().scale[x_scales[static_cast<size_t>((i * k + t) / kBlock)]];
      const double w = table().code[w_codes[static_cast<size_t>(j * k + t)]] *
                       table().scale[w_scales[static_cast<size_t>((j * k + t) / kBlock)]];
      sum.value += x * w;
      sum.magnitude += std::fabs(x * w);
      const uint8_t x_scale = x_scales[static_cast<size_t>((i * k + t) / kBlock)];
      const uint8_t w_scale = w_scales[static_cast<size_t>((j * k + t) / kBlock)];
      if (x_scale + w_scale < kTinyScales) sum.tiny += std::fabs(x * w);
      const double x_step = table().scale[x_scale];
      const double w_step = table().scale[w_scale];
      sum.moved += x_step * std::fabs(w) + w_step * std::fabs(x);
      sum.moved_twice += x_step * w_step;
    }
    return sum;
  }

  const Shape& shape() const { return shape_; }

 private:
  struct Tables {
    double code[256];
    double scale[256];
    explicit Tables(formats::MxElement element) {
      for (int i = 0; i < 256; ++i) {
        code[i] = element == formats::MxElement::kInt8 ? static_cast<int8_t>(i) / 64.0
                                                       : e4m3_value(static_cast<uint8_t>(i));
        scale[i] = e8m0_value(static_cast<uint8_t>(i));
      }
    }
  };
  const Tables& table() const {
    static const Tables kE4m3(formats::MxElement::kE4m3), kInt8(formats::MxElement::kInt8);
    return element_ == formats::MxElement::kInt8 ? kInt8 : kE4m3;
  }

  void random_scales(std::mt19937& random, int lowest, int highest) {
    std::uniform_int_distribution<int> scale(lowest, highest);
    for (uint8_t& s : x_scales) s = static_cast<uint8_t>(scale(random));
    for (uint8_t& s : w_scales) s = static_cast<uint8_t>(scale(random));
  }

  Shape shape_;
  formats::MxElement element_;

 public:
  std::vector<uint8_t> x_codes;   // [m, k]
  std::vector<uint8_t> x_scales;  // [m, k/32]
  std::vector<uint8_t> w_codes;   // [n, k]
  std::vector<uint8_t> w_scales;  // [n, k/32]
};

}  // namespace mxvideo::kernels::test
