#include "cli/flags/generation_flags.h"

#include <charconv>
#include <cstring>

#include "base/parallel.h"
#include "cli/flags/environment.h"
#include "cli/spelling.h"
#include "kernels/registry.h"

namespace mxvideo::cli {
namespace {

using pipeline::ChoiceField;
using pipeline::FieldSection;
using pipeline::ListField;
using pipeline::RequestField;
using pipeline::RequestForm;
using pipeline::TextRule;

constexpr const char* kSamplingGroup = "Sampling";

const char* group_of(FieldSection section) {
  switch (section) {
    case FieldSection::kModel:
    case FieldSection::kQuantization:
      return kModelGroup;
    case FieldSection::kPrompt:
    case FieldSection::kNegativePrompt:
    case FieldSection::kImage:
    case FieldSection::kFrames:
      return "Video";
    case FieldSection::kGuidance:
    case FieldSection::kSchedule:
    case FieldSection::kNoise:
      return kSamplingGroup;
    case FieldSection::kRun:
      return kRunGroup;
  }
  return "";
}

// "832x480", "832*480" or "832,480".
void parse_size(const std::string& text, GenerateOptions& options) {
  int64_t width = 0, height = 0;
  const char* end = text.data() + text.size();
  const auto [middle, error] = std::from_chars(text.data(), end, width);
  const bool separated = error == std::errc() && middle != end && std::strchr("xX*,", *middle);
  const auto last = separated ? std::from_chars(middle + 1, end, height)
                              : std::from_chars_result{end, std::errc::invalid_argument};
  if (last.ec != std::errc() || last.ptr != end) {
    throw CLI::ValidationError("--size", "expected WIDTHxHEIGHT, got '" + text + "'");
  }
  options.width = width;
  options.height = height;
}

// Of 64 bits, as torch takes them; -1 is none.
std::optional<uint64_t> parse_seed(const std::string& text, const std::string& flag) {
  if (text == "-1") return std::nullopt;
  uint64_t seed = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, seed);
  if (error != std::errc() || last != end) {
    throw CLI::ValidationError(flag,
                               "expected a whole number from 0 to 18446744073709551615, or -1 for "
                               "a random one, got '" +
                                   text + "'");
  }
  return seed;
}

// "-m,--model-path,--model,--ckpt_dir"
std::string spellings_of(const RequestField& field) {
  std::string names = field.letter == 0 ? "" : std::string{'-', field.letter, ','};
  names += flag_of(field.name);
  for (const std::string& alias : field.aliases) names += ",--" + alias;
  return names;
}

// Adds the option of one kind of value.
struct OptionOf {
  CLI::App& app;
  const RequestField& field;
  RequestForm& form;
  const std::string names = spellings_of(field), help = spelled(field.help);

  CLI::Option* operator()(std::string RequestForm::*member) const {
    CLI::Option* option = app.add_option(names, form.*member, help);
    if (field.text == TextRule::kNotEmpty) option->check(is_not_empty());
    if (field.text == TextRule::kNotBlank) option->check(is_not_blank());
    return option;
  }
  CLI::Option* operator()(std::optional<std::string> RequestForm::*member) const {
    return app.add_option(names, form.*member, help);
  }
  CLI::Option* operator()(std::optional<int64_t> RequestForm::*member) const {
    return app.add_option(names, form.*member, help)->check(is_integer());
  }
  CLI::Option* operator()(std::optional<double> RequestForm::*member) const {
    return app.add_option(names, form.*member, help);
  }
  CLI::Option* operator()(std::optional<uint64_t> RequestForm::*member) const {
    const auto set = [&f = form, member, flag = flag_of(field.name)](const std::string& text) {
      f.*member = parse_seed(text, flag);
    };
    return app.add_option_function<std::string>(names, set, help)
        ->default_str(form.*member ? std::to_string(*(form.*member)) : "-1");
  }
  CLI::Option* operator()(const ChoiceField& choice) const {
    const auto set = [&f = form, &choice](const std::string& name) { choice.set(f, name); };
    CLI::Option* option = app.add_option_function<std::string>(names, set, help);
    if (field.default_in_help) option->default_str(choice.get(form));
    return option->transform(choice_of(choice.names));
  }
  CLI::Option* operator()(const ListField& list) const {
    const auto set = [&f = form, &list](const std::vector<std::string>& texts) {
      list.set(f, texts);
    };
    return app.add_option_function<std::vector<std::string>>(names, set, help)->delimiter(',');
  }
};

}  // namespace

CLI::Option* add_field_flag(CLI::App& app, std::string_view name, RequestForm& form) {
  const RequestField& field = pipeline::request_field(name);
  return std::visit(OptionOf{app, field, form}, field.value);
}

void add_section_flags(CLI::App& app, FieldSection section, RequestForm& form) {
  for (const RequestField& field : pipeline::request_fields()) {
    if (field.section != section) continue;
    add_field_flag(app, field.name, form)->group(group_of(section));
  }
}

void add_model_flags(CLI::App& app, GenerateOptions& o) {
  add_section_flags(app, FieldSection::kModel, o);
  app.get_option("--model-path")->required();
  add_allow_links_flag(app, kModelGroup);
}

void add_frame_flags(CLI::App& app, GenerateOptions& o) {
  auto* size = app.add_option_function<std::string>(
                      "--size", [&o](const std::string& text) { parse_size(text, o); },
                      "WIDTHxHEIGHT in pixels")
                   ->group(group_of(FieldSection::kFrames));
  add_section_flags(app, FieldSection::kFrames, o);
  for (const char* side : {"--width", "--height"}) app.get_option(side)->excludes(size);
}

void add_sampling_flags(CLI::App& app, GenerateOptions& o) {
  add_section_flags(app, FieldSection::kGuidance, o);
  app.add_option("--cfg-scale", o.cfg_scale,
                 "sd-cli's name: the low-noise expert where there are two, else the only one")
      ->group(kSamplingGroup);
  add_section_flags(app, FieldSection::kSchedule, o);
}

void add_overwrite_flag(CLI::App& app, bool& overwrite) {
  app.add_flag("--overwrite", overwrite, "Replace outputs that exist, at the very end")
      ->group(kOutputGroup);
}

void add_run_flags(CLI::App& app, GenerateOptions& o) {
  app.add_option("--threads", o.threads, "Threads (default: all of this machine)")
      ->check(CLI::Range(1, 4096))
      ->group(kRunGroup);
  add_section_flags(app, FieldSection::kRun, o);
  add_progress_flags(app, o.progress);
}

void apply_run_flags(const GenerateOptions& o) {
  if (o.threads > 0) set_num_threads(o.threads);
  for (const auto& [op, row] : o.policy.forced_rows) kernels::check_row_runs(op, row);
}

}  // namespace mxvideo::cli
