// The state of a run between two steps, in a file beside its output, from which the same run goes
// on with the bits that it would have had.
//
// A safetensors file: "latents" and what the solver keeps (UniPcScheduler::state()), F32; metadata
// with the number of steps taken, the identity of the run, and the SHA-256 of the data. UniPC draws
// no noise, so there is none to keep; prompts and pictures are encoded again. Files appear whole
// and synced (base/file/atomic_file.h). One thread at a time per object.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "pipeline/run.h"

namespace mxvideo::pipeline {

// What the bits of a run depend on: this program's version, the CPU's features and the kernels that
// were asked for, the request with every value decided (recipe.h), the SHA-256 of prompts as
// tokens, of noise and pictures, and of each component. That of a component is of its config and,
// of each tensor, of name, type, shape and 64 bytes from its middle: other weights differ in some
// of a thousand places, a copied or moved model in none.
nlohmann::json run_identity(Run& run);

class RunStateFile {
 public:
  // `interval`: least time from one state to the next; 0: one after each step.
  RunStateFile(std::filesystem::path path, std::chrono::duration<double> interval)
      : path_(std::move(path)), interval_(interval) {}

  const std::filesystem::path& path() const { return path_; }

  // The seed of the run whose state a file is. Throws as restore() for what is no state;
  // Code::kNotFound.
  static std::optional<uint64_t> seed_of(const std::filesystem::path& path);

  // Puts the run, which has taken no step, where the file's run was. False: there is no file.
  // Throws Code::kMismatch with what differs when it is of another run, Code::kCorruptFile.
  bool restore(Run& run);

  // To be called after each step: writes the state when it is due. Throws Code::kIo.
  void after_step(Run& run);
  // Writes the state unless the file has it, or there was no step. Throws Code::kIo.
  void save(Run& run);
  // Steps that the file has; 0: none, or not written by this object.
  int64_t saved_steps() const { return saved_steps_; }
  // The run is finished.
  void remove();

 private:
  const nlohmann::json& identity(Run& run);

  std::filesystem::path path_;
  std::chrono::duration<double> interval_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  int64_t saved_steps_ = 0;
  std::optional<nlohmann::json> identity_;
};

}  // namespace mxvideo::pipeline
