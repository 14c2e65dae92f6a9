#include "estimate/probe.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/median.h"
#include "base/parallel.h"
#include "kernels/common/working_memory.h"

namespace mxvideo::estimate {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A first call this long has little in it that others have not, and is one of the repetitions.
constexpr double kLongCall = 0.05;
constexpr size_t kLongCalls = 3;
// Short calls are repeated until this time has passed.
constexpr double kShortCalls = 0.02;
constexpr size_t kFewestCalls = 5;
// What together makes less than this part of a run is not worth a sample.
constexpr double kNegligible = 0.01;

struct Missing {
  const CallGroup* group;
  double guess;  // seconds
};

std::vector<Missing> find_missing(std::span<const PhaseWork> phases, const Rates& rates,
                                  double& total) {
  std::map<std::string, Missing> missing;  // a kind may be in several phases
  total = 0;
  for (const PhaseWork& phase : phases) {
    for (const auto& [name, group] : phase.groups) {
      const double guess = guessed_seconds(group.work, num_threads());
      total += guess;
      if (rates.find(name)) continue;
      const auto [found, is_new] = missing.try_emplace(name, Missing{&group, 0});
      found->second.guess += guess;
    }
  }
  std::vector<Missing> sorted;
  for (const auto& [name, each] : missing) sorted.push_back(each);
  std::ranges::stable_sort(sorted, std::ranges::greater(), &Missing::guess);
  return sorted;
}

// Without the smallest ones that are `negligible` seconds together.
void drop_negligible(std::vector<Missing>& missing, double negligible) {
  while (!missing.empty() && missing.back().guess <= negligible) {
    negligible -= missing.back().guess;
    missing.pop_back();
  }
}

}  // namespace

double guessed_seconds(const kernels::Work& work, int threads) {
  constexpr double kFlopRate = 3e10;  // of a thread
  constexpr double kByteRate = 3e9;
  constexpr double kCall = 2e-6;
  return work.flops / (kFlopRate * threads) + work.bytes / kByteRate + kCall;
}

Rate measure(const CallGroup& group, Device& device) {
  kernels::Context context(
      {.forced_rows = {{group.op, group.row}}, .compute = kernels::Compute::kFast}, device);
  const kernels::SampleCall call = group.kind.sample(device);
  // As a stage has it: memory that is there already.
  const kernels::WorkingMemory memory(
      context, kernels::plan_working_memory(context, [&](kernels::Context& dry) { call(dry); }));
  const auto time_once = [&] {
    const Clock::time_point start = Clock::now();
    call(context);
    device.synchronize();
    return seconds_since(start);
  };
  std::vector<double> seconds = {time_once()};
  if (seconds.front() >= kLongCall) {
    while (seconds.size() < kLongCalls) seconds.push_back(time_once());
  } else {
    seconds.clear();
    for (double sum = 0; sum < kShortCalls || seconds.size() < kFewestCalls;) {
      seconds.push_back(time_once());
      sum += seconds.back();
    }
  }
  std::ranges::sort(seconds);
  // What the calls take that wait for nobody: beside another busy process more than half of the
  // short ones wait for a processor, some 4 ms each.
  const double fast = seconds[seconds.size() / 10];
  const double low = seconds[seconds.size() / 4], high = seconds[seconds.size() * 3 / 4];
  return {.seconds = fast / group.kind.sample_work.amount(),
          .spread = (high - low) / 2 / lower_median(seconds)};
}

ProbeReport measure_missing(std::span<const PhaseWork> phases, Rates& rates, Device& device,
                            const ProbeOptions& options) {
  const Clock::time_point start = Clock::now();
  ProbeReport report;
  double total = 0;
  std::vector<Missing> missing = find_missing(phases, rates, total);
  drop_negligible(missing, kNegligible * total);
  for (const Missing& each : missing) {
    report.seconds = seconds_since(start);
    if (report.seconds >= options.seconds) return report;
    if (options.cancellation != nullptr) options.cancellation->throw_if_cancelled();
    rates.set(key(*each.group), measure(*each.group, device));
    ++report.measured;
  }
  report.seconds = seconds_since(start);
  report.complete = true;
  return report;
}

}  // namespace mxvideo::estimate
