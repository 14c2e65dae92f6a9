// mxvideo verify: whether a model's files are whole and right.
#include "audit/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "cli/commands/commands.h"
#include "cli/flags/environment.h"
#include "cli/json_text.h"
#include "cli/spelling.h"

namespace mxvideo::cli {
namespace {
using audit::VerifiedPart;
using audit::VerifyReport;

struct VerifyFlags {
  std::string path, original;
  double min_sqnr_db = 20;
  int threads = 0;
  bool json = false;
};

// The layers that lost most.
void print_comparison(const VerifiedPart& part) {
  double worst = std::numeric_limits<double>::infinity();
  std::string name;
  int64_t quantized = 0, equal = 0;
  for (const audit::ValueDifference& difference : part.comparison.tensors) {
    quantized += difference.quantized;
    equal += !difference.quantized && difference.different == 0;
    if (difference.quantized && difference.sqnr_db < worst) {
      worst = difference.sqnr_db;
      name = difference.name;
    }
  }
  std::cout << fmt::format("  compared: {}, {} equal to the original\n",
                           count_of(quantized, "quantized layer"), count_of(equal, "tensor"));
  if (!name.empty()) {
    std::cout << fmt::format("  lowest SQNR {:.1f} dB: {}\n", worst, printable(name));
  }
}

void print_table(const VerifyReport& report) {
  for (const VerifiedPart& part : report.parts) {
    const std::string content = part.kind == "file"
                                    ? (part.summary.empty() ? "" : printable(part.summary) + ", ")
                                    : count_of(part.values.tensors, "tensor") + ", ";
    std::cout << fmt::format("{} ({}): {}{}\n", printable(part.name), part.kind, content,
                             part.good() ? "good" : "BAD");
    if (part.values.blocks > 0) {
      std::cout << fmt::format("  {}, {} of them with scale 0\n",
                               count_of(part.values.blocks, "block"),
                               part.values.zero_scale_blocks);
    }
    if (!part.comparison.tensors.empty()) print_comparison(part);
    for (const std::string& notice : part.notices) {
      std::cout << "  note: " << spelled_line(notice, 4096) << "\n";
    }
  }
  std::cout << fmt::format("{} checked against promised sizes and hashes\n",
                           count_of(std::ssize(report.files.files), "file"));
  for (const std::string& problem : report.problems) {
    std::cout << "problem: " << spelled_line(problem, 16384) << "\n";
  }
  for (const std::string& warning : report.warnings) {
    std::cout << "warning: " << spelled_line(warning, 16384) << " (--original DIR)\n";
  }
}

void verify(const VerifyFlags& flags) {
  if (flags.threads > 0) set_num_threads(flags.threads);
  audit::VerifyOptions options;
  options.path = find_model_or_file(flags.path, "", checkpoint::needs_nothing());
  if (!flags.original.empty()) {
    options.original = find_model_or_file(flags.original, "", checkpoint::needs_nothing());
  }
  options.min_sqnr_db = flags.min_sqnr_db;
  const VerifyReport report = audit::verify_model(options);
  if (flags.json) {
    std::cout << to_text(audit::verify_json(report)) << "\n";
  } else {
    print_table(report);
  }
  std::cout << std::flush;
  if (report.problems.empty()) return;
  const int64_t count = std::ssize(report.problems);
  throw Error(Code::kMismatch,
              fmt::format("{}: {}{}{}", flags.path, count == 1 ? "" : count_of(count, "problem"),
                          count == 1 ? "" : "; the first: ", report.problems.front()));
}

}  // namespace

Command add_verify(CLI::App& app) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App* parser = app.add_subcommand(
      "verify", "Check a model's files: structure, values, hashes, distance from an original");
  parser
      ->add_option("path,-m,--model-path,--model", flags->path,
                   "Model directory, directory of a component, safetensors file, or org/name")
      ->required();
  parser->add_option("--original-model-path,--original", flags->original,
                     "Unquantized model to compare with, layer by layer");
  parser
      ->add_option("--min-sqnr", flags->min_sqnr_db,
                   "Least signal-to-quantization-noise ratio of a layer in dB")
      ->capture_default_str();
  parser->add_option("--threads", flags->threads, "Threads (default: all of this machine)")
      ->check(CLI::Range(1, 4096));
  parser->add_flag("--json", flags->json, "Print JSON");
  add_allow_links_flag(*parser, "Options");
  return [flags] { verify(*flags); };
}

}  // namespace mxvideo::cli
