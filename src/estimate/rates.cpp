#include "estimate/rates.h"

#include <vector>

#include "base/median.h"
#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/version.h"

namespace mxvideo::estimate {

Machine this_machine(const Device& device) {
  return {.device = device_kind_name(device.kind()),
          .cpu = cpu_model_name(),
          .features = cpu_features_to_string(cpu_features()),
          .threads = num_threads(),
          .program = version()};
}

std::optional<Rate> Rates::find(const std::string& key) const {
  const auto found = rates_.find(key);
  return found == rates_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Rate> Rates::of_row(const std::string& op, const std::string& row) const {
  const std::string prefix = op + " " + row + " ";
  std::vector<double> seconds;
  for (auto each = rates_.lower_bound(prefix); each != rates_.end(); ++each) {
    if (!each->first.starts_with(prefix)) break;
    seconds.push_back(each->second.seconds);
  }
  if (seconds.empty()) return std::nullopt;
  return Rate{.seconds = lower_median(std::move(seconds))};
}

}  // namespace mxvideo::estimate
