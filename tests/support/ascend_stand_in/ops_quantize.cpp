// aclnnDynamicMxQuant, to E4M3 with blocks of 32.
//
// The bits are those of src/formats/mx_block.h: scaleAlg 0 is its rule `floor` without
// flush_tiny_blocks, scaleAlg 1 its rule `rceil`. What lacks in the last block counts as zeros, and
// an odd number of scales is followed by one that is 0.
#include <algorithm>
#include <cstring>

#include "formats/mx_block.h"
#include "support/ascend_stand_in/executor.h"

namespace ascend_stand_in {
namespace {

namespace formats = mxvideo::formats;

constexpr int64_t kE4m3 = 36;  // of dstType
constexpr int64_t kBlock = formats::kMxBlockSize;

// x as [outer, length, inner], quantized along the middle.
struct Lines {
  int64_t outer, length, inner;
  int64_t pairs() const { return (length + 2 * kBlock - 1) / (2 * kBlock); }
};

Lines lines_of(const Dims& dims, int64_t axis) {
  Lines lines{1, dims[static_cast<size_t>(axis)], 1};
  for (int64_t d = 0; d < static_cast<int64_t>(dims.size()); ++d) {
    if (d < axis) lines.outer *= dims[static_cast<size_t>(d)];
    if (d > axis) lines.inner *= dims[static_cast<size_t>(d)];
  }
  return lines;
}

void quantize(const Operands& t, const Lines& lines, formats::ScaleRule rule) {
  const std::vector<float> x = read(t.in[0]);
  std::vector<uint8_t> codes(x.size());
  // [outer, pairs, inner, 2]
  std::vector<uint8_t> scales(static_cast<size_t>(lines.outer * lines.pairs() * lines.inner * 2));
  formats::MxOptions options;
  options.scale_rule = rule;
  for (int64_t line = 0; line < lines.outer * lines.inner; ++line) {
    const int64_t outer = line / lines.inner;
    const int64_t inner = line % lines.inner;
    for (int64_t first = 0; first < lines.length; first += kBlock) {
      const int64_t count = std::min(kBlock, lines.length - first);
      const auto at = [&](int64_t i) {
        return static_cast<size_t>((outer * lines.length + first + i) * lines.inner + inner);
      };
      float values[kBlock] = {};
      uint8_t block[kBlock];
      for (int64_t i = 0; i < count; ++i) values[i] = x[at(i)];
      const int64_t number = first / kBlock;
      const int64_t pair = (outer * lines.pairs() + number / 2) * lines.inner + inner;
      scales[static_cast<size_t>(pair * 2 + number % 2)] =
          formats::quantize_mx_block(values, options, block);
      for (int64_t i = 0; i < count; ++i) codes[at(i)] = block[i];
    }
  }
  write_bytes(t.out[0], codes);
  write_bytes(t.out[1], scales);
}

}  // namespace

aclnnStatus aclnnDynamicMxQuantGetWorkspaceSize(const aclTensor* x, int64_t axis, char* round_mode,
                                                int64_t dst_type, int64_t block_size,
                                                int64_t scale_alg, const aclTensor* y,
                                                const aclTensor* mxscale, uint64_t* workspace_size,
                                                aclOpExecutor** executor) {
  STAND_IN_DESCRIBE(aclnnDynamicMxQuant, [&](Plan& plan) {
    plan.require_a5();
    const Tensor& in = plan.input(x, "x");
    const Tensor& out = plan.output(y, "y");
    const Tensor& scales = plan.output(mxscale, "mxscale");
    plan.require_type(in, "x", {ACL_FLOAT16, ACL_BF16, ACL_FLOAT});
    plan.require_rank(in, "x", 1, 7);
    plan.require(in.count() > 0, "x is empty");
    plan.require(
        axis >= -in.rank() && axis < in.rank(),
        "axis " + std::to_string(axis) + " of " + std::to_string(in.rank()) + " dimensions");
    const auto along = static_cast<size_t>(axis < 0 ? axis + in.rank() : axis);
    plan.require(round_mode == nullptr || std::strcmp(round_mode, "rint") == 0,
                 "roundMode for FLOAT8 is \"rint\" only");
    plan.require(dst_type == kE4m3,
                 "the stand-in quantizes to 36, not to " + std::to_string(dst_type));
    plan.require(block_size == kBlock,
                 "the stand-in has blocks of 32, not of " + std::to_string(block_size));
    plan.require(in.dtype != ACL_FLOAT || in.dims[along] >= kBlock,
                 "FLOAT needs at least 32 elements along the axis");
    plan.require(scale_alg == 0 || scale_alg == 1,
                 "scaleAlg is " + std::to_string(scale_alg) + ", expected 0 or 1");
    plan.require_type(out, "y", {ACL_FLOAT8_E4M3FN});
    plan.require_dims(out, "y", in.dims);
    plan.require_contiguous(out, "y");
    const Lines lines = lines_of(in.dims, static_cast<int64_t>(along));
    Dims pairs = in.dims;
    pairs[along] = lines.pairs();
    pairs.push_back(2);
    plan.require_type(scales, "mxscale", {ACL_FLOAT8_E8M0});
    plan.require_dims(scales, "mxscale", pairs);
    plan.require_contiguous(scales, "mxscale");
    const auto rule = scale_alg == 0 ? formats::ScaleRule::kFloor : formats::ScaleRule::kRceil;
    plan.workspace(1024);
    plan.compute([lines, rule](const Operands& t) { quantize(t, lines, rule); });
  });
}
STAND_IN_SECOND_PHASE(aclnnDynamicMxQuant)

}  // namespace ascend_stand_in
