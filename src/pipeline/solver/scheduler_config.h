// scheduler/scheduler_config.json of a model directory: the fields of diffusers'
// UniPCMultistepScheduler that change the flow-matching solver, checked.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace mxvideo::pipeline {

struct SchedulerConfig {
  int64_t num_train_timesteps = 1000;
  double flow_shift = 1.0;
  int solver_order = 2;                         // 1 or 2
  std::vector<int64_t> disable_corrector = {};  // the corrector is left out after these steps

  // Throws Code::kUnsupported for every setting that would sample differently from what is
  // implemented (another scheduler class, prediction type, solver type, sigma rule…), and for
  // fields that are not known and not null, false or empty; Code::kCorruptFile for wrong types.
  // `origin` names the file in messages.
  static SchedulerConfig from_json(const nlohmann::json& json, const std::string& origin);
};

}  // namespace mxvideo::pipeline
