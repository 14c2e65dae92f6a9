#include "pipeline/run_state.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/sha256.h"
#include "base/system/cpu_features.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "base/version.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer.h"
#include "pipeline/numerics_guard.h"
#include "pipeline/request/recipe.h"

namespace mxvideo::pipeline {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kKind = "mxvideo run state 1";
// In the order of their data, which is that of the names; the last three as
// UniPcScheduler::state().
constexpr std::array kTensors = {"latents", "solver.last_sample", "solver.newer_x0",
                                 "solver.older_x0"};
constexpr size_t kMostFileBytes = size_t{1} << 36;

std::span<const std::byte> bytes_of(const TensorView& view) {
  return {view.data, static_cast<size_t>(view.bytes())};
}

std::string hash_of(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex_digest();
}

void add_text(Sha256& hash, const std::string& text) {
  hash.update(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

std::string component_hash(const std::string& config, const checkpoint::Checkpoint& files) {
  constexpr int64_t kSample = 64;
  Sha256 hash;
  add_text(hash, config);
  for (const auto& [name, tensor] : files.tensors()) {
    const TensorView& view = tensor.view;
    add_text(hash, name + " " + std::string(dtype_name(view.dtype)) + view.shape.to_string());
    const int64_t begin = std::max<int64_t>(0, view.bytes() / 2 - kSample / 2);
    const int64_t count = std::min(kSample, view.bytes() - begin);
    hash.update({view.data + begin, static_cast<size_t>(count)});
    tensor.release_pages();
  }
  return hash.hex_digest();
}

Json image_hash(const std::optional<media::RgbImage>& image) {
  if (!image) return nullptr;
  return hash_of(std::as_bytes(std::span(image->pixels)));
}

// A file that was read, with its fields checked.
struct SavedState {
  Json identity;
  int64_t steps = 0;
  std::array<Tensor, kTensors.size()> tensors;
};

SavedState read_state(const fs::path& path) {
  const std::string origin = path.string();
  const std::string file = read_file(path, kMostFileBytes);
  const auto bytes = std::as_bytes(std::span(file));
  const checkpoint::SafetensorsHeader header = checkpoint::parse_safetensors(bytes, origin);
  const auto require = [&](bool holds, const char* what) {
    if (!holds) throw Error(Code::kCorruptFile, origin + ": " + what);
  };
  const auto metadata = [&](const char* name) {
    const auto found = header.metadata.find(name);
    return found == header.metadata.end() ? std::string() : found->second;
  };
  require(metadata("kind") == kKind, "is no state of a run that this program reads");
  require(metadata("sha256") == hash_of(bytes.subspan(header.data_offset)),
          "the data is not what was written");
  SavedState state;
  state.identity = parse_json(metadata("identity"), origin + ": identity");
  const std::string steps = metadata("steps");
  require(!steps.empty() && steps.size() < 10 &&
              steps.find_first_not_of("0123456789") == std::string::npos,
          "expected a number of steps");
  state.steps = std::stoll(steps);
  require(header.entries.size() == kTensors.size(), "expected the tensors of a state");
  for (size_t i = 0; i < kTensors.size(); ++i) {
    const auto entry =
        std::ranges::find(header.entries, kTensors[i], &checkpoint::SafetensorsEntry::name);
    require(
        entry != header.entries.end() && entry->dtype == DType::kF32 && entry->shape.count() > 0,
        "expected the tensors of a state");
    Tensor tensor = stored_copy({.data = &bytes[header.data_offset + entry->begin],
                                 .dtype = entry->dtype,
                                 .shape = entry->shape});
    require(all_finite(tensor), "the state holds NaN or infinity");
    state.tensors[i] = std::move(tensor);
  }
  return state;
}

// "seed is 1 there and 2 here, …".
std::string differences(const Json& there, const Json& here) {
  const auto text_of = [](const Json& flat, const std::string& key) {
    constexpr size_t kMostText = 60;
    return flat.contains(key) ? printable(flat[key].dump(), kMostText) : std::string("absent");
  };
  const Json a = there.flatten(), b = here.flatten();
  std::map<std::string, std::string> found;
  for (const Json* side : {&a, &b}) {
    for (const auto& [key, value] : side->items()) {
      if (a.contains(key) && b.contains(key) && a[key] == b[key]) continue;
      found[key] = text_of(a, key) + " there and " + text_of(b, key) + " here";
    }
  }
  std::string text;
  for (const auto& [key, values] : found) {
    text += (text.empty() ? "" : ", ") + key.substr(1) + " is " + values;
  }
  return text;
}

}  // namespace

Json run_identity(Run& run) {
  const Engine& engine = run.engine;
  Json request = recipe_json(engine, run.asked, run.request);
  // Where things lie changes no bit.
  for (const char* key :
       {"engine", "version", "model_path", "transformer_path", "transformer_2_path",
        "transformer_weights_path", "transformer_2_weights_path"}) {
    request.erase(key);
  }
  for (const Prompt& prompt : run.prompts()) {
    request[prompt.name + std::string("_tokens")] = hash_of(std::as_bytes(std::span(prompt.ids)));
  }
  if (run.asked.initial_noise) request["noise"] = hash_of(bytes_of(*run.asked.initial_noise));
  request["image_pixels"] = image_hash(run.asked.image);
  request["last_image_pixels"] = image_hash(run.asked.last_image);
  Json model;
  model["text_encoder"] = component_hash(engine.config_text("text_encoder"), engine.text_files());
  model["vae"] = component_hash(engine.config_text("vae"), engine.vae_files());
  model["scheduler"] = hash_of(std::as_bytes(std::span(engine.config_text("scheduler"))));
  for (const Expert& expert : engine.experts()) {
    model[expert.name] = component_hash(engine.config_text(expert.name), expert.files);
  }
  return {{"version", version()},
          {"cpu_features", cpu_features_to_string(cpu_features())},
          {"kernels", engine.options().policy.forced_rows},
          {"request", std::move(request)},
          {"model", std::move(model)}};
}

std::optional<uint64_t> RunStateFile::seed_of(const fs::path& path) {
  const Json identity = read_state(path).identity;
  const Json& request = identity["request"];
  if (!request.is_object() || !request.contains("seed") || !request["seed"].is_number_unsigned()) {
    return std::nullopt;
  }
  return request["seed"].get<uint64_t>();
}

const Json& RunStateFile::identity(Run& run) {
  if (!identity_) identity_ = run_identity(run);
  return *identity_;
}

bool RunStateFile::restore(Run& run) {
  if (!fs::exists(path_)) return false;
  SavedState state = read_state(path_);
  if (state.identity != identity(run)) {
    throw Error(Code::kMismatch, path_.string() + ": the state of another run: " +
                                     differences(state.identity, identity(run)));
  }
  const Shape shape = run.engine.latent_shape(run.request);
  const bool fits = state.steps >= 1 && state.steps <= run.solver.steps() &&
                    std::ranges::all_of(state.tensors, [&](const Tensor& tensor) {
                      return tensor.shape() == shape;
                    });
  if (!fits) throw Error(Code::kCorruptFile, path_.string() + ": does not fit the run it names");
  Device& device = run.context.device();
  run.latents = state.tensors[0].copy_to(device);
  run.solver.restore(state.steps,
                     {state.tensors[1].copy_to(device), state.tensors[2].copy_to(device),
                      state.tensors[3].copy_to(device)});
  saved_steps_ = state.steps;
  return true;
}

void RunStateFile::after_step(Run& run) {
  if (std::chrono::steady_clock::now() - last_ >= interval_) save(run);
}

void RunStateFile::save(Run& run) {
  const int64_t steps = run.solver.step_index();
  if (steps == 0 || steps == saved_steps_) return;
  const auto solver = run.solver.state();
  const std::array<const Tensor*, kTensors.size()> state = {&run.latents, solver[0], solver[1],
                                                            solver[2]};
  std::deque<OnHost> values;
  std::vector<checkpoint::NamedTensor> tensors;
  Sha256 hash;
  for (size_t i = 0; i < state.size(); ++i) {
    const Tensor& tensor = *values.emplace_back(*state[i]);
    hash.update(bytes_of(tensor));
    tensors.push_back({kTensors[i], tensor.view()});
  }
  checkpoint::write_safetensors(path_, tensors,
                                {{"kind", kKind},
                                 {"steps", std::to_string(steps)},
                                 {"identity", identity(run).dump()},
                                 {"sha256", hash.hex_digest()}});
  saved_steps_ = steps;
  last_ = std::chrono::steady_clock::now();
}

void RunStateFile::remove() {
  std::error_code error;
  fs::remove(path_, error);
  if (error) throw Error(Code::kIo, path_.string() + ": cannot remove: " + error.message());
}

}  // namespace mxvideo::pipeline
