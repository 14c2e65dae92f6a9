// text_encoder_identity(): what the bits of an embedding depend on, beside the prompt.
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "base/sha256.h"
#include "base/system/cpu_features.h"
#include "base/system/system_error.h"
#include "base/version.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "pipeline/text/text_cache.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// To be raised by whoever changes an embedding's bits or the form of the files.
constexpr const char* kFormat = "mxvideo text embedding 1";

// SHA-256 of each of these files that a directory has.
Json hashes_of(const fs::path& directory, std::initializer_list<const char*> names) {
  Json hashes = Json::object();
  for (const char* name : names) {
    if (fs::exists(directory / name)) hashes[name] = sha256_file(directory / name);
  }
  return hashes;
}

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Json weights_identity(const checkpoint::SafetensorsFile& file) {
  const fs::path& path = file.path();
  Sha256 header;
  header.update(file.header_bytes());
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) throw system_error(path, "cannot examine", errno);
  return {{"name", path.filename().string()},
          {"bytes", static_cast<int64_t>(status.st_size)},
          {"inode", static_cast<uint64_t>(status.st_ino)},
          {"modified_ns", nanoseconds(status.st_mtim)},
          {"changed_ns", nanoseconds(status.st_ctim)},
          {"header_sha256", header.hex_digest()}};
}

}  // namespace

Json text_encoder_identity(const TextEncoderSource& source) {
  Json json = {{"format", kFormat},
               {"version", version()},
               {"cpu_features", cpu_features_to_string(cpu_features())},
               {"kernels", source.policy.forced_rows},
               {"compute", kernels::compute_name(source.policy.compute)},
               {"max_tokens", source.max_tokens},
               {"quantization", source.quantization}};
  // The files that tokenizer::Umt5Tokenizer reads.
  json["tokenizer"] = fs::exists(source.tokenizer / "spiece.model")
                          ? hashes_of(source.tokenizer, {"spiece.model", "tokenizer_config.json",
                                                         "special_tokens_map.json"})
                          : hashes_of(source.tokenizer, {"tokenizer.json"});
  json["config"] = hashes_of(source.text_encoder, {"config.json"});
  json["weights"] = Json::array();
  for (const checkpoint::SafetensorsFile* file : source.weights->files()) {
    json["weights"].push_back(weights_identity(*file));
  }
  return json;
}

}  // namespace mxvideo::pipeline
