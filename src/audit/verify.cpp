#include "audit/verify.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "audit/model_parts.h"
#include "audit/part_check.h"
#include "base/error.h"
#include "base/text/field.h"
#include "base/text/json.h"
#include "checkpoint/declaration/scale_order.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/snapshot.h"
#include "checkpoint/wan/experts.h"
#include "convert/run_files.h"
#include "pipeline/engine.h"

namespace mxvideo::audit {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using checkpoint::TransformerCheckpoint;

void compare_with(const ModelPart& original, const TransformerCheckpoint& opened,
                  double min_sqnr_db, VerifiedPart& result) {
  const TransformerCheckpoint reference = open_part(original);
  if (reference.quantization.quantized()) {
    throw Error(Code::kUnsupported, original.weights.string() + ": " + field("original") +
                                        " is quantized itself (" + reference.quantization.origin +
                                        ")");
  }
  result.comparison = compare_values(opened, reference, min_sqnr_db);
  std::vector<TensorProblem> problems = result.comparison.problems;
  for (const ValueDifference& difference : result.comparison.tensors) {
    if (difference.problem.empty()) continue;
    problems.push_back(
        {.tensor = difference.name, .cause = difference.cause, .detail = difference.problem});
  }
  for (std::string& line : lines_of(problems)) result.problems.push_back(std::move(line));
}

// Two names of one tensor; a run reads the first and leaves the second out.
void check_shared_embedding(const TransformerCheckpoint& opened) {
  constexpr const char* kShared = "shared.weight";
  constexpr const char* kEncoder = "encoder.embed_tokens.weight";
  const auto& tensors = opened.checkpoint.tensors();
  const auto shared = tensors.find(kShared), encoder = tensors.find(kEncoder);
  if (shared == tensors.end() || encoder == tensors.end()) return;
  const TensorView &a = shared->second.view, &b = encoder->second.view;
  const bool same = a.dtype == b.dtype && a.shape == b.shape &&
                    std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes())) == 0;
  shared->second.release_pages();
  encoder->second.release_pages();
  if (same) return;
  throw Error(Code::kCorruptFile,
              opened.checkpoint.description() + ": " + kShared + " and " + kEncoder +
                  " are two names of one tensor and differ; a run reads " + kShared);
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
    // The check of the key set has told them where it was made.
    const bool told = std::ranges::any_of(result.problems, [](const std::string& problem) {
      return problem.find("with NaN scales") != problem.npos;
    });
    std::erase_if(result.values.problems, [&](const TensorProblem& problem) {
      return told && problem.cause == kNanScales;
    });
    for (std::string& line : lines_of(result.values.problems)) {
      result.problems.push_back(std::move(line));
    }
  });
  if (part.kind == PartKind::kTextEncoder) {
    collect_problem(result.problems, [&] { check_shared_embedding(*opened); });
  }
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

// What files promise about bytes: those of a download that is not whole, hashes and sizes.
void check_bytes(const fs::path& directory, VerifyReport& report) {
  fs::path snapshot = fs::absolute(directory).lexically_normal();
  if (!snapshot.has_filename()) snapshot = snapshot.parent_path();
  const fs::path snapshots = snapshot.parent_path();
  bool whole = true;
  if (snapshots.filename() == "snapshots") {
    const fs::path repository = snapshots.parent_path();
    std::string name = repository.filename().string();
    if (name.starts_with("models--")) name = name.substr(8);
    if (const size_t dashes = name.find("--"); dashes != name.npos) name.replace(dashes, 2, "/");
    whole = collect_problem(report.problems, [&] {
      checkpoint::check_snapshot_complete(repository, snapshot.filename().string(), {},
                                          "hf download " + name);
    });
  }
  collect_problem(report.problems, [&] { report.files = check_files(directory); });
  // A download that is not whole has been told.
  for (const std::string& problem : report.files.problems) {
    if (whole) report.problems.push_back(problem);
  }
  for (const HashedFile& file : report.files.files) {
    if (!file.problem.empty()) report.problems.push_back(file.path + ": " + file.problem);
  }
}

// The parts at a path. Of a model that a corrupt index or config keeps from being opened as one,
// what lies there, and the reason in `failure`. Any other reason is a problem among others, if
// there are any.
std::vector<ModelPart> find_parts(const fs::path& path, VerifyReport& report,
                                  std::string& failure) {
  std::vector<ModelPart> parts;
  try {
    return find_model_parts(path);
  } catch (const Error& error) {
    if (error.code() == Code::kCorruptFile && fs::is_directory(path)) parts = parts_below(path);
    if (parts.empty() && report.problems.empty()) throw;
    failure = error.what();
  }
  return parts;
}

// True when a file of `weights`, a file or directory below `root`, has not the promised bytes.
bool has_bad_bytes(const fs::path& weights, const fs::path& root, const FileCheck& files) {
  const std::string below = weights.lexically_relative(root).generic_string();
  return std::ranges::any_of(files.files, [&](const HashedFile& file) {
    const bool inside = below == "." || file.path == below || file.path.starts_with(below + "/");
    return inside && !file.problem.empty();
  });
}

// Files that a run reads and that are no part of their own.
void add_run_files(const fs::path& path, VerifyReport& report) {
  for (convert::RunFile& file : convert::check_run_files(path)) {
    if (std::ranges::find(report.parts, file.name, &VerifiedPart::name) != report.parts.end()) {
      continue;
    }
    VerifiedPart part;
    part.name = std::move(file.name);
    part.kind = "file";
    part.summary = std::move(file.summary);
    if (!file.problem.empty()) part.problems.push_back(std::move(file.problem));
    part.bad_bytes = has_bad_bytes(path / part.name, path, report.files);
    report.parts.push_back(std::move(part));
  }
}

// Whether good parts make a model, or a pair of experts.
void check_whole(const fs::path& path, const std::vector<ModelPart>& parts, VerifyReport& report) {
  if (fs::exists(path / "model_index.json")) {
    pipeline::PipelineOptions options;
    options.model_directory = path;
    collect_problem(report.problems, [&] { const pipeline::Engine pipeline(options); });
    return;
  }
  std::vector<const ModelPart*> experts;
  for (const ModelPart& part : parts) {
    if (part.kind == PartKind::kTransformer) experts.push_back(&part);
  }
  if (experts.size() != 2) return;
  collect_problem(report.problems, [&] {
    checkpoint::check_experts_differ(open_part(*experts[0]).checkpoint,
                                     open_part(*experts[1]).checkpoint);
  });
}

Json part_json(const VerifiedPart& part) {
  Json json = {{"name", part.name}, {"kind", part.kind}};
  if (!part.quantization.empty()) json["quantization"] = part.quantization;
  if (!part.summary.empty()) json["summary"] = part.summary;
  json["tensors"] = part.values.tensors;
  json["blocks"] = part.values.blocks;
  json["zero_scale_blocks"] = part.values.zero_scale_blocks;
  json["notices"] = part.notices;
  json["good"] = part.good();
  json["problems"] = part.problems;
  json["warnings"] = part.warnings;
  json["comparison"] = Json::array();
  for (const ValueDifference& difference : part.comparison.tensors) {
    Json entry = {{"name", difference.name}, {"quantized", difference.quantized}};
    // null: infinite, that is equal
    if (difference.quantized) entry["sqnr_db"] = finite_or_null(difference.sqnr_db);
    entry["cosine"] = finite_or_null(difference.cosine);
    entry["max_relative_error"] = finite_or_null(difference.max_relative_error);
    entry["different_values"] = difference.different;
    if (!difference.problem.empty()) entry["problem"] = difference.problem;
    json["comparison"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace

VerifyReport verify_model(const VerifyOptions& options) {
  VerifyReport report;
  if (fs::is_directory(options.path)) check_bytes(options.path, report);
  std::vector<ModelPart> originals;
  if (options.original) originals = find_model_parts(*options.original);
  std::string failure;
  const std::vector<ModelPart> parts = find_parts(options.path, report, failure);
  const auto is_transformer = [](const ModelPart& part) {
    return part.kind == PartKind::kTransformer;
  };
  const bool only_one = std::ranges::count_if(parts, is_transformer) == 1;
  for (const ModelPart& part : parts) {
    const ModelPart* original = nullptr;
    if (options.original && is_transformer(part)) {
      original = find_original(originals, part, only_one);
      if (original == nullptr) {
        report.problems.push_back(options.original->string() + ": no transformer for " + part.name);
      }
    }
    report.parts.push_back(verify_part(part, original, options));
    report.parts.back().bad_bytes = has_bad_bytes(part.weights, options.path, report.files);
  }
  add_run_files(options.path, report);
  for (const VerifiedPart& part : report.parts) {
    for (const std::string& problem : part.problems) {
      report.problems.push_back(part.name + ": " + problem);
    }
    for (const std::string& warning : part.warnings) {
      report.warnings.push_back(part.name + ": " + warning);
    }
  }
  const bool told = std::ranges::any_of(report.problems, [&](const std::string& problem) {
    return problem.find(failure) != problem.npos;
  });
  if (!failure.empty() && !told) report.problems.push_back(failure);
  if (report.problems.empty()) check_whole(options.path, parts, report);
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

}  // namespace mxvideo::audit
