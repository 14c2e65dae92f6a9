// Rows of q or k as the products read them: normed and rotated (AttentionNorm), piece by piece.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"

namespace mxvideo::kernels {

struct HeadRows {
  const float* first = nullptr;  // [rows, head_dim], or of all heads
  int64_t stride = 0;            // floats between rows
};

class AttentionOperand {
 public:
  // x: [length, heads, head_dim] of `args`; `factors` [length]: memory for a norm. All must outlive
  // the object.
  AttentionOperand(const AttentionArgs& args, HeadRows x, int64_t length, const AttentionNorm& norm,
                   float* factors, Context& context);

  // The factors of a norm; before rows(). On all threads.
  void prepare() const;

  bool normed() const { return norm_.weight != nullptr; }
  // Rows [first, first + count) of a head; those of a norm in `memory` [count, head_dim].
  // Thread-safe.
  HeadRows rows(int64_t head, int64_t first, int64_t count, float* memory) const noexcept;

 private:
  HeadRows x_;
  int64_t length_;
  int64_t heads_;
  int64_t head_dim_;
  AttentionNorm norm_;
  float* factors_;
  const Row<RmsNormArgs>* norm_row_ = nullptr;
  const Row<RopeArgs>* rope_row_ = nullptr;
};

}  // namespace mxvideo::kernels
