// One job on an Engine: what was asked, what is reported, and what its stages hand to each other.
// The stages (pipeline/stages) are functions over it, in the order of generate(). Source of the
// procedure: diffusers WanPipeline and WanImageToVideoPipeline.
//
// Components are loaded when their stage begins and go when it ends, or stay as Residency has it;
// a run uses one expert at a time. One thread at a time per object; runs of one engine may go on at
// once, each with the bits that it has alone. Peaks of memory are the process's, and so contain
// what other runs hold.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancellation.h"
#include "kernels/common/context.h"
#include "media/frame_part.h"
#include "pipeline/engine.h"
#include "pipeline/request/generate_request.h"
#include "pipeline/residency.h"
#include "pipeline/run_report.h"
#include "pipeline/solver/unipc_scheduler.h"
#include "pipeline/stages/text.h"

namespace mxvideo::pipeline {

// What a caller may watch or stop. Every member is optional.
struct RunHooks {
  std::function<void(std::string_view phase, int64_t done, int64_t total)> progress = {};
  std::function<void(const std::string& line)> notice = {};  // also collected in the report
  // After each step: its index and the latents [z, frames, h, w] on the run's device; who reads
  // them does so through OnHost. Other hooks get tensors of the host.
  std::function<void(int64_t index, const Tensor& latents)> on_step = {};
  const CancellationToken* cancellation = nullptr;
  // Within a unit of a phase, after each block of a transformer or text encoder: `part` of the unit
  // after `done` is finished, 0 to 1.
  std::function<void(std::string_view phase, int64_t done, int64_t total, double part)> within = {};
  // Once, after the last step and before decoding: Run::latents.
  std::function<void(const Tensor& latents)> on_latents = {};
  // The video, as it is decoded.
  std::function<void(const media::FramePart& part)> on_frames = {};
};

// A component with its weights.
template <class Model>
struct Loaded : Residency::Component {
  template <class... Args>
  explicit Loaded(Args&&... args) : model(std::forward<Args>(args)...) {}
  int64_t resident_bytes() const override { return weight_bytes; }

  Model model;
  // As loaded: what a VAE's convolutions prepare later, under in_use, is not in it.
  int64_t weight_bytes = 0;
  int64_t checkpoint_bytes = 0;
  mutable std::timed_mutex in_use;  // of models that one thread may use at a time
};

// What every stage needs, whether of a Run or of the decoding of saved latents.
struct StageContext {
  RunHooks hooks;
  RunReport report = {};
  kernels::Context context = {};

  void progress(std::string_view phase, int64_t done, int64_t total) const {
    if (hooks.progress) hooks.progress(phase, done, total);
  }
  void within(std::string_view phase, int64_t done, int64_t total, double part) const {
    if (hooks.within) hooks.within(phase, done, total, part);
  }
  void notice(const std::string& line) {
    report.notices.push_back(line);
    if (hooks.notice) hooks.notice(line);
  }
  void throw_if_cancelled() const {
    if (hooks.cancellation != nullptr) hooks.cancellation->throw_if_cancelled();
  }

  // The component, resident as `key` or loaded from `files` as stage "load_NAME"; its sizes are
  // noted.
  // make(): a Loaded<Model> without weights. `loader` may know of more than the model.
  template <class Model, class Make>
  std::shared_ptr<const Loaded<Model>> acquire(Residency& residency, const std::string& key,
                                               const std::string& name,
                                               const checkpoint::Checkpoint& files,
                                               checkpoint::ParameterLoader loader,
                                               const Make& make) {
    const auto load = [&]() -> std::shared_ptr<const Residency::Component> {
      const StageTimer timer(report, "load_" + name);
      std::shared_ptr<Loaded<Model>> loaded = make();
      loaded->model.declare_parameters(loader);
      if (residency.keeps()) residency.make_room(files.tensor_bytes());  // about as many
      loaded->checkpoint_bytes = loader.load(files, context).checkpoint_bytes;
      loaded->weight_bytes = loaded->model.weight_bytes();
      return loaded;
    };
    auto loaded = std::static_pointer_cast<const Loaded<Model>>(residency.acquire(key, load));
    report.components.push_back({.name = name,
                                 .quantization = {},
                                 .declared_in = {},
                                 .checkpoint_bytes = loaded->checkpoint_bytes,
                                 .weight_bytes = loaded->weight_bytes,
                                 .layers = {}});
    return loaded;
  }
};

struct Run : StageContext {
  // Throws as Engine::resolve(). Engine and request must outlive it.
  Run(const Engine& engine, const GenerateRequest& request, RunHooks hooks = {});

  const Engine& engine;
  const GenerateRequest& asked;
  ResolvedRequest request;

  // The prompt and, where a step is guided, the negative prompt, as tokens; made once.
  const std::vector<Prompt>& prompts();
  // The grid of the denoising loop, and what it has done so far.
  UniPcScheduler solver;
  // On the engine's device:
  Tensor latents = {};        // [z, frames, h, w], normalised; empty before the first step
  Tensor text = {};           // [tokens, text_dim]
  Tensor negative_text = {};  // likewise; empty without guidance
  Tensor condition = {};      // see image_condition.h; empty without an image

 private:
  std::optional<std::vector<Prompt>> prompts_;
};

// Every stage: from where the run is to `latents`, the hook on_latents, and the video.
// Throws Code::kCancelled, Code::kNumerics, and as loading and the hooks do; what the run has until
// then, its report too, stays in it.
void generate(Run& run);

}  // namespace mxvideo::pipeline
