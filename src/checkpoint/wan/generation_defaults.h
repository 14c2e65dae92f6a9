// What a request that leaves a value open gets: the defaults of the model family, or those that a
// model brings in its own generation_config.json. Thread-safe: values only.
//
// Sources: wan/configs of Wan-Video/Wan2.2, the same as SGLang's, for the families;
// generation_config.json is the file in which Hugging Face models keep such values. Diffusers has
// no such file for video and ignores it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "checkpoint/wan/model_index.h"

namespace mxvideo::checkpoint {

struct GenerationDefaults {
  int64_t width = 0, height = 0;  // pixels
  int64_t num_frames = 0, fps = 0, num_inference_steps = 0;
  double guidance_scale = 1, guidance_scale_2 = 1;
  std::string negative_prompt;
  // The fields that the model's own file decides, for a notice: "width, height"; empty without.
  std::string from_model;
};

GenerationDefaults family_defaults(checkpoint::WanVariant variant);

// Those of the family, replaced by the fields of `model_directory`/generation_config.json when
// there is one: the names above, guidance_scale_2 only for models of two transformers. Values are
// checked like a request's when they are used. Throws Code::kCorruptFile for a field of another
// name or type, and as read_json_file() does.
GenerationDefaults read_generation_defaults(const std::filesystem::path& model_directory,
                                            checkpoint::WanVariant variant);

}  // namespace mxvideo::checkpoint
