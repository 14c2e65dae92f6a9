#include "pipeline/solver/scheduler_config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/text/json.h"
#include "base/text/quote.h"

namespace mxvideo::pipeline {
namespace {

// Read below, or without effect on a solver with flow sigmas whose last sigma is zero.
constexpr std::array<std::string_view, 31> kKnownFields = {"_class_name",
                                                           "_diffusers_version",
                                                           "beta_end",
                                                           "beta_schedule",
                                                           "beta_start",
                                                           "disable_corrector",
                                                           "dynamic_thresholding_ratio",
                                                           "final_sigmas_type",
                                                           "flow_shift",
                                                           "lower_order_final",
                                                           "num_train_timesteps",
                                                           "predict_x0",
                                                           "prediction_type",
                                                           "rescale_betas_zero_snr",
                                                           "sample_max_value",
                                                           "shift_terminal",
                                                           "sigma_max",
                                                           "sigma_min",
                                                           "solver_order",
                                                           "solver_p",
                                                           "solver_type",
                                                           "steps_offset",
                                                           "thresholding",
                                                           "time_shift_type",
                                                           "timestep_spacing",
                                                           "trained_betas",
                                                           "use_beta_sigmas",
                                                           "use_dynamic_shifting",
                                                           "use_flow_sigmas",
                                                           "use_exponential_sigmas",
                                                           "use_karras_sigmas"};

[[noreturn]] void unsupported(const JsonFields& fields, std::string_view field,
                              const std::string& expected, const std::string& got) {
  throw Error(Code::kUnsupported, fields.origin() + ": " + std::string(field) + ": expected " +
                                      expected + ", got " + got);
}

void require_string(const JsonFields& fields, const char* field, const std::string& fallback,
                    const std::string& expected) {
  const std::string got = fields.string_or(field, fallback);
  if (got != expected) {
    unsupported(fields, field, nlohmann::json(expected).dump(), "'" + printable(got) + "'");
  }
}

void require_boolean(const JsonFields& fields, const char* field, bool fallback, bool expected) {
  const bool got = fields.boolean_or(field, fallback);
  if (got != expected) {
    unsupported(fields, field, expected ? "true" : "false", got ? "true" : "false");
  }
}

void require_null(const JsonFields& fields, const char* field) {
  if (!fields.has(field)) return;
  unsupported(fields, field, "null", describe_json(fields.raw(field)));
}

// A field that a later version added may change the sampling, unless it is switched off.
void refuse_unknown_fields(const nlohmann::json& json, const JsonFields& fields) {
  for (const auto& [name, value] : json.items()) {
    if (std::find(kKnownFields.begin(), kKnownFields.end(), name) != kKnownFields.end()) continue;
    if (value.is_null() || value == false || (value.is_structured() && value.empty())) continue;
    unsupported(fields, printable(name), "a known field, or null or false", describe_json(value));
  }
}

}  // namespace

SchedulerConfig SchedulerConfig::from_json(const nlohmann::json& json, const std::string& origin) {
  const JsonFields fields(json, origin);
  // Where a field is absent, diffusers takes these defaults, some of which are not supported.
  require_string(fields, "_class_name", "", "UniPCMultistepScheduler");
  require_string(fields, "prediction_type", "epsilon", "flow_prediction");
  require_string(fields, "solver_type", "bh2", "bh2");
  require_string(fields, "final_sigmas_type", "zero", "zero");
  require_boolean(fields, "use_flow_sigmas", false, true);
  require_boolean(fields, "predict_x0", true, true);
  require_boolean(fields, "lower_order_final", true, true);
  require_boolean(fields, "thresholding", false, false);
  require_boolean(fields, "use_karras_sigmas", false, false);
  require_boolean(fields, "use_beta_sigmas", false, false);
  require_boolean(fields, "use_dynamic_shifting", false, false);
  require_boolean(fields, "use_exponential_sigmas", false, false);
  require_null(fields, "shift_terminal");
  require_null(fields, "solver_p");
  refuse_unknown_fields(json, fields);

  SchedulerConfig config;
  config.num_train_timesteps = fields.integer_or("num_train_timesteps", 1000, 2, 1'000'000);
  config.flow_shift = fields.number_or("flow_shift", 1.0, 0.01, 1000.0);
  const int64_t order = fields.integer_or("solver_order", 2, 1, 100);
  if (order > 2) unsupported(fields, "solver_order", "1 or 2", std::to_string(order));
  config.solver_order = static_cast<int>(order);
  if (fields.has("disable_corrector")) {
    config.disable_corrector = fields.integers("disable_corrector", 0, 1'000'000);
  }
  return config;
}

}  // namespace mxvideo::pipeline
