#include "pipeline/solver/scheduler_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/test_support.h"

namespace mxvideo::pipeline {
namespace {

// As the Wan2.2 repositories carry it.
nlohmann::json wan_config() {
  return nlohmann::json::parse(R"({
    "_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.35.0.dev0",
    "beta_end": 0.02, "beta_schedule": "linear", "beta_start": 0.0001, "disable_corrector": [],
    "dynamic_thresholding_ratio": 0.995, "final_sigmas_type": "zero", "flow_shift": 3.0,
    "lower_order_final": true, "num_train_timesteps": 1000, "predict_x0": true,
    "prediction_type": "flow_prediction", "rescale_betas_zero_snr": false,
    "sample_max_value": 1.0, "solver_order": 2, "solver_p": null, "solver_type": "bh2",
    "steps_offset": 0, "thresholding": false, "time_shift_type": "exponential",
    "timestep_spacing": "linspace", "trained_betas": null, "use_beta_sigmas": false,
    "use_dynamic_shifting": false, "use_exponential_sigmas": false, "use_flow_sigmas": true,
    "use_karras_sigmas": false})");
}

Error error_with(const std::string& field, const nlohmann::json& value) {
  nlohmann::json json = wan_config();
  json[field] = value;
  return test::expect_error([&] { SchedulerConfig::from_json(json, "scheduler_config.json"); });
}

TEST(SchedulerConfig, ReadsTheWanConfiguration) {
  nlohmann::json json = wan_config();
  json["disable_corrector"] = {0, 3};
  const SchedulerConfig config = SchedulerConfig::from_json(json, "scheduler_config.json");
  EXPECT_EQ(config.num_train_timesteps, 1000);
  EXPECT_EQ(config.flow_shift, 3.0);
  EXPECT_EQ(config.solver_order, 2);
  EXPECT_EQ(config.disable_corrector, (std::vector<int64_t>{0, 3}));
}

TEST(SchedulerConfig, RefusesByNameWhatIsNotImplemented) {
  const std::vector<std::pair<std::string, nlohmann::json>> cases = {
      {"_class_name", "FlowMatchEulerDiscreteScheduler"},
      {"prediction_type", "epsilon"},
      {"prediction_type", "v_prediction"},
      {"solver_type", "bh1"},
      {"solver_order", 3},
      {"final_sigmas_type", "sigma_min"},
      {"use_flow_sigmas", false},
      {"predict_x0", false},
      {"lower_order_final", false},
      {"thresholding", true},
      {"use_karras_sigmas", true},
      {"use_exponential_sigmas", true},
      {"use_beta_sigmas", true},
      {"use_dynamic_shifting", true},
      {"shift_terminal", 0.1},
      {"solver_p", "DDIMScheduler"},
      {"a_field_of_next_year", 1}};
  for (const auto& [field, value] : cases) {
    const Error error = error_with(field, value);
    EXPECT_EQ(error.code(), Code::kUnsupported) << field;
    EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("scheduler_config.json"), std::string::npos);
  }
}

TEST(SchedulerConfig, RefusesWrongTypesAndRanges) {
  const std::vector<std::pair<std::string, nlohmann::json>> cases = {
      {"flow_shift", "3"},          {"flow_shift", 0},
      {"flow_shift", -1.0},         {"flow_shift", 1e9},
      {"solver_order", 0},          {"solver_order", 2.5},
      {"thresholding", 0},          {"num_train_timesteps", 0},
      {"_class_name", 7},           {"disable_corrector", {-1}},
      {"disable_corrector", "none"}};
  for (const auto& [field, value] : cases) {
    EXPECT_EQ(error_with(field, value).code(), Code::kCorruptFile) << field << " " << value;
  }
}

// What diffusers assumes for an absent field is not flow matching.
TEST(SchedulerConfig, RefusesAnEmptyObject) {
  const auto empty = nlohmann::json::object();
  EXPECT_EQ(test::expect_error([&] { SchedulerConfig::from_json(empty, "x"); }).code(),
            Code::kUnsupported);
}

TEST(SchedulerConfig, ToleratesUnknownFieldsThatAreSwitchedOff) {
  nlohmann::json json = wan_config();
  json["new_feature"] = false;
  json["other_feature"] = nullptr;
  EXPECT_NO_THROW(SchedulerConfig::from_json(json, "x"));
}

}  // namespace
}  // namespace mxvideo::pipeline
