#include "pipeline/request/request_fields.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/nearest_name.h"
#include "base/text/quote.h"
#include "device/ascend/ascend_device.h"

namespace mxvideo::pipeline {
namespace {

using Json = nlohmann::ordered_json;
using Form = RequestForm;

// "width": what follows the name in a message.
[[noreturn]] void refuse(std::string_view name, const std::string& what) {
  throw Error(Code::kInvalidArgument, field(name) + what);
}

// Of a value whose type has a function for its name and one that reads it.
template <auto Place, auto Parse, auto Name>
ChoiceField choice(std::vector<std::string> names) {
  return {std::move(names), [](Form& f, const std::string& name) { Place(f) = Parse(name); },
          [](const Form& f) { return std::string(Name(Place(f))); }};
}

std::string_view tiling_name(VaeTilingMode mode) {
  return mode == VaeTilingMode::kOn ? "on" : mode == VaeTilingMode::kOff ? "off" : "auto";
}

VaeTilingMode parse_tiling(std::string_view name) {
  return name == "on"    ? VaeTilingMode::kOn
         : name == "off" ? VaeTilingMode::kOff
                         : VaeTilingMode::kAuto;
}

// "OP=ROW"
void set_kernels(Form& form, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      refuse("kernel", ": expected OP=ROW, got '" + text + "'");
    }
    form.policy.forced_rows[text.substr(0, equals)] = text.substr(equals + 1);
  }
}

std::vector<std::string> kernels_of(const Form& form) {
  std::vector<std::string> texts;
  for (const auto& [op, row] : form.policy.forced_rows) texts.push_back(op + "=" + row);
  return texts;
}

// What a row may say besides.
struct More {
  std::vector<std::string> aliases = {};
  char letter = 0;
  std::optional<std::string> recipe = std::nullopt;  // absent: the name
  double minimum = 0, maximum = 0;
  TextRule text = TextRule::kAny;
  bool default_in_help = false;
};

RequestField row(std::string name, FieldValue value, std::string help, More more = {}) {
  return {.name = name,
          .section = {},
          .value = std::move(value),
          .help = std::move(help),
          .aliases = std::move(more.aliases),
          .letter = more.letter,
          .recipe = more.recipe.value_or("/" + name),
          .minimum = more.minimum,
          .maximum = more.maximum,
          .text = more.text,
          .default_in_help = more.default_in_help};
}

void add(std::vector<RequestField>& table, FieldSection section, std::vector<RequestField> rows) {
  for (RequestField& each : rows) {
    each.section = section;
    table.push_back(std::move(each));
  }
}

void add_model_fields(std::vector<RequestField>& table) {
  using enum FieldSection;
  add(table, kModel,
      {row("model_path", &Form::model_path,
           "Model directory in the Diffusers layout, or org/name[@revision] in the local "
           "Hugging Face or ModelScope cache; never the network",
           {.aliases = {"model", "ckpt_dir"}, .letter = 'm'}),
       row("revision", &Form::revision, "Revision of org/name (default main)", {.recipe = ""}),
       row("transformer_path", &Form::transformer_path,
           "Directory, or org/name, to use instead of the model's transformer (the high-noise "
           "expert)"),
       row("transformer_2_path", &Form::transformer_2_path,
           "The same for transformer_2, the low-noise expert"),
       row("transformer_weights_path", &Form::transformer_weights_path,
           "Weights of the transformer: a safetensors file in Diffusers, original Wan or "
           "ComfyUI form, a directory or org/name; of a pair the file that its name says"),
       row("transformer_2_weights_path", &Form::transformer_2_weights_path,
           "The same for transformer_2")});
  add(table, kQuantization,
      {row("quantization",
           ChoiceField{.names = quantization::scheme_names(quantization::SchemeSet::kAll),
                       .set = [](Form& f, const auto& name) { f.quantization.scheme = name; },
                       .get = [](const Form& f) { return f.quantization.scheme; }},
           "Scheme: none, mxfp8 or mxint8 (quantize while loading) or modelslim (default: what "
           "the files declare)",
           {.aliases = {"type"}, .recipe = "/quantization/scheme"}),
       row("quantization_ignored_layers",
           ListField{
               .set = [](Form& f, const auto& globs) { f.quantization.ignored_layers = globs; },
               .get = [](const Form& f) { return f.quantization.ignored_layers; }},
           "Layers to compute unquantized, comma-separated globs: 'blocks.0.*,*.attn2.to_k'",
           {.aliases = {"ignored-layers"}, .recipe = "/quantization/ignored_layers"}),
       row("text_encoder_quantization",
           ChoiceField{.names = quantization::scheme_names(quantization::SchemeSet::kUndeclared),
                       .set = [](Form& f, const auto& name) { f.text_quantization = name; },
                       .get = [](const Form& f) { return f.text_quantization; }},
           "Scheme of the text encoder's linear layers: none, mxfp8 or mxint8, while loading",
           {.recipe = "/text_encoder_quantization/scheme", .default_in_help = true}),
       row("mx_scale_rule",
           choice<[](auto& f) -> auto& { return f.quantization.mx.scale_rule; },
                  formats::parse_scale_rule, formats::scale_rule_name>(
               {"rceil", "floor", "ceil", "even"}),
           "Block scale of mxfp8 and mxint8: rceil (default), floor, ceil or even",
           {.recipe = "/quantization/mx_scale_rule"})});
}

void add_video_fields(std::vector<RequestField>& table) {
  using enum FieldSection;
  add(table, kPrompt,
      {row("prompt", &Form::prompt, "What to show; - reads it from standard input",
           {.letter = 'p', .text = TextRule::kNotBlank})});
  add(table, kNegativePrompt,
      {row("negative_prompt", &Form::negative_prompt,
           "What to avoid (default: the negative prompt that Wan2.2 ships with)",
           {.letter = 'n'})});
  add(table, kImage,
      {row("image_path", &Form::image_path,
           "First frame: PNG, JPEG, WebP, AVIF or HEIC (I2V-A14B and TI2V-5B)",
           {.aliases = {"image"}, .letter = 'i', .recipe = ""}),
       row("last_image_path", &Form::last_image_path, "Last frame (I2V-A14B)",
           {.aliases = {"end-img"}, .recipe = ""}),
       row("background", &Form::background,
           "Colour behind transparent parts of images and beside contained ones, a name or "
           "#RRGGBB (default black)",
           {.recipe = ""}),
       row("fit",
           ChoiceField{
               .names = {"stretch", "cover", "contain"},
               .set = [](Form& f, const auto& name) { f.image_fit = parse_image_fit(name); },
               .get =
                   [](const Form& f) {
                     return std::string(f.image_fit ? image_fit_name(*f.image_fit) : "");
                   }},
           "Images of another aspect than the video's: stretch, cover (cut off) or contain "
           "(bars; default: stretch to a size that is given, as Diffusers does)",
           {.recipe = "/image_fit"})});
  add(table, kFrames,
      {row("width", &Form::width, "Width in pixels",
           {.letter = 'W', .minimum = 1, .maximum = 16384}),
       row("height", &Form::height, "Height in pixels",
           {.letter = 'H', .minimum = 1, .maximum = 16384}),
       row("num_frames", &Form::num_frames, "Number of frames, 4n+1 (default 81, TI2V-5B 121)",
           {.aliases = {"frame_num", "video-frames"}, .minimum = 1, .maximum = 4097}),
       row("fps", &Form::fps, "Frames per second (default 16, TI2V-5B 24)",
           {.minimum = 1, .maximum = 240})});
}

void add_sampling_fields(std::vector<RequestField>& table) {
  using enum FieldSection;
  add(table, kGuidance,
      {row("num_inference_steps", &Form::num_inference_steps,
           "Denoising steps (default 40, TI2V-5B 50)",
           {.aliases = {"sample_steps", "steps"}, .minimum = 1, .maximum = 1000}),
       row("guidance_scale", &Form::guidance_scale,
           "Guidance of the high-noise expert, or of the only one (default T2V 4, I2V 3.5, "
           "TI2V 5)",
           {.aliases = {"guidance-high", "sample_guide_scale", "high-noise-cfg-scale"},
            .maximum = 1000}),
       row("guidance_scale_2", &Form::guidance_scale_2,
           "Guidance of the low-noise expert (default T2V 3, I2V 3.5; " + field("guidance_scale") +
               " when that is given)",
           {.aliases = {"guidance-low"}, .maximum = 1000})});
  add(table, kSchedule,
      {row("flow_shift", &Form::flow_shift, "Timestep shift (default: scheduler_config.json)",
           {.aliases = {"sample_shift"}, .minimum = 0.01, .maximum = 1000}),
       row("sigma_grid",
           choice<[](auto& f) -> auto& { return f.sigma_grid; }, parse_sigma_grid, sigma_grid_name>(
               {"diffusers", "wan", "sglang"}),
           "Sigmas as in diffusers, wan or sglang", {.default_in_help = true}),
       row("boundary_ratio", &Form::boundary_ratio,
           "Where the low-noise expert takes over, 0 to 1 (default: model_index.json)",
           {.aliases = {"moe-boundary"}, .maximum = 1})});
  add(table, kNoise,
      {row("seed", &Form::seed,
           "Seed of the noise, the same as torch's CPU generator; -1 draws one and prints it",
           {.aliases = {"base_seed"}, .letter = 's', .default_in_help = true}),
       row("latents", &Form::latents_path,
           "Initial noise instead of the seed's: safetensors file with tensor 'latents'",
           {.recipe = ""})});
}

void add_run_fields(std::vector<RequestField>& table) {
  using enum FieldSection;
  add(table, kRun,
      {row("device",
           ChoiceField{
               .names = {device_kind_name(DeviceKind::kCpu), device_kind_name(DeviceKind::kAscend)},
               .set =
                   [](Form& f, const auto& name) {
                     const bool ascend = name == device_kind_name(DeviceKind::kAscend);
                     f.device = ascend ? DeviceKind::kAscend : DeviceKind::kCpu;
                   },
               .get = [](const Form& f) { return std::string(device_kind_name(f.device)); }},
           std::string("Where to compute: cpu (default), or ascend, an Atlas A5 NPU (") +
               ascend::kProofStatus + ")"),
       row("text_cache", &Form::text_cache,
           "Keep prompt embeddings in this directory and take known ones from there, without "
           "loading the text encoder (default: none)",
           {.recipe = "", .text = TextRule::kNotEmpty}),
       row("vae_tiling",
           choice<[](auto& f) -> auto& { return f.vae_tiling; }, parse_tiling, tiling_name>(
               {"auto", "on", "off"}),
           "Decode frames in tiles: auto (large frames), on or off"),
       row("kernel", ListField{.set = set_kernels, .get = kernels_of},
           "Force a kernel row, OP=ROW as `mxvideo doctor` lists them; may be repeated, or "
           "several with commas"),
       row("compute",
           choice<[](auto& f) -> auto& { return f.policy.compute; }, kernels::parse_compute,
                  kernels::compute_name>({"exact", "auto", "fast"}),
           "Products of mxfp8 layers: exact (of the format's definition), auto (default; also "
           "those in int8 where they add little noise) or fast (int8 wherever this CPU has it)"),
       row("attention",
           choice<[](auto& f) -> auto& { return f.policy.attention; },
                  kernels::parse_attention_products, kernels::attention_products_name>(
               {"fp32", "int8"}),
           "Products of the transformers' self attention: fp32 (default) or int8 (faster; adds "
           "noise about 40 dB below its result)")});
}

template <class T>
void check_range_of(std::string_view name, T value) {
  const RequestField& row = request_field(name);
  const auto number = static_cast<double>(value);
  if (std::isfinite(number) && number >= row.minimum && number <= row.maximum) return;
  std::ostringstream what;
  what << " " << value << " is out of range; expected " << row.minimum << " to " << row.maximum;
  refuse(name, what.str());
}

// Reads and writes one kind of value as JSON.
struct JsonOf {
  const Form& form;

  Json operator()(std::string Form::*member) const {
    return (form.*member).empty() ? Json(nullptr) : Json(form.*member);
  }
  template <class T>
  Json operator()(std::optional<T> Form::*member) const {
    return form.*member ? Json(*(form.*member)) : Json(nullptr);
  }
  Json operator()(const ChoiceField& choice) const {
    const std::string name = choice.get(form);
    return name.empty() ? Json(nullptr) : Json(name);
  }
  Json operator()(const ListField& list) const { return list.get(form); }
};

class FormSetter {
 public:
  FormSetter(const RequestField& row, const Json& json, Form& form)
      : row_(row), json_(json), form_(form) {}

  void operator()(std::string Form::*member) const { form_.*member = text(); }
  void operator()(std::optional<std::string> Form::*member) const { form_.*member = text(); }
  void operator()(std::optional<int64_t> Form::*member) const {
    const bool fits = !json_.is_number_unsigned() || std::in_range<int64_t>(json_.get<uint64_t>());
    require(json_.is_number_integer() && fits, "a whole number of at most 64 bits");
    form_.*member = json_.get<int64_t>();
  }
  void operator()(std::optional<uint64_t> Form::*member) const {
    require(json_.is_number_unsigned() || (json_.is_number_integer() && json_.get<int64_t>() >= 0),
            "a whole number from 0 to 18446744073709551615");
    form_.*member = json_.get<uint64_t>();
  }
  void operator()(std::optional<double> Form::*member) const {
    require(json_.is_number(), "a number");
    form_.*member = json_.get<double>();
  }
  void operator()(const ChoiceField& choice) const {
    const bool known =
        json_.is_string() && std::ranges::find(choice.names, text()) != choice.names.end();
    require(known, join_names(choice.names));
    choice.set(form_, text());
  }
  void operator()(const ListField& list) const {
    require(
        json_.is_array() && std::ranges::all_of(json_, [](const Json& e) { return e.is_string(); }),
        "a list of texts");
    list.set(form_, json_.get<std::vector<std::string>>());
  }

 private:
  std::string text() const {
    require(json_.is_string(), "a text");
    auto result = json_.get<std::string>();
    const bool blank = result.find_first_not_of(" \t\r\n\f\v") == std::string::npos;
    require(
        row_.text == TextRule::kAny || !(row_.text == TextRule::kNotBlank ? blank : result.empty()),
        "a text");
    return result;
  }
  void require(bool holds, const std::string& expected) const {
    if (holds) return;
    refuse(row_.name, ": expected " + expected + ", got " +
                          printable(json_.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }

  const RequestField& row_;
  const Json& json_;
  Form& form_;
};

}  // namespace

std::span<const RequestField> request_fields() {
  static const std::vector<RequestField> kTable = [] {
    std::vector<RequestField> table;
    add_model_fields(table);
    add_video_fields(table);
    add_sampling_fields(table);
    add_run_fields(table);
    return table;
  }();
  return kTable;
}

const RequestField& request_field(std::string_view name) {
  const auto row = std::ranges::find(request_fields(), name, &RequestField::name);
  check(row != request_fields().end(), "a name of the table of request fields");
  return *row;
}

const std::vector<std::string>& choice_names(std::string_view name) {
  return std::get<ChoiceField>(request_field(name).value).names;
}

void check_range(std::string_view name, int64_t value) { check_range_of(name, value); }
void check_range(std::string_view name, double value) { check_range_of(name, value); }

Json field_json(const RequestField& field, const RequestForm& form) {
  return std::visit(JsonOf{form}, field.value);
}

void set_field(const RequestField& field, const Json& json, RequestForm& form) {
  if (!json.is_null()) std::visit(FormSetter(field, json, form), field.value);
}

}  // namespace mxvideo::pipeline
