#include "evaluation/evaluation.h"

#include <chrono>
#include <set>

namespace mxvideo::evaluation {
namespace {

using Json = nlohmann::ordered_json;

// Where the path of the shape lies, in the words of a prompt; empty when that cannot be seen.
std::string position_words(const ClipContent& measured, const std::string& expected_direction) {
  const bool to_a_side = expected_direction == "right" || expected_direction == "left";
  const std::string& third = to_a_side ? measured.row : measured.column;
  if (third.empty()) return "";
  return (third == "middle" ? "in the " : to_a_side ? "at the " : "on the ") + third;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json failure_json(const EvaluatedVideo& video, const EvaluationPrompt& prompt) {
  const ExpectedContent& expected = prompt.expected;
  const ClipContent& measured = video.measured;
  return {{"prompt", prompt.prompt},
          {"seed", video.seed},
          {"expected",
           {{"colour", expected.color},
            {"shape", expected.shape},
            {"position", expected.position},
            {"motion", expected.direction},
            {"background", expected.background}}},
          {"measured",
           {{"colour", text_or_null(measured.color)},
            {"shape", text_or_null(measured.shape)},
            {"position", text_or_null(position_words(measured, expected.direction))},
            {"motion", text_or_null(measured.direction)},
            {"background", text_or_null(measured.background)}}}};
}

}  // namespace

PartScores compare_content(const ClipContent& measured, const ExpectedContent& expected) {
  return {.color = measured.color == expected.color,
          .shape = measured.shape == expected.shape,
          .position = position_words(measured, expected.direction) == expected.position,
          .motion = measured.direction == expected.direction,
          .background = measured.background == expected.background};
}

SchemeEvaluation evaluate_pipeline(const pipeline::WanPipeline& model, EvaluationRequest& request,
                                   const EvaluationHooks& hooks) {
  const auto start = std::chrono::steady_clock::now();
  std::set<std::string> noticed;
  const pipeline::RunHooks run = {.progress = {},
                                  .notice =
                                      [&](const std::string& line) {
                                        if (noticed.insert(line).second && hooks.notice) {
                                          hooks.notice(line);
                                        }
                                      },
                                  .on_step = {},
                                  .cancellation = hooks.cancellation};
  const PromptSet& set = request.prompts;
  const auto total = static_cast<int64_t>(set.prompts.size() * request.seeds.size());
  SchemeEvaluation result;
  const auto show_progress = [&] {
    if (hooks.progress) hooks.progress(static_cast<int64_t>(result.videos.size()), total);
  };
  show_progress();
  for (size_t i = 0; i < set.prompts.size(); ++i) {
    for (const uint64_t seed : request.seeds) {
      request.base.prompt = set.prompts[i].prompt;
      request.base.seed = seed;
      const media::RgbVideo video = media::to_rgb_video(model.generate(request.base, run).video);
      if (hooks.on_video) hooks.on_video(i, seed, video);
      const ClipContent measured = measure_clip(video, set.colors, set.backgrounds);
      result.videos.push_back({.prompt = i,
                               .seed = seed,
                               .measured = measured,
                               .right = compare_content(measured, set.prompts[i].expected)});
      show_progress();
      if (hooks.cancellation != nullptr) hooks.cancellation->throw_if_cancelled();
    }
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

Json evaluation_json(const SchemeEvaluation& evaluation, const PromptSet& prompts) {
  const auto videos = static_cast<double>(evaluation.videos.size());
  const auto mean = [&](const auto& value_of) {
    double sum = 0;
    for (const EvaluatedVideo& video : evaluation.videos) sum += value_of(video);
    return evaluation.videos.empty() ? 0 : sum / videos;
  };
  const auto percent = [&](bool PartScores::*part) {
    return mean([&](const EvaluatedVideo& video) { return video.right.*part ? 100.0 : 0.0; });
  };
  Json failures = Json::array();
  for (const EvaluatedVideo& video : evaluation.videos) {
    if (!video.right.all()) failures.push_back(failure_json(video, prompts.prompts[video.prompt]));
  }
  return {{"score", mean([](const EvaluatedVideo& v) { return v.right.all() ? 100.0 : 0.0; })},
          {"prompts", prompts.prompts.size()},
          {"videos", evaluation.videos.size()},
          {"colour", percent(&PartScores::color)},
          {"shape", percent(&PartScores::shape)},
          {"position", percent(&PartScores::position)},
          {"motion", percent(&PartScores::motion)},
          {"background", percent(&PartScores::background)},
          {"flicker", mean([](const EvaluatedVideo& v) { return v.measured.flicker; })},
          {"background_constancy",
           mean([](const EvaluatedVideo& v) { return v.measured.background_constancy; })},
          {"seconds", evaluation.seconds},
          {"failures", failures}};
}

}  // namespace mxvideo::evaluation
