#include "kernels/registry.h"

#include <algorithm>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/nearest_name.h"
#include "kernels/attention/attention.h"
#include "kernels/conv3d/conv3d.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/gemm_mx/gemm_mx.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/layout/blend.h"
#include "kernels/layout/channel_affine.h"
#include "kernels/layout/copy_nd.h"
#include "kernels/layout/fill.h"
#include "kernels/layout/fold.h"
#include "kernels/layout/gather_rows.h"
#include "kernels/matmul/matmul.h"
#include "kernels/quantize_mx/quantize_mx.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "kernels/sampler/guidance.h"
#include "kernels/sampler/non_finite.h"
#include "kernels/sampler/unipc_step.h"
#include "kernels/tables/rope_tables.h"
#include "kernels/tables/time_sinusoid.h"

namespace mxvideo::kernels {
namespace {

template <class RowType>
OpInfo describe(const char* name, std::span<const RowType> rows) {
  OpInfo op{.name = name, .rows = {}};
  for (const RowType& row : rows) {
    op.rows.push_back({.name = row.name, .requires_cpu = row.requires_cpu, .device = row.device});
  }
  return op;
}

template <class Items>
std::vector<std::string> names_of(const Items& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

// "expected one of a, b or c; did you mean 'b'?"
std::string expected(const std::vector<std::string>& names, const std::string& given) {
  return "expected one of " + join_names(names) + did_you_mean(given, names);
}

}  // namespace

std::vector<OpInfo> registered_ops() {
  return {describe("attention", attention_rows()),
          describe("attention_int8", attention_rows(AttentionProducts::kInt8)),
          describe("blend", blend_rows()),
          describe("channel_affine", channel_affine_rows()),
          describe("conv3d", conv3d_rows()),
          describe("copy_nd", copy_nd_rows()),
          describe("elementwise", elementwise_rows()),
          describe("fill", fill_rows()),
          describe("fold", fold_rows()),
          describe("gather_rows", gather_rows_rows()),
          describe("gemm_mx", gemm_mx_rows()),
          describe("guidance", guidance_rows()),
          describe("layer_norm", layer_norm_rows()),
          describe("matmul", matmul_rows()),
          describe("non_finite", non_finite_rows()),
          describe("quantize_mx", quantize_mx_rows()),
          describe("rms_norm", rms_norm_rows()),
          describe("rope", rope_rows()),
          describe("rope_tables", rope_tables_rows()),
          describe("time_sinusoid", time_sinusoid_rows()),
          describe("unipc_step", unipc_step_rows())};
}

void check_row_runs(const std::string& op, const std::string& row) {
  const std::vector<OpInfo> ops = registered_ops();
  const auto found = std::ranges::find(ops, op, &OpInfo::name);
  if (found == ops.end()) {
    throw Error(Code::kInvalidArgument,
                field("kernel") + ": no op '" + op + "'; " + expected(names_of(ops), op));
  }
  const auto known = std::ranges::find(found->rows, row, &RowInfo::name);
  if (known == found->rows.end()) {
    throw Error(Code::kInvalidArgument, field("kernel") + ": op " + op + " has no row '" + row +
                                            "'; " + expected(names_of(found->rows), row));
  }
  const CpuFeatures missing = known->requires_cpu & ~cpu_features();
  if (missing != kCpuNone) {
    throw Error(Code::kDevice, field("kernel") + " " + op + "=" + row + ": this CPU lacks " +
                                   cpu_features_to_string(missing));
  }
}

}  // namespace mxvideo::kernels
