// Every row of the table, on every instruction set that Highway can take here, gives the bits of
// the definition in formats/mx_block.h; the definition itself is tested beside it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/parallel.h"
#include "formats/e4m3.h"
#include "formats/half.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "support/float_mode.h"
#include "support/golden_file.h"
#include "support/highway_targets.h"
#include "support/test_support.h"

namespace mxvideo::kernels {
namespace {

using formats::ElementRounding;
using formats::kMxBlockSize;
using formats::MxOptions;
using formats::ScaleRule;
using test::FloatMode;

std::vector<MxOptions> all_options() {
  std::vector<MxOptions> options;
  for (const ScaleRule rule :
       {ScaleRule::kRceil, ScaleRule::kFloor, ScaleRule::kCeil, ScaleRule::kEven}) {
    for (const auto rounding : {ElementRounding::kNearestEven, ElementRounding::kHalfAway}) {
      for (const bool flush : {false, true}) {
        options.push_back({.scale_rule = rule, .rounding = rounding, .flush_tiny_blocks = flush});
      }
      options.push_back(
          {.element = formats::MxElement::kInt8, .scale_rule = rule, .rounding = rounding});
    }
  }
  return options;
}

// Codes and scales between canaries, at addresses that nothing is aligned to.
class Output {
 public:
  Output(int64_t m, int64_t k)
      : codes_(static_cast<size_t>(m * k) + 2 * kGuard, kCanary),
        scales_(static_cast<size_t>(m * k / kMxBlockSize) + 2 * kGuard, kCanary) {}
  uint8_t* codes() { return codes_.data() + kGuard; }
  uint8_t* scales() { return scales_.data() + kGuard; }
  bool operator==(const Output&) const = default;

 private:
  static constexpr size_t kGuard = 67;
  static constexpr uint8_t kCanary = 0xa5;
  std::vector<uint8_t> codes_, scales_;
};

struct Matrix {
  std::vector<float> values = {};
  int64_t k = kMxBlockSize;
  int64_t m() const { return static_cast<int64_t>(values.size()) / k; }
};

enum class Input : uint8_t { kF32, kBf16 };

// The values must be BF16 numbers when the row is to read them as such.
Output run(const Row<QuantizeMxArgs>& row, const Matrix& matrix, const MxOptions& options,
           FloatMode mode = FloatMode::kDefault, Input input = Input::kF32) {
  Output output(matrix.m(), matrix.k);
  // One element off the alignment that a vector would like.
  std::vector<float> shifted(1);
  shifted.insert(shifted.end(), matrix.values.begin(), matrix.values.end());
  std::vector<uint16_t> halves;
  halves.reserve(shifted.size());
  for (const float value : shifted) {
    halves.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
  }
  const test::FloatModeScope scope(mode);
  row.run({.x = input == Input::kF32 ? shifted.data() + 1 : nullptr,
           .x_bf16 = input == Input::kBf16 ? halves.data() + 1 : nullptr,
           .codes = output.codes(),
           .scales = output.scales(),
           .m = matrix.m(),
           .k = matrix.k,
           .options = options});
  return output;
}

Output by_definition(const Matrix& matrix, const MxOptions& options) {
  Output output(matrix.m(), matrix.k);
  const auto blocks = static_cast<int64_t>(matrix.values.size()) / kMxBlockSize;
  for (int64_t i = 0; i < blocks; ++i) {
    output.scales()[i] = formats::quantize_mx_block(
        std::span<const float, kMxBlockSize>(matrix.values.data() + i * kMxBlockSize, kMxBlockSize),
        options, std::span<uint8_t, kMxBlockSize>(output.codes() + i * kMxBlockSize, kMxBlockSize));
  }
  return output;
}

// Every row that this CPU runs, on every Highway target, must equal the definition.
void expect_definition(const Matrix& matrix, const MxOptions& options, const std::string& what,
                       FloatMode mode = FloatMode::kDefault, Input input = Input::kF32) {
  const Output expected = by_definition(matrix, options);
  const auto label = [&](const char* row, const char* target) {
    return what + ", " + std::string(mx_format_name(options.element)) + ", row " + row + " " +
           target + ", rule " + std::string(scale_rule_name(options.scale_rule)) +
           (options.rounding == ElementRounding::kHalfAway ? ", half away" : "") +
           (options.flush_tiny_blocks ? ", flush" : "");
  };
  for (const auto& row : host_rows(quantize_mx_rows())) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    if (std::string_view(row.name) == "highway") {
      test::for_each_highway_target([&](const char* target) {
        EXPECT_TRUE(run(row, matrix, options, mode, input) == expected) << label(row.name, target);
      });
    } else {
      EXPECT_TRUE(run(row, matrix, options, mode, input) == expected) << label(row.name, "");
    }
  }
}

void append_padded(Matrix& matrix, std::vector<float> values) {
  values.resize((values.size() + kMxBlockSize - 1) / kMxBlockSize * kMxBlockSize);
  matrix.values.insert(matrix.values.end(), values.begin(), values.end());
}

Matrix every_bf16(uint32_t seed) {
  Matrix matrix;
  for (uint32_t i = 0; i < 65536; ++i) {
    const float value = formats::decode_bf16(static_cast<uint16_t>(i));
    if (std::isfinite(value)) matrix.values.push_back(value);
  }
  std::mt19937 random(seed);
  if (seed != 0) std::shuffle(matrix.values.begin(), matrix.values.end(), random);
  matrix.values.resize(matrix.values.size() / kMxBlockSize * kMxBlockSize);
  return matrix;
}

// For every exponent of the block maximum: all E4M3 values, the ties between them and the fp32
// neighbours of both, as they lie under the scales that the rules can choose.
Matrix ties_at_every_scale() {
  Matrix matrix;
  for (int exponent = -149; exponent <= 119; ++exponent) {
    std::vector<float> points;
    for (uint8_t code = 0; code < formats::kE4m3MaxCode; ++code) {
      const double value = formats::decode_e4m3(code);
      const double next = formats::decode_e4m3(static_cast<uint8_t>(code + 1));
      for (const double point : {value, (value + next) / 2}) {
        const auto scaled = static_cast<float>(std::ldexp(point, exponent));
        points.push_back(scaled);
        points.push_back(-std::nextafter(scaled, 0.0f));
        points.push_back(std::nextafter(scaled, std::numeric_limits<float>::max()));
      }
    }
    // The maximum first in every block, so that all blocks have the scale of the largest.
    std::vector<float> blocks;
    for (size_t i = 0; i < points.size(); ++i) {
      if (blocks.size() % kMxBlockSize == 0) blocks.push_back(std::ldexp(448.0f, exponent));
      blocks.push_back(points[i]);
    }
    append_padded(matrix, blocks);
  }
  return matrix;
}

// The same for INT8.
Matrix int8_ties_at_every_scale() {
  Matrix matrix;
  for (int exponent = -149; exponent <= 127; ++exponent) {
    std::vector<float> block;
    for (int half_steps = 0; half_steps <= 2 * 127; ++half_steps) {
      if (block.size() % kMxBlockSize == 0) block.push_back(std::ldexp(127.0f, exponent - 6));
      const auto point = static_cast<float>(std::ldexp(half_steps, exponent - 7));
      block.push_back(half_steps % 3 == 0 ? -point : point);
      block.push_back(std::nextafter(point, 0.0f));
      block.push_back(-std::nextafter(point, std::numeric_limits<float>::max()));
    }
    append_padded(matrix, block);
  }
  return matrix;
}

Matrix random_matrix(int64_t m, int64_t k, uint32_t seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Matrix matrix{.k = k};
  for (int64_t i = 0; i < m * k; ++i) {
    matrix.values.push_back(normal(random) * std::exp2(normal(random) * spread));
  }
  return matrix;
}

Matrix random_bits(bool finite) {
  std::mt19937 random(3);
  Matrix matrix;
  while (matrix.values.size() < size_t{4096} * kMxBlockSize) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!finite || std::isfinite(value)) matrix.values.push_back(value);
  }
  return matrix;
}

// A special value at each position of a block of ordinary, zero or tiny numbers.
Matrix specials() {
  const float infinity = std::numeric_limits<float>::infinity();
  Matrix matrix;
  for (const float special :
       {infinity, -infinity, std::bit_cast<float>(0x7fc00000u), std::bit_cast<float>(0xff800001u),
        -0.0f, 0.0f, 0x1p-149f, -0x1p-149f, 0x1p-127f, 0x1p-126f, 0x1p-119f, 0x1p-118f, 3.4e38f}) {
    for (const float rest : {1.5f, 0.0f, -0x1p-140f}) {
      for (int position = 0; position < kMxBlockSize; ++position) {
        std::vector<float> block(kMxBlockSize, rest);
        block[static_cast<size_t>(position)] = special;
        append_padded(matrix, block);
      }
    }
  }
  return matrix;
}

TEST(QuantizeMx, RowsEqualTheDefinition) {
  const std::pair<const char*, Matrix> cases[] = {
      {"gaussian", random_matrix(64, 320, 1, 0)},
      {"heavy tails", random_matrix(64, 320, 2, 6)},
      {"every bf16 in order", every_bf16(0)},
      {"every bf16 shuffled", every_bf16(9)},
      {"ties", ties_at_every_scale()},
      {"ties of INT8", int8_ties_at_every_scale()},
      {"random finite bits", random_bits(true)},
      {"random bits", random_bits(false)},
      {"special values", specials()},
  };
  for (const auto& [what, matrix] : cases) {
    for (const MxOptions& options : all_options()) expect_definition(matrix, options, what);
  }
}

Matrix as_bf16(Matrix matrix) {
  for (float& value : matrix.values) {
    value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xffff0000u);
  }
  return matrix;
}

TEST(QuantizeMx, RowsReadBf16) {
  const std::pair<const char*, Matrix> cases[] = {
      {"gaussian", as_bf16(random_matrix(61, 320, 1, 0))},
      {"heavy tails", as_bf16(random_matrix(61, 320, 2, 6))},
      {"every bf16 in order", every_bf16(0)},
      {"every bf16 shuffled", every_bf16(9)},
      {"random bits", as_bf16(random_bits(false))},
      {"special values", as_bf16(specials())},
  };
  for (const FloatMode mode : {FloatMode::kDefault, FloatMode::kFlushToZero}) {
    for (const auto& [what, matrix] : cases) {
      for (const MxOptions& options : all_options()) {
        expect_definition(matrix, options, std::string("BF16, ") + what, mode, Input::kBf16);
      }
    }
  }
}

// A block without an exact scale at each place, between ordinary ones.
TEST(QuantizeMx, OneStrangeBlockAmongOthers) {
  for (const float strange : {0.0f, 0x1p-140f, std::numeric_limits<float>::infinity()}) {
    for (int64_t place = 0; place < 140; ++place) {
      Matrix matrix = random_matrix(1, int64_t{140} * kMxBlockSize, 6, 2);
      const auto block = matrix.values.begin() + place * kMxBlockSize;
      std::fill(block, block + kMxBlockSize, strange);
      expect_definition(matrix, {}, "block " + std::to_string(place));
    }
  }
}

TEST(QuantizeMx, RowsTakeEveryShape) {
  for (const int64_t k : {32, 64, 96, 160, 1024}) {
    for (const int64_t m : {0, 1, 2, 3, 7, 17}) {
      const std::string what = std::to_string(m) + " x " + std::to_string(k);
      expect_definition(random_matrix(m, k, 5, 3), {}, what);
    }
  }
}

TEST(QuantizeMx, EntryGivesTheSameBitsForAnyThreadCount) {
  const int before = num_threads();
  for (const auto& [m, k] : {std::pair{1, 32}, {1, 32 * 2001}, {301, 96}, {1000, 320}}) {
    const Matrix matrix = as_bf16(random_matrix(m, k, 11, 4));
    std::vector<uint16_t> halves;
    for (const float value : matrix.values) halves.push_back(formats::encode_bf16(value));
    for (const auto& row : host_rows(quantize_mx_rows())) {
      if (!test::require_cpu(row.requires_cpu, row.name)) continue;
      for (const int threads : {1, 2, 7}) {
        set_num_threads(threads);
        Context context;
        context.policy.forced_rows["quantize_mx"] = row.name;
        Output output(m, k);
        quantize_mx({.x = matrix.values.data(),
                     .codes = output.codes(),
                     .scales = output.scales(),
                     .m = m,
                     .k = k,
                     .options = {}},
                    context);
        EXPECT_TRUE(output == by_definition(matrix, {}))
            << row.name << " " << m << " x " << k << ", " << threads << " threads";
        EXPECT_EQ(context.choices().size(), 1u);
        Output from_bf16(m, k);
        quantize_mx({.x_bf16 = halves.data(),
                     .codes = from_bf16.codes(),
                     .scales = from_bf16.scales(),
                     .m = m,
                     .k = k,
                     .options = {}},
                    context);
        EXPECT_TRUE(from_bf16 == output) << "BF16, " << row.name;
      }
    }
  }
  set_num_threads(before);
}

TEST(QuantizeMx, RowsEqualTorchaoRceil) {
  const test::GoldenFile golden("formats/blocks_torchao.safetensors");
  const Matrix matrix{.values = golden.f32("bf16.input")};
  const std::vector<uint8_t> codes = golden.u8("bf16.e4m3.rceil.codes");
  const std::vector<uint8_t> scales = golden.u8("bf16.e4m3.rceil.scale");
  ASSERT_EQ(codes.size(), matrix.values.size());
  Output expected(matrix.m(), matrix.k);
  std::memcpy(expected.codes(), codes.data(), codes.size());
  std::memcpy(expected.scales(), scales.data(), scales.size());
  for (const auto& row : host_rows(quantize_mx_rows())) {
    if (!test::require_cpu(row.requires_cpu, row.name)) continue;
    EXPECT_TRUE(run(row, matrix, {}) == expected) << row.name;
  }
}

TEST(QuantizeMx, FlushToZeroChangesNothing) {
  for (const Matrix& matrix :
       {every_bf16(4), ties_at_every_scale(), int8_ties_at_every_scale(), specials()}) {
    for (const MxOptions& options : all_options()) {
      expect_definition(matrix, options, "flush to zero", FloatMode::kFlushToZero);
    }
  }
}

}  // namespace
}  // namespace mxvideo::kernels
