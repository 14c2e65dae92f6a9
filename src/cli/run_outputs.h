// What a run of generate writes: the video, its latents, the report. Every file is opened before
// the work, and what is finished is kept whatever happens to the rest. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "audit/fit.h"
#include "cli/flags/generate_options.h"
#include "cli/output_target.h"
#include "cli/resources.h"
#include "pipeline/engine.h"

namespace mxvideo::cli {

class RunOutputs {
 public:
  // Decides the names and checks them against each other and against what the run reads.
  RunOutputs(const GenerateOptions& options, const pipeline::Engine& model,
             const pipeline::ResolvedRequest& request);

  // Opens every file.
  void open();
  // Whether the bytes of `disk` fit.
  void check_space(const audit::DiskPlan& disk, const ResourceCheck& check) const;
  // Makes the encoder; `recipe` goes into the video. Returns a line for the user or "".
  std::string prepare(const pipeline::ResolvedRequest& request, const std::string& recipe);
  // Takes the finished latents, and writes them where they are wanted.
  void save_latents(const Tensor& latents);
  bool has_latents() const { return has_latents_; }
  // Frames of the video, as they are decoded.
  void add_frames(const media::FramePart& part) { video_->add(part); }
  void commit_video();
  // With where the video lies, or null where it could not be written.
  void write_report(nlohmann::ordered_json& report);

  // Where the state of the run goes; "": nowhere, the video goes to standard output.
  std::string state_path() const;
  // The same before there is a request, for a run that goes on. Throws Code::kInvalidArgument
  // unless the flags name a file.
  static std::string state_path_of(const GenerateOptions& options);
  // "" until they are saved; "" until the video is written.
  const std::string& latents_path() const { return latents_path_; }
  const std::string& video_path() const { return video_path_; }
  // `error` with what of the run is saved.
  Error explain(const Error& error) const;

 private:
  const GenerateOptions& options_;
  OutputPaths paths_;
  bool chosen_ = false;  // the name of the video is ours
  OutputTarget target_;
  media::ImageSize size_;
  std::optional<VideoOutput> video_;
  std::unique_ptr<AtomicFile> latents_, report_;
  bool has_latents_ = false;
  std::string recipe_;
  std::string video_path_, latents_path_;
};

}  // namespace mxvideo::cli
