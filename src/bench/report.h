// What all benches share: their options, the facts of the machine, and the form of their result,
//   {"machine": {cpu, features, threads, units, read_…, copy_bytes_per_second}, "rows": [{…}, …]}
// Every row has a "status": "measured", "compiled, not run" (this CPU lacks it) or "left out", the
// last two with a "reason" and null in the place of each figure.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "base/cancellation.h"
#include "bench/roof/roof_probe.h"
#include "bench/timing.h"
#include "kernels/registry.h"

namespace mxvideo::bench {

using Json = nlohmann::ordered_json;

// "fast" for rows that round elements further than kernels::Compute::kExact allows, else "exact".
const char* row_compute(std::string_view kernel);

struct BenchOptions {
  int repeats = 5;
  const CancellationToken* cancellation = nullptr;        // optional
  std::function<void(const std::string& line)> progress;  // optional; what is measured now

  TimingOptions timing() const { return {.repeats = repeats, .cancellation = cancellation}; }
  void say(const std::string& line) const {
    if (progress) progress(line);
  }
};

enum class RowStatus : uint8_t { kMeasured, kNotRun, kLeftOut };

struct RowState {
  RowStatus status = RowStatus::kMeasured;
  std::string reason;  // unless measured
};
// "compiled, not run" with what is missing, when this CPU cannot run the row.
RowState state_on_this_cpu(const kernels::RowInfo& row);

// Rows of one op, best first; with a name only that one. Throws as kernels::check_row_runs() for a
// name that is unknown or cannot run here.
std::vector<kernels::RowInfo> rows_to_bench(const std::string& op, const std::string& name);

// A figure, or null for 0, which means "not measured".
Json figure(double value);
Json byte_figure(int64_t bytes);

// The plain loops of a reference take seconds beyond 1e8 operations: such a row is left out unless
// it was asked for by name. Otherwise `state` as it is.
RowState without_slow_reference(const RowState& state, const std::string& row, double flops,
                                const std::string& asked_for);

// Adds "seconds_median", "gflops", "roof", "roof_fraction" for `flops` operations on `row` of an
// op.
void add_rate(Json& json, const std::string& row, double flops, double seconds);
// Adds "status" and, unless measured, "reason".
void add_state(Json& json, const RowState& state);

// Measures the roofs when this is the first call.
Json machine_json();

}  // namespace mxvideo::bench
