// mxvideo inspect: what the files of a model hold.
#include "audit/inspect.h"

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/text/format.h"
#include "base/text/quote.h"
#include "cli/commands/commands.h"
#include "cli/flags/environment.h"
#include "cli/json_text.h"
#include "cli/spelling.h"
#include "convert/run_files.h"

namespace mxvideo::cli {
namespace {
using audit::InspectedPart;

constexpr size_t kMaxLine = 4096;

struct InspectOptions {
  std::string path;
  audit::InspectDetail detail;
  bool json = false;
};

void print_transformer(const InspectedPart& part, const audit::InspectDetail& detail) {
  std::cout << fmt::format("  names {}, quantization {}", part.naming_style, part.source);
  if (!part.origin.empty()) std::cout << " (" << printable(part.origin, 4096) << ")";
  if (!part.scale_layout.empty()) std::cout << ", scales " << part.scale_layout;
  std::cout << fmt::format(", {:.2f} bits per weight of linear layers\n",
                           part.stored_bits_per_weight);
  for (const auto& [layer, types] : audit::declared_by_layer(part)) {
    std::string text;
    for (const auto& [type, count] : types) {
      text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, printable(type));
    }
    std::cout << fmt::format("    {:<45} {}\n", printable(layer), text);
  }
  for (const auto& [name, type] : part.attention) {
    std::cout << fmt::format("  attention {} {}\n", printable(name), printable(type));
  }
  if (!part.companions.empty()) {
    std::cout << "  companions: " << name_list(part.companions) << "\n";
  }
  for (const std::string& kind : part.unsupported) {
    std::cout << "  does not run: " << printable(kind, 400) << "\n";
  }
  if (!detail.layers) return;
  for (const audit::InspectedLayer& layer : part.layers) {
    std::cout << fmt::format("    {:<45} {:<12} runs as {:<6} {:>5} bits  {}\n",
                             printable(layer.name), printable(layer.declared), layer.scheme,
                             layer.weight_bits, layer.reason);
  }
}

void print_part(const InspectedPart& part, const audit::InspectDetail& detail) {
  std::cout << fmt::format("{} ({}): {}, {} in {}\n", printable(part.part.name),
                           audit::part_kind_name(part.part.kind),
                           count_of(part.totals.tensors, "tensor"), format_bytes(part.totals.bytes),
                           count_of(static_cast<int64_t>(part.files.size()), "file"));
  if (!part.family.empty()) std::cout << "  " << printable(part.family, kMaxLine) << "\n";
  for (const auto& [dtype, totals] : part.dtypes) {
    std::cout << fmt::format("  {:<8} {:>6} {:<7} {:>14}\n", dtype, totals.tensors,
                             totals.tensors == 1 ? "tensor" : "tensors",
                             format_bytes(totals.bytes));
  }
  const bool described = part.part.kind == audit::PartKind::kTransformer && part.readable;
  if (described) print_transformer(part, detail);
  for (const std::string& problem : part.problems) {
    std::cout << "  does not run: " << spelled_line(problem, kMaxLine) << "\n";
  }
  for (const std::string& notice : part.notices) {
    std::cout << "  note: " << spelled_line(notice, kMaxLine) << "\n";
  }
  if (!detail.tensors) return;
  for (const audit::InspectedTensor& tensor : part.tensors) {
    std::cout << fmt::format("    {:<60} {:<8} {:<20} {}\n", printable(tensor.name),
                             dtype_name(tensor.dtype), tensor.shape.to_string(),
                             printable(tensor.file));
  }
}

// The files beside the weights that a run reads.
void print_run_files(const std::vector<convert::RunFile>& files) {
  for (const convert::RunFile& file : files) {
    std::cout << file.name << ": "
              << (file.problem.empty() ? printable(file.summary)
                                       : "cannot be used: " + spelled_line(file.problem, kMaxLine))
              << "\n";
  }
}

nlohmann::ordered_json run_files_json(const std::vector<convert::RunFile>& files) {
  auto json = nlohmann::ordered_json::array();
  for (const convert::RunFile& file : files) {
    json.push_back({{"name", file.name}, {"summary", file.summary}, {"problem", file.problem}});
  }
  return json;
}

void print_inspection(const audit::Inspection& inspection, const audit::InspectDetail& detail) {
  for (const std::string& problem : inspection.problems) {
    std::cout << "is no model that runs: " << spelled_line(problem, kMaxLine) << "\n";
  }
  for (const InspectedPart& part : inspection.parts) print_part(part, detail);
}

// Files that cannot be parsed fail the command, after everything else is listed.
void fail_if_unreadable(const audit::Inspection& inspection) {
  for (const InspectedPart& part : inspection.parts) {
    if (!part.readable) throw Error(Code::kCorruptFile, part.problems.front());
  }
}

void inspect(const InspectOptions& options) {
  const std::filesystem::path path =
      find_model_or_file(options.path, "", checkpoint::needs_nothing());
  const auto inspection = audit::inspect_model(path);
  const std::vector<convert::RunFile> files = convert::check_run_files(path);
  if (options.json) {
    auto json = audit::inspect_json(inspection, options.detail);
    json["run_files"] = run_files_json(files);
    std::cout << to_text(json) << "\n";
  } else {
    print_inspection(inspection, options.detail);
    print_run_files(files);
  }
  std::cout << std::flush;
  fail_if_unreadable(inspection);
}

}  // namespace

Command add_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* parser =
      app.add_subcommand("inspect", "Say what the files of a model hold and how they would run");
  parser
      ->add_option("path,-m,--model-path,--model", options->path,
                   "Model directory, directory of a component, safetensors file, or org/name")
      ->required();
  parser->add_flag("--layers", options->detail.layers, "List every linear layer");
  parser->add_flag("--tensors", options->detail.tensors, "List every tensor");
  parser->add_flag("--json", options->json, "Print JSON");
  add_allow_links_flag(*parser, "Options");
  return [options] { inspect(*options); };
}

}  // namespace mxvideo::cli
