// The fields of a request, once: this table makes the command line's flags and their variables in
// the environment, the JSON of recipes, the ranges that are checked and the names in messages.
// Another front, such as a server, reads the same table. Immutable; thread-safe.
//
// Names are those of Diffusers and SGLang.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/common/context.h"
#include "pipeline/request/generate_request.h"
#include "quantization/quantization_config.h"

namespace mxvideo::pipeline {

// A request as somebody states it: files by their names, nothing read or checked yet.
struct RequestForm : GenerationParameters {
  std::string model_path, revision;
  std::string transformer_path, transformer_2_path;
  std::string transformer_weights_path, transformer_2_weights_path;
  quantization::QuantizationOptions quantization;
  std::string text_quantization = quantization::kNoScheme;
  std::string image_path, last_image_path;
  std::optional<std::string> background;
  std::string latents_path;
  std::string text_cache;
  kernels::RunPolicy policy;
  DeviceKind device = DeviceKind::kCpu;
};

// One of a few names.
struct ChoiceField {
  std::vector<std::string> names;
  void (*set)(RequestForm& form, const std::string& name);  // one of them
  std::string (*get)(const RequestForm& form);              // empty: not stated
};

// Several texts. `set` throws Code::kInvalidArgument.
struct ListField {
  void (*set)(RequestForm& form, const std::vector<std::string>& texts);
  std::vector<std::string> (*get)(const RequestForm& form);
};

// Where a form has the value. An empty text is one that is not stated.
using FieldValue =
    std::variant<std::string RequestForm::*, std::optional<std::string> RequestForm::*,
                 std::optional<int64_t> RequestForm::*, std::optional<uint64_t> RequestForm::*,
                 std::optional<double> RequestForm::*, ChoiceField, ListField>;

// Fields that belong together, in the order of help.
enum class FieldSection : uint8_t {
  kModel,
  kQuantization,
  kPrompt,
  kNegativePrompt,
  kImage,
  kFrames,
  kGuidance,
  kSchedule,
  kNoise,
  kRun
};

// What a text must hold.
enum class TextRule : uint8_t { kAny, kNotEmpty, kNotBlank };

struct RequestField {
  std::string name;  // "num_frames": --num-frames, MXVIDEO_NUM_FRAMES, the key in JSON
  FieldSection section;
  FieldValue value;
  std::string help;                       // fields in it as field() marks them
  std::vector<std::string> aliases = {};  // as other programs spell it on command lines
  char letter = 0;                        // of a short flag
  // JSON pointer into a recipe; empty: a recipe has something else for it, or nothing.
  std::string recipe = "/" + name;
  double minimum = 0, maximum = 0;  // of a number; equal: it has no range of its own
  TextRule text = TextRule::kAny;
  bool default_in_help = false;
};

std::span<const RequestField> request_fields();

// Throws Code::kInternal for a name that is not in the table.
const RequestField& request_field(std::string_view name);
// Of a field that is a choice.
const std::vector<std::string>& choice_names(std::string_view name);

// Throws Code::kInvalidArgument where `value` is outside of the field's range.
void check_range(std::string_view name, int64_t value);
void check_range(std::string_view name, double value);

// null where the form does not state it.
nlohmann::ordered_json field_json(const RequestField& field, const RequestForm& form);

// Throws Code::kInvalidArgument, naming the field, for JSON of another type, a name that is no
// choice, and a text that breaks the field's rule. null states nothing.
void set_field(const RequestField& field, const nlohmann::ordered_json& json, RequestForm& form);

}  // namespace mxvideo::pipeline
