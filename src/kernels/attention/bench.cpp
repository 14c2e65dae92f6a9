// Attention on the shapes of the Wan transformers, the text encoder and the VAE, for every row of
// the table.
#include <string>
#include <vector>

#include "bench/measure.h"
#include "bench/registry.h"
#include "kernels/attention/attention.h"

namespace mxvideo::bench {
namespace {

using kernels::AttentionArgs;
using AttentionRow = kernels::Row<AttentionArgs>;

struct Shape {
  const char* layer;
  int64_t q_length, kv_length, heads, head_dim;

  std::string name() const {
    return std::string(layer) + "_" + std::to_string(q_length) + "x" + std::to_string(kv_length) +
           "x" + std::to_string(heads) + "x" + std::to_string(head_dim);
  }
};

constexpr Shape kShapes[] = {
    {"self", 2048, 2048, 24, 128},
    {"cross", 2048, 512, 24, 128},
    {"umt5", 512, 512, 64, 64},
    {"vae", 1024, 1024, 1, 384},
};
// What the plain loops of the reference are timed on.
constexpr Shape kSmallShapes[] = {{"small", 64, 256, 2, 128}};

void bench_row(benchmark::State& state, const AttentionRow& row, const Shape& shape) {
  const int64_t width = shape.heads * shape.head_dim;
  const std::vector<float> q = random_floats(shape.q_length * width, 1);
  const std::vector<float> k = random_floats(shape.kv_length * width, 2);
  const std::vector<float> v = random_floats(shape.kv_length * width, 3);
  std::vector<float> out(q.size());
  kernels::Context context;
  context.forced_rows["attention"] = row.name;
  const AttentionArgs args = {.q = q.data(),
                              .k = k.data(),
                              .v = v.data(),
                              .out = out.data(),
                              .q_length = shape.q_length,
                              .kv_length = shape.kv_length,
                              .heads = shape.heads,
                              .head_dim = shape.head_dim,
                              .scale = 0.088f};
  const Work work = {
      .flops = 4.0 * static_cast<double>(shape.q_length * shape.kv_length * width),
      .bytes = static_cast<double>((2 * q.size() + k.size() + v.size()) * sizeof(float))};
  measure(state, work, [&] { kernels::attention(args, context); });
}

}  // namespace

void register_attention() {
  for (const AttentionRow& row : kernels::attention_rows()) {
    if (!cpu_has(cpu_features(), row.requires_cpu)) continue;
    const bool slow = std::string(row.name) == "reference";
    for (const Shape& shape : slow ? std::span<const Shape>(kSmallShapes) : kShapes) {
      add_bench(std::string("attention/") + row.name + "/" + shape.name(),
                [&row, shape](benchmark::State& state) { bench_row(state, row, shape); });
    }
  }
}

}  // namespace mxvideo::bench
