// Whether a model's files are whole, fit the architecture, hold sane values, have the bytes that
// something promises and, when an original is given, are close to it. Everything that is wrong is
// collected. Reads every byte of a transformer once, in pieces. Not thread-safe: uses the thread
// pool.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "convert/verify_files.h"
#include "convert/verify_values.h"

namespace mxvideo::convert {

struct VerifyOptions {
  std::filesystem::path path;
  std::optional<std::filesystem::path> original;
  double min_sqnr_db = 20;
};

struct VerifiedPart {
  std::string name;
  std::string kind;
  std::string quantization;  // transformers: what declares it
  ValueScan values;
  Comparison comparison;
  std::vector<std::string> notices;   // what of the files is read and has no effect
  std::vector<std::string> problems;  // of structure and key set, then of values and comparison
  std::vector<std::string> warnings;  // what looks wrong and cannot be told from these files alone
};

struct VerifyReport {
  std::vector<VerifiedPart> parts;
  FileCheck files;
  std::vector<std::string> problems;  // all of them, each with what it is about in front
  std::vector<std::string> warnings;  // likewise
};

// Throws Code::kNotFound and what else makes that there is nothing to verify: a path without a
// model.
VerifyReport verify_model(const VerifyOptions& options);

nlohmann::ordered_json verify_json(const VerifyReport& report);

}  // namespace mxvideo::convert
