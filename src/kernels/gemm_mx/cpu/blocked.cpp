#include "kernels/gemm_mx/cpu/blocked.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <numeric>
#include <span>

#include "base/checked.h"
#include "base/parallel.h"
#include "formats/e8m0.h"
#include "formats/mx_block.h"
#include "kernels/gemm_mx/cpu/mx_panels.h"

namespace mxvideo::kernels {
namespace {

constexpr int64_t kBlock = formats::kMxBlockSize;

// About 1 MB per thread, touched only as far as a product needs.
struct Scratch {
  alignas(64) std::byte activations[kGemmActivationBytes];
  alignas(64) std::byte weights[kGemmPanelBytes];
  alignas(64) float sums[kGemmSums];
};
thread_local Scratch scratch;

// How y is cut: row_blocks x column_blocks blocks.
struct Plan {
  int64_t rows = 0;    // per block
  int64_t panels = 0;  // per block
  int64_t row_blocks = 0;
  int64_t column_blocks = 0;
};

Plan make_plan(int64_t m, int64_t panels, int64_t row_bytes, int64_t threads) {
  const int64_t fitting = kGemmActivationBytes / row_bytes / kGemmRowGrain * kGemmRowGrain;
  const int64_t max_rows = std::min(kGemmMaxRows, fitting);
  Plan plan;
  plan.rows = ceil_div(m, ceil_div(m, max_rows));
  const int64_t max_panels = kGemmSums / (plan.rows * kGemmPanel);
  plan.row_blocks = ceil_div(m, plan.rows);
  // Enough column blocks for equal shares of the threads, as far as there are panels.
  const int64_t share = threads / std::gcd(threads, plan.row_blocks);
  const int64_t wanted = ceil_div(ceil_div(panels, max_panels), share) * share;
  plan.panels = ceil_div(panels, std::min(wanted, panels));
  plan.column_blocks = ceil_div(panels, plan.panels);
  return plan;
}

struct Block {
  int64_t row = 0;
  int64_t rows = 0;
  int64_t panel = 0;
  int64_t panels = 0;
};

constexpr int64_t kLine = 64;  // bytes that memory delivers together

void fetch(const uint8_t* bytes, int64_t count) {
  for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(bytes + i);
}

// Pieces of rows are too short for the processor to see the next ones coming.
void decode_activations(const GemmMxArgs& args, const GemmMicroKernel& kernel, const Block& block,
                        int64_t first, int64_t depth) {
  constexpr int64_t kAhead = 32;
  const int64_t k = args.weight->k;
  for (int64_t r = 0; r < block.rows; ++r) {
    const int64_t row = block.row + r;
    if (r + kAhead < block.rows) {
      const int64_t next = (row + kAhead) * k + first;
      fetch(args.x_codes + next, depth);
      fetch(args.x_scales + next / kBlock, 1);
    }
    kernel.decode_activation(args.x_codes + row * k + first,
                             args.x_scales + (row * k + first) / kBlock, depth,
                             scratch.activations + r * kernel.row_bytes);
  }
}

// sums [rows, kGemmPanel] of the decoded panel. `next`: the codes that are decoded after it,
// fetched piecemeal meanwhile.
void multiply_panel(const GemmMicroKernel& kernel, int64_t rows, int64_t depth, bool accumulate,
                    float* sums, std::span<const uint8_t> next) {
  const auto lines = static_cast<int64_t>(next.size()) / kLine;
  const int64_t pieces = ceil_div(rows, kGemmRowGrain);
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t first = lines * i / pieces * kLine;
    fetch(next.data() + first, lines * (i + 1) / pieces * kLine - first);
    const int64_t row = i * kGemmRowGrain;
    kernel.multiply(scratch.activations + row * kernel.row_bytes, scratch.weights,
                    std::min(kGemmRowGrain, rows - row), depth, accumulate,
                    sums + row * kGemmPanel);
  }
}

// The sums of one panel, [rows, kGemmPanel], to their place; `sums` is overwritten.
void store_panel(const GemmMxCall& args, const Block& block, int64_t column, float* sums) {
  const int64_t n = args.weight->n;
  const bool quantized = args.mx.codes != nullptr;
  apply_epilogue(args.epilogue, {.row = block.row,
                                 .column = column,
                                 .rows = block.rows,
                                 .columns = std::min(kGemmPanel, n - column),
                                 .accumulators = sums,
                                 .accumulator_stride = kGemmPanel,
                                 .y = quantized ? sums : args.y + block.row * n + column,
                                 .y_stride = quantized ? kGemmPanel : n});
  if (quantized) quantize_outputs(args, block.row, block.rows, column, sums);
}

void compute_block(const GemmMxCall& args, const GemmMicroKernel& kernel, const Block& block) {
  const int64_t k = args.weight->k;
  const auto* codes = reinterpret_cast<const uint8_t*>(panels_of(args).codes.data());
  const auto* scales = reinterpret_cast<const uint8_t*>(panels_of(args).scales.data());
  for (int64_t first = 0; first < k; first += kGemmDepth) {
    const int64_t depth = std::min(kGemmDepth, k - first);
    decode_activations(args, kernel, block, first, depth);
    for (int64_t p = 0; p < block.panels; ++p) {
      const int64_t offset = ((block.panel + p) * k + first) * kGemmPanel;
      float* sums = scratch.sums + p * block.rows * kGemmPanel;
      kernel.decode_panel(codes + offset, scales + offset / kBlock, depth, scratch.weights);
      std::span<const uint8_t> next;
      if (p + 1 < block.panels) {
        next = {codes + offset + k * kGemmPanel, static_cast<size_t>(depth * kGemmPanel)};
      }
      multiply_panel(kernel, block.rows, depth, first > 0, sums, next);
      if (first + depth == k) store_panel(args, block, (block.panel + p) * kGemmPanel, sums);
    }
  }
}

// Whether a block of activations that is not zero has a smaller scale than fills_scales allows.
bool has_tiny_block(const GemmMxArgs& args) {
  const int zero_mask = args.weight->element == formats::MxElement::kInt8 ? 0xff : 0x7f;
  for (int64_t i = 0; i < args.m * (args.weight->k / kBlock); ++i) {
    if (args.x_scales[i] >= MxPanels::kSmallestScale) continue;
    const std::span block(args.x_codes + i * kBlock, static_cast<size_t>(kBlock));
    if (std::ranges::any_of(block, [&](uint8_t code) { return (code & zero_mask) != 0; })) {
      return true;
    }
  }
  return false;
}

}  // namespace

const char* decline_gemm_mx_overflow(const GemmMxArgs& args) noexcept {
  const int64_t k = args.weight->k;
  int largest = 0;
  for (int64_t i = 0; i < args.m * (k / kBlock); ++i) {
    const uint8_t scale = args.x_scales[i];
    if (scale != formats::kE8m0Nan) largest = std::max<int>(largest, scale);
  }
  // |x·w| < 2^18 before scaling; all k products together must stay below 2^127.
  constexpr int kLargestScale = 246;
  const int log2_k = std::bit_width(static_cast<uint64_t>(k));
  const int largest_weight = panels_of(args).max_scale;
  if (largest > kLargestScale || largest_weight > kLargestScale ||
      (largest - 127) + (largest_weight - 127) + 18 + log2_k > 127) {
    return "scales so large that sums might overflow fp32";
  }
  return nullptr;
}

const char* reject_gemm_mx_fp32(const GemmMxArgs& args, const RunPolicy& /*policy*/) noexcept {
  if (args.weight->element != formats::MxElement::kE4m3) return "elements that are not E4M3";
  return nullptr;
}

const char* reject_gemm_mx_int8(const GemmMxArgs& args, const RunPolicy& policy) noexcept {
  if (args.weight->element != formats::MxElement::kInt8) return "elements that are not INT8";
  return reject_gemm_mx_int16(args, policy);
}

const char* reject_gemm_mx_fast(const GemmMxArgs& args, const RunPolicy& policy) noexcept {
  if (args.weight->element != formats::MxElement::kE4m3) return "elements that are not E4M3";
  if (policy.compute == Compute::kExact) return "its elements are int8, which is not exact";
  if (policy.compute == Compute::kAuto && !(panels_of(args).fast_noise <= kAutoNoise)) {
    return "weights that int8 elements would add more than 0.3 dB of noise to";
  }
  return reject_gemm_mx_int16(args, policy);
}

const char* reject_gemm_mx_int16(const GemmMxArgs& args, const RunPolicy& /*policy*/) noexcept {
  if (!panels_of(args).fills_scales)
    return "weights whose blocks use little of their scales' range";
  return nullptr;
}

const char* decline_gemm_mx_tiny(const GemmMxArgs& args) noexcept {
  if (has_tiny_block(args)) return "activations among the fp32 subnormals";
  return decline_gemm_mx_overflow(args);
}

void run_gemm_mx_blocked(const GemmMxCall& args, const GemmMicroKernel& kernel) noexcept {
  const int64_t panels = ceil_div(args.weight->n, kGemmPanel);
  if (args.m <= 0 || panels <= 0) return;
  const Plan plan = make_plan(args.m, panels, kernel.row_bytes, num_threads());
  parallel_for_each(plan.row_blocks * plan.column_blocks, [&](int64_t i, int64_t) {
    const int64_t row = i / plan.column_blocks * plan.rows;
    const int64_t panel = i % plan.column_blocks * plan.panels;
    compute_block(args, kernel,
                  {.row = row,
                   .rows = std::min(plan.rows, args.m - row),
                   .panel = panel,
                   .panels = std::min(plan.panels, panels - panel)});
  });
}

void run_gemm_mx_highway(const GemmMxCall& args) noexcept {
  run_gemm_mx_blocked(args, gemm_mx_highway(args.weight->element == formats::MxElement::kInt8));
}

void quantize_outputs(const GemmMxCall& args, int64_t row, int64_t rows, int64_t column,
                      const float* outputs) noexcept {
  static_assert(kGemmPanel == kBlock);
  const int64_t n = args.weight->n;
  quantize_mx_piece(args.quantize, outputs,
                    {.row = row, .rows = rows, .column = column, .columns = kGemmPanel, .n = n},
                    args.mx);
}

}  // namespace mxvideo::kernels
