// The prompt-following score: generates a video of every prompt and seed with every scheme,
// measures what it shows (clip_content.h) and compares that with what the prompt says
// (prompt_set.h), and with the first scheme's video.
//
// One evaluation at a time: it runs a pipeline, which uses the thread pool.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "evaluation/drawn_clips/clip_content.h"
#include "evaluation/prompt_set.h"
#include "media/video_writer.h"
#include "pipeline/engine.h"

namespace mxvideo::evaluation {

// Which parts of a prompt a video shows. A part that is not clearly to be seen is wrong.
struct PartScores {
  bool color = false, shape = false, position = false, motion = false, background = false;
  bool all() const { return color && shape && position && motion && background; }
};

PartScores compare_content(const ClipContent& measured, const ExpectedContent& expected);

struct EvaluatedVideo {
  size_t prompt = 0;  // index in the prompt set
  uint64_t seed = 0;
  ClipContent measured;
  PartScores right;
  std::optional<double> psnr_db;  // of the video to the first scheme's; none for that one itself
};

struct EvaluationRequest {
  PromptSet prompts;
  std::vector<uint64_t> seeds;
  pipeline::GenerateRequest base;  // the prompt and the seed in it change from video to video
};

// Every member is optional.
struct EvaluationHooks {
  std::function<void(int64_t videos_done, int64_t videos)> progress;
  std::function<void(const std::string& line)> notice;  // of the pipelines, each line once
  std::function<void(size_t scheme, size_t prompt, uint64_t seed, const media::RgbVideo& video)>
      on_video;
  const CancellationToken* cancellation = nullptr;
};

struct SchemeEvaluation {
  std::vector<EvaluatedVideo> videos;  // by prompt, then by seed
  double seconds = 0;                  // generating and measuring
};

// One model opened with each scheme; results in the same order. Throws as pipeline::generate()
// does, and what a hook throws. Code::kCancelled when stopped.
std::vector<SchemeEvaluation> evaluate_schemes(std::span<const pipeline::Engine* const> schemes,
                                               EvaluationRequest& request,
                                               const EvaluationHooks& hooks = {});

// {"score", "prompts", "videos", "colour", "shape", "position", "motion", "background", "flicker",
// "background_constancy", "seconds", "failures"}. "score" is the percentage of videos in which all
// five parts are right, a part's number the percentage in which it is; flicker (levels) and
// constancy (percent) are means. "video_psnr_db": {"median", "worst"} follows where the videos were
// compared with the first scheme's; null for no difference at all. A failure lists what was
// expected and measured, null where nothing clear was seen.
nlohmann::ordered_json evaluation_json(const SchemeEvaluation& evaluation,
                                       const PromptSet& prompts);

}  // namespace mxvideo::evaluation
