#include "cli/run_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "base/text/format.h"
#include "quantization/quantization_config.h"

namespace mxvideo::cli {

std::string time_line(const estimate::TimeReport& report) {
  if (!report.known) {
    return "how long it takes is not known here yet: mxvideo plan measures this machine's rates";
  }
  constexpr size_t kShown = 2;
  std::vector<estimate::PhaseTime> phases = report.estimate.phases;
  std::ranges::stable_sort(phases, std::ranges::greater(), &estimate::PhaseTime::seconds);
  std::string text = estimate::about(report.estimate.whole());
  for (size_t i = 0; i < std::min(kShown, phases.size()); ++i) {
    text += (i == 0 ? ": " : ", ") + phases[i].name + " " + estimate::spoken(phases[i].seconds);
  }
  text += "; rates: " + report.rates;
  for (const std::string& note : report.notes) text += "; " + note;
  return text;
}

std::string run_summary(const pipeline::RunReport& report) {
  const std::string peak = "peak memory " + format_bytes(report.peak_rss_bytes);
  int64_t quantized = 0, linears = 0, before = 0, after = 0;
  std::string text;
  for (const pipeline::ComponentReport& component : report.components) {
    for (const pipeline::LayerReport& layer : component.layers) {
      ++linears;
      quantized += quantization::quantizes(layer.scheme) ? 1 : 0;
    }
    if (component.layers.empty()) continue;
    if (component.name == "text_encoder") {
      text = fmt::format("; text encoder {} -> {}", format_bytes(component.checkpoint_bytes),
                         format_bytes(component.weight_bytes));
      continue;
    }
    before += component.checkpoint_bytes;
    after += component.weight_bytes;
  }
  if (quantized == 0) return peak;
  return fmt::format("{} of {} quantized; transformer weights {} -> {}{}; {}", quantized,
                     count_of(linears, "linear layer"), format_bytes(before), format_bytes(after),
                     text, peak);
}

}  // namespace mxvideo::cli
