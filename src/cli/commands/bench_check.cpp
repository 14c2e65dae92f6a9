// mxvideo bench check: results of earlier runs of the other benches against a file of ratios.
#include "cli/commands/bench_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/format.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "bench/baseline.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/output_target.h"

namespace mxvideo::cli {
namespace {

using Json = nlohmann::ordered_json;
using bench::RatioComparison;

struct CheckFlags {
  std::string baseline;
  std::vector<std::string> results;
  bool update = false;
  double tolerance = 0.15;
};

std::string ratio_text(double value) {
  return value > 0 ? fmt::format("{:.3f}", value) : std::string("-");
}

void check(const CheckFlags& flags) {
  std::vector<Json> results;
  for (const std::string& path : flags.results) {
    results.emplace_back(read_json_file(path));
  }
  if (flags.update) {
    OutputPaths paths(/*overwrite=*/true);  // the flag says so
    for (const std::string& path : flags.results) paths.add_input(path);
    paths.add_output(flags.baseline);
    const Json baseline = bench::make_baseline(results, flags.tolerance);
    write_file_atomically(flags.baseline, to_text(baseline) + "\n");
    std::cout << flags.baseline << "\n";
    return;
  }
  const Json baseline = read_json_file(flags.baseline);
  const std::vector<RatioComparison> comparisons = bench::compare_with_baseline(baseline, results);
  std::string worst;
  int64_t bad = 0;
  for (const RatioComparison& ratio : comparisons) {
    const std::string line =
        fmt::format("{:<12} {:>7} was {:>7}  {} {}", bench::verdict_name(ratio.verdict),
                    ratio_text(ratio.measured), ratio_text(ratio.expected), printable(ratio.key),
                    printable(ratio.field));
    std::cout << line << "\n";
    if (!bench::has_regression({ratio})) continue;
    if (worst.empty()) worst = ratio.key + " " + ratio.field;
    ++bad;
  }
  std::cout << fmt::format("{}, {} worse than {} allows (tolerance {})\n",
                           count_of(std::ssize(comparisons), "ratio"), bad, flags.baseline,
                           baseline["tolerance"].dump())
            << std::flush;
  if (bad == 0) return;
  throw Error(Code::kMismatch, fmt::format("{}: {} worse or not measured; the first: {}",
                                           flags.baseline, count_of(bad, "ratio"), worst));
}

}  // namespace

Command add_bench_check(CLI::App& bench) {
  auto flags = std::make_shared<CheckFlags>();
  CLI::App* parser = bench.add_subcommand(
      "check", "Compare results of the other benches (--json) with a file of ratios");
  parser
      ->add_option("--baseline", flags->baseline,
                   "File of ratios, such as bench/baseline_avx2.json")
      ->required()
      ->check(is_not_empty());
  parser->add_option("results", flags->results, "Files of results, of one machine")->required();
  auto* update =
      parser->add_flag("--update", flags->update, "Write the baseline from the results instead");
  parser
      ->add_option("--tolerance", flags->tolerance,
                   "With --update: how far below its old value a ratio may fall")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str()
      ->needs(update);
  return [flags] { check(*flags); };
}

}  // namespace mxvideo::cli
