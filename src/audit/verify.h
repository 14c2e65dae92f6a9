// Whether a model's files have the bytes that something promises, are whole, fit the architecture,
// hold sane values, can be opened by a run and, when an original is given, are close to it.
// Everything that is wrong is collected, one line per cause. Reads every byte of a transformer
// once, in pieces. Not thread-safe: uses the thread pool.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "audit/verify_files.h"
#include "audit/verify_values.h"

namespace mxvideo::audit {

struct VerifyOptions {
  std::filesystem::path path;
  std::optional<std::filesystem::path> original;
  double min_sqnr_db = 20;
};

struct VerifiedPart {
  std::string name;
  std::string kind;          // as part_kind_name() has it; "file" for what is no weights
  std::string summary;       // of files: what is in them
  std::string quantization;  // transformers: what declares it
  ValueScan values;
  Comparison comparison;
  std::vector<std::string> notices;   // what of the files is read and has no effect
  std::vector<std::string> problems;  // of structure and key set, then of values and comparison
  std::vector<std::string> warnings;  // what looks wrong and cannot be told from these files alone
  bool bad_bytes = false;             // of a file that it is read from; see VerifyReport::files

  bool good() const { return problems.empty() && !bad_bytes; }
};

struct VerifyReport {
  std::vector<VerifiedPart> parts;
  FileCheck files;
  // All of them, each with what it is about in front: bytes first, then parts, then the whole.
  std::vector<std::string> problems;
  std::vector<std::string> warnings;  // likewise
};

// Throws Code::kNotFound and what else makes that there is nothing to verify: a path without a
// model.
VerifyReport verify_model(const VerifyOptions& options);

nlohmann::ordered_json verify_json(const VerifyReport& report);

}  // namespace mxvideo::audit
