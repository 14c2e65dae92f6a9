#include "bench/attention_bench.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "base/signal_error.h"
#include "base/system/memory_usage.h"
#include "kernels/attention/attention.h"
#include "kernels/registry.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::bench {
namespace {

using kernels::AttentionProducts;

constexpr int64_t kTextRows = tokenizer::Umt5Tokenizer::kMaxLength;

double flops_of(const AttentionRow& row) {
  return 4.0 * static_cast<double>(row.q_length) * static_cast<double>(row.kv_length) *
         static_cast<double>(row.heads * row.head_dim);
}

void measure(AttentionRow& row, const BenchOptions& options) {
  const int64_t width = row.heads * row.head_dim;
  const std::vector<float> q = random_floats(row.q_length * width, 1);
  const std::vector<float> k = random_floats(row.kv_length * width, 2);
  const std::vector<float> v = random_floats(row.kv_length * width, 3);
  std::vector<float> out(q.size());
  kernels::Context context;
  context.policy.forced_rows[kernels::attention_op(row.products)] = row.kernel;
  kernels::AttentionArgs args = {.q = q.data(),
                                 .k = k.data(),
                                 .v = v.data(),
                                 .out = out.data(),
                                 .q_length = row.q_length,
                                 .kv_length = row.kv_length,
                                 .heads = row.heads,
                                 .head_dim = row.head_dim,
                                 .scale = 1.0f / std::sqrt(static_cast<float>(row.head_dim)),
                                 .products = row.products};
  reset_peak_resident_bytes();
  row.seconds = time_in_turns({[&] { kernels::attention(args, context); }}, options.timing())[0];
  row.peak_rss_bytes = peak_resident_bytes();
  if (row.products == AttentionProducts::kFp32) return;
  std::vector<float> exact(q.size());
  args.products = AttentionProducts::kFp32;
  args.out = exact.data();
  kernels::attention(args, context);
  SignalError error;
  error.add(exact, out, width);
  row.sqnr_db = error.sqnr_db();
}

struct Layer {
  const char* name;
  int64_t kv_length;
  AttentionProducts products;
};

bool has_row(AttentionProducts products, const std::string& name) {
  const auto rows = kernels::host_rows(kernels::attention_rows(products));
  return std::ranges::any_of(rows, [&](const auto& row) { return row.name == name; });
}

struct Task {
  int64_t length;
  const Layer& layer;
  const kernels::RowInfo& info;
};

AttentionRow bench_row(const AttentionBench& request, const Task& task,
                       const BenchOptions& options) {
  AttentionRow row{.products = task.layer.products,
                   .layer = task.layer.name,
                   .kernel = task.info.name,
                   .q_length = task.length,
                   .kv_length = task.layer.kv_length,
                   .heads = request.heads,
                   .head_dim = request.head_dim,
                   .threads = num_threads(),
                   .state = state_on_this_cpu(task.info)};
  row.state = without_slow_reference(row.state, row.kernel, flops_of(row), request.kernel);
  if (row.state.status != RowStatus::kMeasured) return row;
  options.say(std::string(kernels::attention_op(row.products)) + " " + row.layer + " " +
              std::to_string(row.q_length) + " x " + std::to_string(row.kv_length) + " " +
              row.kernel);
  measure(row, options);
  return row;
}

}  // namespace

Json attention_row_json(const AttentionRow& row) {
  Json json = {{"op", kernels::attention_op(row.products)},
               {"layer", row.layer},
               {"kernel", row.kernel},
               {"q_length", row.q_length},
               {"kv_length", row.kv_length},
               {"heads", row.heads},
               {"head_dim", row.head_dim},
               {"threads", row.threads}};
  add_rate(json, row.kernel, flops_of(row), row.seconds);
  json["peak_rss_bytes"] = byte_figure(row.peak_rss_bytes);
  json["sqnr_db"] = figure(row.sqnr_db);
  add_state(json, row.state);
  return json;
}

std::vector<AttentionRow> bench_attention(const AttentionBench& request,
                                          const BenchOptions& options) {
  if (!request.kernel.empty() && !has_row(AttentionProducts::kInt8, request.kernel)) {
    kernels::check_row_runs(kernels::attention_op(AttentionProducts::kFp32), request.kernel);
  }
  std::vector<AttentionRow> rows;
  for (const int64_t length : request.lengths) {
    for (const Layer& layer : {Layer{"self", length, AttentionProducts::kFp32},
                               Layer{"self", length, AttentionProducts::kInt8},
                               Layer{"cross", kTextRows, AttentionProducts::kFp32}}) {
      if (!request.kernel.empty() && !has_row(layer.products, request.kernel)) continue;
      for (const kernels::RowInfo& info :
           rows_to_bench(kernels::attention_op(layer.products), request.kernel)) {
        rows.push_back(bench_row(request, {length, layer, info}, options));
      }
    }
  }
  return rows;
}

}  // namespace mxvideo::bench
