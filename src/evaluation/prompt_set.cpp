#include "evaluation/prompt_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/text/json.h"
#include "base/text/quote.h"
#include "evaluation/drawn_clips/shape_outline.h"

namespace mxvideo::evaluation {
namespace {
using nlohmann::json;

constexpr JsonLimits kLimits = {.max_bytes = 4u << 20, .max_depth = 4, .max_values = 1u << 17};
constexpr size_t kMaxPrompts = 10000;
constexpr size_t kMaxColors = 64;
constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxPromptBytes = 4096;

constexpr std::array<std::string_view, 4> kDirections = {"right", "left", "up", "down"};
constexpr std::array<std::string_view, 3> kRows = {"at the top", "in the middle", "at the bottom"};
constexpr std::array<std::string_view, 3> kColumns = {"on the left", "in the middle",
                                                      "on the right"};

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(Code::kCorruptFile, where + ": " + what);
}

void require_known_fields(const json& object, const std::string& origin,
                          std::span<const std::string_view> known) {
  if (!object.is_object()) {
    fail(origin, "expected an object, got " + describe_json(object));
  }
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    fail(origin,
         fmt::format("unknown field '{}'; known: {}", printable(key), fmt::join(known, ", ")));
  }
}

Palette read_palette(const JsonFields& file, const std::string& field) {
  const json& colors = file.raw(field);
  const std::string origin = file.origin() + ": " + field;
  if (!colors.is_object() || colors.empty() || colors.size() > kMaxColors) {
    fail(origin, "expected an object of 1 to " + std::to_string(kMaxColors) + " colours, got " +
                     describe_json(colors));
  }
  const JsonFields fields(colors, origin);
  Palette palette;
  for (const auto& [name, value] : colors.items()) {
    if (name.empty() || name.size() > kMaxNameBytes) {
      fail(origin, "expected names of 1 to " + std::to_string(kMaxNameBytes) + " bytes, got '" +
                       printable(name) + "'");
    }
    const std::vector<int64_t> rgb = fields.integers(name, 0, 255);
    if (rgb.size() != 3) {
      fail(origin, printable(name) + ": expected red, green and blue, got " +
                       std::to_string(rgb.size()) + " numbers");
    }
    palette.push_back({.name = name,
                       .value = {static_cast<double>(rgb[0]), static_cast<double>(rgb[1]),
                                 static_cast<double>(rgb[2])}});
  }
  return palette;
}

// A string that is one of `known`.
std::string read_choice(const JsonFields& fields, const std::string& key,
                        std::span<const std::string_view> known) {
  std::string value = fields.string(key);
  if (std::ranges::find(known, value) != known.end()) return value;
  fail(fields.origin(), fmt::format("{}: expected one of {}, got '{}'", key, fmt::join(known, ", "),
                                    printable(value)));
}

std::vector<std::string_view> names_of(const Palette& palette) {
  std::vector<std::string_view> names;
  for (const NamedColor& color : palette) names.emplace_back(color.name);
  return names;
}

EvaluationPrompt read_prompt(const json& object, const std::string& origin, const PromptSet& set) {
  constexpr std::array<std::string_view, 6> kFields = {"prompt",     "shape",     "color",
                                                       "background", "direction", "position"};
  constexpr std::array kShapes = {ShapeKind::kBall, ShapeKind::kSquare, ShapeKind::kTriangle,
                                  ShapeKind::kRing};
  require_known_fields(object, origin, kFields);
  const JsonFields fields(object, origin);
  EvaluationPrompt prompt{.prompt = fields.string("prompt"), .expected = {}};
  if (prompt.prompt.empty() || prompt.prompt.size() > kMaxPromptBytes) {
    fail(origin, "prompt: expected 1 to " + std::to_string(kMaxPromptBytes) + " bytes, got " +
                     std::to_string(prompt.prompt.size()));
  }
  std::array<std::string_view, kShapes.size()> shapes;
  std::ranges::transform(kShapes, shapes.begin(), shape_name);
  ExpectedContent& expected = prompt.expected;
  expected.shape = read_choice(fields, "shape", shapes);
  expected.color = read_choice(fields, "color", names_of(set.colors));
  expected.background = read_choice(fields, "background", names_of(set.backgrounds));
  expected.direction = read_choice(fields, "direction", kDirections);
  const bool to_a_side = expected.direction == "right" || expected.direction == "left";
  expected.position = read_choice(fields, "position", to_a_side ? kRows : kColumns);
  return prompt;
}

}  // namespace

PromptSet read_prompt_set(const std::filesystem::path& path) {
  constexpr std::array<std::string_view, 3> kFields = {"colors", "backgrounds", "prompts"};
  const json document = read_json_file(path, kLimits);
  require_known_fields(document, path.string(), kFields);
  const JsonFields fields(document, path.string());
  PromptSet set;
  set.colors = read_palette(fields, "colors");
  set.backgrounds = read_palette(fields, "backgrounds");
  const json& prompts = fields.raw("prompts");
  if (!prompts.is_array() || prompts.empty() || prompts.size() > kMaxPrompts) {
    fail(path.string(), "prompts: expected an array of 1 to " + std::to_string(kMaxPrompts) +
                            " prompts, got " + describe_json(prompts));
  }
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string origin = path.string() + ": prompts[" + std::to_string(i) + "]";
    set.prompts.push_back(read_prompt(prompts[i], origin, set));
  }
  return set;
}

}  // namespace mxvideo::evaluation
