#include "evaluation/evaluation.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "base/median.h"
#include "base/text/json.h"
#include "evaluation/rgb_run.h"
#include "evaluation/video_fidelity.h"

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

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Median (the lower one of two) and worst; null when the videos were not compared.
Json psnr_json(const std::vector<EvaluatedVideo>& videos) {
  std::vector<double> values;
  for (const EvaluatedVideo& video : videos) {
    if (video.psnr_db) values.push_back(*video.psnr_db);
  }
  if (values.empty()) return nullptr;
  return {{"median", finite_or_null(lower_median(values))},
          {"worst", finite_or_null(std::ranges::min(values))}};
}

}  // namespace

PartScores compare_content(const ClipContent& measured, const ExpectedContent& expected) {
  return {.color = measured.color == expected.color,
          .shape = measured.shape == expected.shape,
          .position = position_words(measured, expected.direction) == expected.position,
          .motion = measured.direction == expected.direction,
          .background = measured.background == expected.background};
}

std::vector<SchemeEvaluation> evaluate_schemes(std::span<const pipeline::Engine* const> schemes,
                                               EvaluationRequest& request,
                                               const EvaluationHooks& hooks) {
  std::set<std::string> noticed;
  const pipeline::RunHooks watch = {.progress = {},
                                    .notice =
                                        [&](const std::string& line) {
                                          if (noticed.insert(line).second && hooks.notice) {
                                            hooks.notice(line);
                                          }
                                        },
                                    .cancellation = hooks.cancellation};
  const PromptSet& set = request.prompts;
  const auto total =
      static_cast<int64_t>(set.prompts.size() * request.seeds.size() * schemes.size());
  int64_t done = 0;
  const auto show_progress = [&] {
    if (hooks.progress) hooks.progress(done, total);
  };
  std::vector<SchemeEvaluation> results(schemes.size());
  show_progress();
  for (size_t prompt = 0; prompt < set.prompts.size(); ++prompt) {
    for (const uint64_t seed : request.seeds) {
      request.base.prompt = set.prompts[prompt].prompt;
      request.base.seed = seed;
      media::RgbVideo first;
      for (size_t scheme = 0; scheme < schemes.size(); ++scheme) {
        const auto start = std::chrono::steady_clock::now();
        pipeline::Run run(*schemes[scheme], request.base, watch);
        media::RgbVideo video = generate_rgb(run);
        if (hooks.on_video) hooks.on_video(scheme, prompt, seed, video);
        EvaluatedVideo evaluated{.prompt = prompt,
                                 .seed = seed,
                                 .measured = measure_clip(video, set.colors, set.backgrounds),
                                 .right = {},
                                 .psnr_db = {}};
        evaluated.right = compare_content(evaluated.measured, set.prompts[prompt].expected);
        if (scheme > 0) evaluated.psnr_db = video_psnr_db(first, video);
        results[scheme].videos.push_back(std::move(evaluated));
        results[scheme].seconds += seconds_since(start);
        if (scheme == 0) first = std::move(video);
        ++done;
        show_progress();
        if (hooks.cancellation != nullptr) hooks.cancellation->throw_if_cancelled();
      }
    }
  }
  return results;
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
  Json result = {
      {"score", mean([](const EvaluatedVideo& v) { return v.right.all() ? 100.0 : 0.0; })},
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
      {"seconds", evaluation.seconds}};
  Json psnr = psnr_json(evaluation.videos);
  if (!psnr.is_null()) result["video_psnr_db"] = std::move(psnr);
  result["failures"] = std::move(failures);
  return result;
}

}  // namespace mxvideo::evaluation
