#include "convert/verify.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "checkpoint/declaration/scale_order.h"
#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "convert/model_parts.h"
#include "convert/part_check.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using checkpoint::TransformerCheckpoint;

void compare_with(const ModelPart& original, const TransformerCheckpoint& opened,
                  double min_sqnr_db, VerifiedPart& result) {
  const TransformerCheckpoint reference = open_part(original);
  if (reference.quantization.quantized()) {
    throw Error(Code::kUnsupported, original.weights.string() +
                                        ": --original is quantized itself (" +
                                        reference.quantization.origin + ")");
  }
  result.comparison = compare_values(opened, reference, min_sqnr_db);
  for (const std::string& problem : result.comparison.problems) result.problems.push_back(problem);
  for (const ValueDifference& difference : result.comparison.tensors) {
    if (!difference.problem.empty()) {
      result.problems.push_back(difference.name + ": " + difference.problem);
    }
  }
}

// The transformer of the original that a part stems from; null when there is none.
const ModelPart* find_original(const std::vector<ModelPart>& originals, const ModelPart& part,
                               bool only_one) {
  const auto named = std::ranges::find(originals, part.name, &ModelPart::name);
  if (named != originals.end() && named->kind == part.kind) return &*named;
  const ModelPart* found = nullptr;
  for (const ModelPart& original : originals) {
    if (original.kind != PartKind::kTransformer) continue;
    if (found != nullptr || !only_one) return nullptr;
    found = &original;
  }
  return found;
}

VerifiedPart verify_part(const ModelPart& part, const ModelPart* original,
                         const VerifyOptions& options) {
  VerifiedPart result;
  result.name = part.name;
  result.kind = part_kind_name(part.kind);
  std::optional<TransformerCheckpoint> opened;
  if (!collect_problem(result.problems, [&] { opened.emplace(open_part(part)); })) return result;
  result.notices = opened->checkpoint.notices();
  result.notices.insert(result.notices.end(), opened->quantization.notices.begin(),
                        opened->quantization.notices.end());
  if (part.kind == PartKind::kTransformer) {
    result.quantization = quantization_source_name(opened->quantization.source);
  }
  collect_problem(result.problems, [&] { check_part(part, *opened); });
  collect_problem(result.problems, [&] {
    result.values = scan_values(*opened);
    for (const std::string& problem : result.values.problems) result.problems.push_back(problem);
  });
  // A comparison says it for certain, by the other order's distance.
  if (original == nullptr && opened->quantization.quantized()) {
    const std::string order =
        checkpoint::scale_order_warning(*opened, {.layers = 1 << 20, .bands = 16});
    if (!order.empty()) result.warnings.push_back(order);
  }
  if (original != nullptr) {
    collect_problem(result.problems,
                    [&] { compare_with(*original, *opened, options.min_sqnr_db, result); });
  }
  collect_problem(result.problems, [&] { opened->checkpoint.check_unchanged(); });
  return result;
}

Json part_json(const VerifiedPart& part) {
  Json json = {{"name", part.name}, {"kind", part.kind}};
  if (!part.quantization.empty()) json["quantization"] = part.quantization;
  json["tensors"] = part.values.tensors;
  json["blocks"] = part.values.blocks;
  json["zero_scale_blocks"] = part.values.zero_scale_blocks;
  json["notices"] = part.notices;
  json["problems"] = part.problems;
  json["warnings"] = part.warnings;
  json["comparison"] = Json::array();
  for (const ValueDifference& difference : part.comparison.tensors) {
    Json entry = {{"name", difference.name}, {"quantized", difference.quantized}};
    // null: infinite, that is equal
    if (difference.quantized) entry["sqnr_db"] = checkpoint::finite_or_null(difference.sqnr_db);
    entry["cosine"] = checkpoint::finite_or_null(difference.cosine);
    entry["max_relative_error"] = checkpoint::finite_or_null(difference.max_relative_error);
    entry["different_values"] = difference.different;
    if (!difference.problem.empty()) entry["problem"] = difference.problem;
    json["comparison"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace

VerifyReport verify_model(const VerifyOptions& options) {
  const std::vector<ModelPart> parts = find_model_parts(options.path);
  std::vector<ModelPart> originals;
  if (options.original) originals = find_model_parts(*options.original);
  const auto is_transformer = [](const ModelPart& part) {
    return part.kind == PartKind::kTransformer;
  };
  const bool only_one = std::ranges::count_if(parts, is_transformer) == 1;

  VerifyReport report;
  for (const ModelPart& part : parts) {
    const ModelPart* original = nullptr;
    if (options.original && is_transformer(part)) {
      original = find_original(originals, part, only_one);
      if (original == nullptr) {
        report.problems.push_back(options.original->string() + ": no transformer for " + part.name);
      }
    }
    report.parts.push_back(verify_part(part, original, options));
    for (const std::string& problem : report.parts.back().problems) {
      report.problems.push_back(part.name + ": " + problem);
    }
    for (const std::string& warning : report.parts.back().warnings) {
      report.warnings.push_back(part.name + ": " + warning);
    }
  }
  if (fs::is_directory(options.path)) {
    collect_problem(report.problems, [&] { report.files = check_files(options.path); });
  }
  for (const std::string& problem : report.files.problems) report.problems.push_back(problem);
  for (const HashedFile& file : report.files.files) {
    if (!file.problem.empty()) report.problems.push_back(file.path + ": " + file.problem);
  }
  return report;
}

Json verify_json(const VerifyReport& report) {
  Json json;
  json["passed"] = report.problems.empty();
  json["problems"] = report.problems;
  json["warnings"] = report.warnings;
  json["components"] = Json::array();
  for (const VerifiedPart& part : report.parts) json["components"].push_back(part_json(part));
  json["files"] = Json::array();
  for (const HashedFile& file : report.files.files) {
    Json entry = {{"path", file.path}, {"bytes", file.bytes}, {"checked_by", file.source}};
    if (!file.problem.empty()) entry["problem"] = file.problem;
    json["files"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace mxvideo::convert
