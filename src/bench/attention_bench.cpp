#include "bench/attention_bench.h"

#include <cmath>

#include "base/memory_usage.h"
#include "base/parallel.h"
#include "kernels/attention/attention.h"

namespace mxvideo::bench {
namespace {

constexpr int64_t kTextRows = 512;

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
  context.forced_rows["attention"] = row.kernel;
  const kernels::AttentionArgs args = {.q = q.data(),
                                       .k = k.data(),
                                       .v = v.data(),
                                       .out = out.data(),
                                       .q_length = row.q_length,
                                       .kv_length = row.kv_length,
                                       .heads = row.heads,
                                       .head_dim = row.head_dim,
                                       .scale = 1.0f / std::sqrt(static_cast<float>(row.head_dim))};
  reset_peak_resident_bytes();
  row.seconds = time_in_turns({[&] { kernels::attention(args, context); }}, options.timing())[0];
  row.peak_rss_bytes = peak_resident_bytes();
}

}  // namespace

Json attention_row_json(const AttentionRow& row) {
  Json json = {{"op", "attention"},        {"layer", row.layer},         {"kernel", row.kernel},
               {"q_length", row.q_length}, {"kv_length", row.kv_length}, {"heads", row.heads},
               {"head_dim", row.head_dim}, {"threads", row.threads}};
  add_rate(json, row.kernel, flops_of(row), row.seconds);
  json["peak_rss_bytes"] = byte_figure(row.peak_rss_bytes);
  add_state(json, row.state);
  return json;
}

std::vector<AttentionRow> bench_attention(const AttentionBench& request,
                                          const BenchOptions& options) {
  std::vector<AttentionRow> rows;
  const std::vector<kernels::RowInfo> infos = rows_to_bench("attention", request.kernel);
  for (const int64_t length : request.lengths) {
    for (const auto& [layer, kv_length] : {std::pair{"self", length}, {"cross", kTextRows}}) {
      for (const kernels::RowInfo& info : infos) {
        AttentionRow row{.layer = layer,
                         .kernel = info.name,
                         .q_length = length,
                         .kv_length = kv_length,
                         .heads = request.heads,
                         .head_dim = request.head_dim,
                         .threads = num_threads(),
                         .state = state_on_this_cpu(info)};
        row.state = without_slow_reference(row.state, row.kernel, flops_of(row), request.kernel);
        if (row.state.status == RowStatus::kMeasured) {
          options.say("attention " + row.layer + " " + std::to_string(length) + " x " +
                      std::to_string(kv_length) + " " + row.kernel);
          measure(row, options);
        }
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

}  // namespace mxvideo::bench
