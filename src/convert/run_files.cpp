#include "convert/run_files.h"

#include <functional>
#include <optional>

#include "base/error.h"
#include "base/text/format.h"
#include "base/text/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/wan/generation_defaults.h"
#include "checkpoint/wan/model_index.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_vae/wan_vae.h"
#include "pipeline/solver/scheduler_config.h"
#include "pipeline/text/text_tokenizer.h"

namespace mxvideo::convert {
namespace {

namespace fs = std::filesystem;

// `open` returns a summary; what it throws about the files is the problem.
RunFile check_file(std::string name, const std::function<std::string()>& open) {
  RunFile file{.name = std::move(name)};
  try {
    file.summary = open();
  } catch (const Error& error) {
    if (error.code() == Code::kInternal || error.code() == Code::kOutOfMemory) throw;
    file.problem = error.what();
  }
  return file;
}

template <class Config>
Config read_config(const fs::path& path) {
  return Config::from_json(read_json_file(path), path.string());
}

// Of the text encoder, whose own check says what is wrong with its config.
std::optional<int64_t> embedding_rows(const fs::path& directory) {
  try {
    return read_config<models::Umt5Config>(directory / "text_encoder" / "config.json").vocab_size;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string open_tokenizer(const fs::path& directory) {
  checkpoint::ModelDirectory model;
  model.root = directory;
  for (const char* component : {"tokenizer", "text_encoder"}) {
    model.paths[component] = directory / component;
  }
  const auto tokenizer = pipeline::open_tokenizer(model);
  const auto ids = tokenizer.vocabulary_size();
  const std::optional<int64_t> rows = embedding_rows(directory);
  if (rows && ids > *rows) {
    throw Error(Code::kCorruptFile, (directory / "tokenizer").string() + ": " +
                                        std::to_string(ids) + " token ids; the text encoder has " +
                                        std::to_string(*rows));
  }
  return std::to_string(ids) + " token ids";
}

std::string open_weights(const fs::path& component) {
  const auto files = checkpoint::Checkpoint::open_directory(component);
  return count_of(std::ssize(files.tensors()), "tensor");
}

}  // namespace

std::vector<RunFile> check_run_files(const fs::path& directory) {
  std::vector<RunFile> files;
  const fs::path index = directory / "model_index.json";
  if (directory.empty() || !fs::exists(index)) return files;
  checkpoint::ModelIndex known;
  files.push_back(check_file("model_index.json", [&] {
    known = checkpoint::read_model_index(index);
    return known.class_name;
  }));
  files.push_back(check_file("tokenizer", [&] { return open_tokenizer(directory); }));
  files.push_back(check_file("scheduler", [&] {
    read_config<pipeline::SchedulerConfig>(directory / "scheduler" / "scheduler_config.json");
    return std::string("UniPC");
  }));
  if (files[0].problem.empty() && fs::exists(directory / "generation_config.json")) {
    files.push_back(check_file("generation_config.json", [&] {
      return "sets " +
             checkpoint::read_generation_defaults(directory, checkpoint::variant_of_index(known))
                 .from_model;
    }));
  }
  files.push_back(check_file("text_encoder", [&] {
    read_config<models::Umt5Config>(directory / "text_encoder" / "config.json");
    return open_weights(directory / "text_encoder");
  }));
  files.push_back(check_file("vae", [&] {
    read_config<models::WanVaeConfig>(directory / "vae" / "config.json");
    return open_weights(directory / "vae");
  }));
  return files;
}

void note_run_problems(const fs::path& directory, const ConvertHooks& hooks) {
  for (const RunFile& file : check_run_files(directory)) {
    if (!file.problem.empty()) hooks.note("no run can use " + file.name + ": " + file.problem);
  }
}

}  // namespace mxvideo::convert
