#include "bench/gemm_bench.h"

#include <algorithm>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text/nearest_name.h"
#include "bench/dense_product.h"
#include "formats/half.h"
#include "quantization/quantization_config.h"

namespace mxvideo::bench {
namespace {

double flops_of(const GemmProblem& problem) {
  return 2.0 * static_cast<double>(problem.m) * static_cast<double>(problem.k) *
         static_cast<double>(problem.n);
}

// y = x Wᵀ of random BF16 weights under a scheme.
class Layer {
 public:
  Layer(const std::string& scheme, int64_t k, int64_t n) : k_(k), n_(n) {
    const auto config =
        quantization::make_quantization_config({.scheme = scheme, .ignored_layers = {}, .mx = {}});
    method_ = config->make_linear("bench", {.out_features = n, .in_features = k, .bias = false},
                                  /*quantizable=*/true);
    const std::vector<float> values = random_floats(n * k, 7);
    Tensor weight(DType::kBF16, {n, k});
    auto* bits = reinterpret_cast<uint16_t*>(weight.data());
    parallel_for(n * k, 1 << 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        bits[i] = formats::encode_bf16(values[static_cast<size_t>(i)]);
      }
    });
    const checkpoint::StoredTensor stored{.view = weight.view()};
    kernels::Context context;
    method_->process_weights_after_loading({&stored, 1}, context);
  }

  bool has_shape(const GemmProblem& problem) const { return k_ == problem.k && n_ == problem.n; }

  void apply(const std::vector<float>& x, std::vector<float>& y, kernels::Context& context) const {
    quantization::LinearInput input(x.data(), static_cast<int64_t>(x.size()) / k_, k_);
    method_->apply(input, {.y = y.data()}, context);
  }

 private:
  int64_t k_, n_;
  std::unique_ptr<quantization::LinearMethod> method_;
};

// One problem: its rows, those that run, and the rivals.
class ProblemBench {
 public:
  ProblemBench(const GemmBench& request, const Layer& layer, const GemmProblem& problem)
      : layer_(layer),
        problem_(problem),
        x_(random_floats(problem.m * problem.k)),
        y_(static_cast<size_t>(problem.m * problem.n)) {
    const std::string op = op_of_scheme(request.scheme);
    for (const kernels::RowInfo& info : rows_to_bench(op, request.kernel)) {
      GemmRow row{.op = op,
                  .scheme = request.scheme,
                  .kernel = info.name,
                  .problem = problem,
                  .threads = num_threads(),
                  .state = without_slow_reference(state_on_this_cpu(info), info.name,
                                                  flops_of(problem), request.kernel)};
      if (row.state.status == RowStatus::kMeasured) row.state = try_row(row, request);
      rows_.push_back(std::move(row));
    }
  }

  std::vector<GemmRow> run(const BenchOptions& options) {
    std::vector<std::function<void()>> actions;
    std::vector<double*> results;
    for (GemmRow& row : rows_) {
      if (row.state.status != RowStatus::kMeasured) continue;
      results.push_back(&row.seconds);
      actions.push_back([this, &row] { layer_.apply(x_, y_, contexts_[row.kernel]); });
    }
    if (actions.empty()) return rows_;
    std::array<double, kRivalTypes.size()> rival_seconds{};
    std::vector<std::unique_ptr<DenseProduct>> rivals;
    for (size_t i = 0; i < kRivalTypes.size(); ++i) {
      auto rival = DenseProduct::create(problem_.m, problem_.n, problem_.k, kRivalTypes[i]);
      if (rival == nullptr) continue;
      results.push_back(&rival_seconds[i]);
      actions.push_back([product = rival.get()] { product->run(); });
      rivals.push_back(std::move(rival));
    }
    const std::vector<double> seconds = time_in_turns(actions, options.timing());
    for (size_t i = 0; i < seconds.size(); ++i) *results[i] = seconds[i];
    for (GemmRow& row : rows_) row.rival_seconds = rival_seconds;
    return rows_;
  }

 private:
  // Runs the row once: it may refuse the arguments.
  RowState try_row(const GemmRow& row, const GemmBench& request) {
    kernels::Context& context = contexts_[row.kernel];
    context.policy.forced_rows[row.op] = row.kernel;
    context.policy.compute = kernels::Compute::kFast;
    try {
      layer_.apply(x_, y_, context);
    } catch (const Error& error) {
      if (error.code() != Code::kInvalidArgument || !request.kernel.empty()) throw;
      return {.status = RowStatus::kLeftOut, .reason = error.what()};
    }
    return {};
  }

  const Layer& layer_;
  const GemmProblem& problem_;
  std::vector<float> x_, y_;
  std::map<std::string, kernels::Context> contexts_;  // by row
  std::vector<GemmRow> rows_;
};

}  // namespace

std::string op_of_scheme(const std::string& scheme) {
  const std::vector<std::string> known =
      quantization::scheme_names(quantization::SchemeSet::kUndeclared);
  if (std::ranges::find(known, scheme) != known.end()) {
    return quantization::quantizes(scheme) ? "gemm_mx" : "matmul";
  }
  throw Error(Code::kInvalidArgument, "no bench for the scheme '" + scheme + "'; expected one of " +
                                          join_names(known) + did_you_mean(scheme, known));
}

double linear_seconds(const std::string& scheme, int64_t m, int64_t k, int64_t n) {
  const Layer layer(scheme, k, n);
  const std::vector<float> x = random_floats(m * k);
  std::vector<float> y(static_cast<size_t>(m * n));
  kernels::Context context;
  constexpr double kSeconds = 0.1;
  return time_in_turns({[&] { layer.apply(x, y, context); }}, {.repeats = 3, .seconds = kSeconds})
      .front();
}

Json gemm_row_json(const GemmRow& row) {
  Json json = {
      {"op", row.op},         {"scheme", row.scheme},  {"compute", row_compute(row.kernel)},
      {"kernel", row.kernel}, {"m", row.problem.m},    {"k", row.problem.k},
      {"n", row.problem.n},   {"threads", row.threads}};
  add_rate(json, row.kernel, flops_of(row.problem), row.seconds);
  for (size_t i = 0; i < kRivalTypes.size(); ++i) {
    const double ratio = row.seconds > 0 ? row.rival_seconds[i] / row.seconds : 0;
    json[std::string("ratio_onednn_") + rival_name(kRivalTypes[i])] = figure(ratio);
  }
  json["layer"] = row.problem.layer;
  add_state(json, row.state);
  return json;
}

std::vector<GemmRow> bench_gemm(const GemmBench& request, const BenchOptions& options) {
  std::vector<GemmRow> rows;
  std::unique_ptr<Layer> layer;
  rows_to_bench(op_of_scheme(request.scheme), request.kernel);  // refuses a bad name at once
  for (const GemmProblem& problem : request.problems) {
    options.say("gemm " + request.scheme + " " + problem.layer + " m=" + std::to_string(problem.m) +
                " k=" + std::to_string(problem.k) + " n=" + std::to_string(problem.n));
    if (options.cancellation != nullptr) options.cancellation->throw_if_cancelled();
    if (layer == nullptr || !layer->has_shape(problem)) {
      layer = std::make_unique<Layer>(request.scheme, problem.k, problem.n);
    }
    for (GemmRow& row : ProblemBench(request, *layer, problem).run(options)) {
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace mxvideo::bench
