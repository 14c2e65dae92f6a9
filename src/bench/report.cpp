#include "bench/report.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/text/field.h"
#include "kernels/common/context.h"

namespace mxvideo::bench {
namespace {

const char* status_name(RowStatus status) {
  switch (status) {
    case RowStatus::kMeasured:
      return "measured";
    case RowStatus::kNotRun:
      return "compiled, not run";
    case RowStatus::kLeftOut:
      break;
  }
  return "left out";
}

std::string lacks(CpuFeatures required) {
  return "this CPU lacks " + cpu_features_to_string(required & ~cpu_features());
}

Json loop_json(const RoofLoop& loop) {
  const UnitRoof& roof = roofs().units[static_cast<size_t>(loop.unit)];
  const bool measured = roof.isa != nullptr && std::string_view(roof.isa) == loop.isa;
  RowState state;
  if (!cpu_has(cpu_features(), loop.requires_cpu)) {
    state = {.status = RowStatus::kNotRun, .reason = lacks(loop.requires_cpu)};
  } else if (!measured) {
    state = {.status = RowStatus::kLeftOut,
             .reason = std::string("this CPU has ") + roof.isa + " for it"};
  }
  Json json = {
      {"unit", unit_name(loop.unit)},
      {"isa", loop.isa},
      {"giga_operations_per_second", figure(measured ? roof.operations_per_second * 1e-9 : 0)}};
  add_state(json, state);
  return json;
}

}  // namespace

const char* row_compute(std::string_view kernel) {
  return compute_name(kernel.ends_with("_fast") ? kernels::Compute::kFast
                                                : kernels::Compute::kExact);
}

RowState state_on_this_cpu(const kernels::RowInfo& row) {
  if (cpu_has(cpu_features(), row.requires_cpu)) return {};
  return {.status = RowStatus::kNotRun, .reason = lacks(row.requires_cpu)};
}

std::vector<kernels::RowInfo> rows_to_bench(const std::string& op, const std::string& name) {
  if (!name.empty()) kernels::check_row_runs(op, name);
  std::vector<kernels::RowInfo> rows;
  for (const kernels::OpInfo& info : kernels::registered_ops()) {
    if (info.name != op) continue;
    std::ranges::copy_if(info.rows, std::back_inserter(rows), [&](const kernels::RowInfo& row) {
      return row.device == DeviceKind::kCpu && (name.empty() || row.name == name);
    });
  }
  return rows;
}

Json figure(double value) { return value > 0 ? Json(value) : Json(nullptr); }

Json byte_figure(int64_t bytes) { return bytes > 0 ? Json(bytes) : Json(nullptr); }

RowState without_slow_reference(const RowState& state, const std::string& row, double flops,
                                const std::string& asked_for) {
  constexpr double kFastEnough = 1e8;
  if (!row.starts_with("reference") || !asked_for.empty() || flops <= kFastEnough) return state;
  return {.status = RowStatus::kLeftOut,
          .reason = "plain loops take too long on this size; " + field("kernel") +
                    " reference runs them"};
}

void add_rate(Json& json, const std::string& row, double flops, double seconds) {
  const double rate = seconds > 0 ? flops / seconds : 0;
  const RoofUnit* unit = unit_of_row(row);
  const double roof = rate > 0 && unit != nullptr ? roofs().operations_per_second(*unit) : 0;
  json["seconds_median"] = figure(seconds);
  json["gflops"] = figure(rate * 1e-9);
  json["roof"] = unit == nullptr ? Json(nullptr) : Json(unit_name(*unit));
  json["roof_fraction"] = figure(roof > 0 ? rate / roof : 0);
}

void add_state(Json& json, const RowState& state) {
  json["status"] = status_name(state.status);
  if (!state.reason.empty()) json["reason"] = state.reason;
}

Json machine_json() {
  Json units = Json::array();
  for (const RoofLoop& loop : roof_loops()) units.push_back(loop_json(loop));
  return {{"cpu", cpu_model_name()},
          {"features", cpu_features_to_string(cpu_features())},
          {"threads", num_threads()},
          {"units", std::move(units)},
          {"read_bytes_per_second", figure(roofs().read_bytes_per_second)},
          {"copy_bytes_per_second", figure(roofs().copy_bytes_per_second)}};
}

}  // namespace mxvideo::bench
