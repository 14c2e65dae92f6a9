#include "kernels/attention/cpu/operand.h"

namespace mxvideo::kernels {

AttentionOperand::AttentionOperand(const AttentionArgs& args, HeadRows x, int64_t length,
                                   const AttentionNorm& norm, float* factors, Context& context)
    : x_(x),
      length_(length),
      heads_(args.heads),
      head_dim_(args.head_dim),
      norm_(norm),
      factors_(factors) {
  if (!normed()) return;
  norm_row_ =
      &select("rms_norm", rms_norm_rows(), {.rows = length, .dim = heads_ * head_dim_}, context);
  if (norm.cos == nullptr) return;
  rope_row_ = &select("rope", rope_rows(), {.rows = length, .heads = heads_, .head_dim = head_dim_},
                      context);
}

void AttentionOperand::prepare() const {
  if (!normed()) return;
  rms_factors(*norm_row_,
              {.x = x_.first,
               .rows = length_,
               .dim = heads_ * head_dim_,
               .epsilon = norm_.epsilon,
               .x_stride = x_.stride},
              factors_);
}

HeadRows AttentionOperand::rows(int64_t head, int64_t first, int64_t count,
                                float* memory) const noexcept {
  const float* const stored = x_.first + first * x_.stride + head * head_dim_;
  if (!normed()) return {stored, x_.stride};
  norm_row_->run({.x = stored,
                  .y = memory,
                  .rows = count,
                  .dim = head_dim_,
                  .weight = norm_.weight + head * head_dim_,
                  .x_stride = x_.stride,
                  .factors = factors_ + first});
  if (rope_row_ != nullptr) {
    rope_row_->run({.x = memory,
                    .cos = norm_.cos + first * (head_dim_ / 2),
                    .sin = norm_.sin + first * (head_dim_ / 2),
                    .rows = count,
                    .heads = 1,
                    .head_dim = head_dim_});
  }
  return {memory, head_dim_};
}

}  // namespace mxvideo::kernels
