// The vector ops on one block's activations of TI2V-5B (1,024 rows of 3,072), for every row of each
// table; all are bound by memory, so the work is bytes read and written.
#include <string>
#include <vector>

#include "kernel_bench/measure.h"
#include "kernel_bench/registry.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"

namespace mxvideo::bench {
namespace {

using kernels::Context;
using kernels::ElementwiseOp;

constexpr int64_t kRows = 1024;
constexpr int64_t kHeads = 24;
constexpr int64_t kHeadDim = 128;
constexpr int64_t kDim = kHeads * kHeadDim;

// Registers `call(x, y, context)` for each row of `op`; `streams` arrays pass through memory.
template <class Args, class Call>
void register_rows(const std::string& op, const std::string& variant,
                   std::span<const kernels::Row<Args>> rows, double streams, Call call) {
  for (const kernels::Row<Args>& row : rows) {
    const auto run = [op, name = row.name, streams, call](benchmark::State& state) {
      std::vector<float> x(kRows * kDim, 0.5f);
      std::vector<float> y(kRows * kDim, 0.25f);
      Context context;
      context.policy.forced_rows[op] = name;
      measure(state, {.bytes = streams * static_cast<double>(x.size() * sizeof(float))},
              [&] { call(x.data(), y.data(), context); });
    };
    add_bench(op + variant + "/" + row.name, run);
  }
}

void register_elementwise(const std::string& variant, ElementwiseOp op, double streams) {
  register_rows("elementwise", variant, kernels::host_rows(kernels::elementwise_rows()), streams,
                [op](float* x, float* y, Context& context) {
                  kernels::elementwise({.op = op, .x = x, .z = y, .y = y, .count = kRows * kDim},
                                       context);
                });
}

}  // namespace

void register_vector_ops() {
  static const std::vector<float> kOnes(kRows * kDim, 1.0f);
  register_rows("layer_norm", "", kernels::host_rows(kernels::layer_norm_rows()), 2,
                [](float* x, float* y, Context& context) {
                  kernels::layer_norm({.x = x,
                                       .y = y,
                                       .rows = kRows,
                                       .dim = kDim,
                                       .scale = kOnes.data(),
                                       .shift = kOnes.data()},
                                      context);
                });
  register_rows("rms_norm", "", kernels::host_rows(kernels::rms_norm_rows()), 2,
                [](float* x, float* y, Context& context) {
                  kernels::rms_norm(
                      {.x = x, .y = y, .rows = kRows, .dim = kDim, .weight = kOnes.data()},
                      context);
                });
  register_rows("rope", "", kernels::host_rows(kernels::rope_rows()), 2,
                [](float* x, float*, Context& context) {
                  kernels::rope({.x = x,
                                 .cos = kOnes.data(),
                                 .sin = kOnes.data(),
                                 .rows = kRows,
                                 .heads = kHeads,
                                 .head_dim = kHeadDim},
                                context);
                });
  register_elementwise("_silu", ElementwiseOp::kSilu, 2);
  register_elementwise("_gelu_tanh", ElementwiseOp::kGeluTanh, 2);
  register_elementwise("_add", ElementwiseOp::kAdd, 3);
}

}  // namespace mxvideo::bench
