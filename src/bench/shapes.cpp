#include "bench/shapes.h"

#include <charconv>
#include <filesystem>
#include <functional>
#include <sstream>

#include "base/error.h"
#include "base/text/field.h"
#include "base/text/glob.h"
#include "base/text/nearest_name.h"
#include "bench/builtin_shapes.h"
#include "formats/mx_block.h"

namespace mxvideo::bench {
namespace {

// More than any layer has; keeps products of sizes within 64 bits.
constexpr int64_t kLargest = int64_t{1} << 24;

// The whole of `text` as a number from 1 to kLargest; 0 for anything else.
int64_t parse_size(const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, value);
  const bool good = error == std::errc() && last == end && value >= 1 && value <= kLargest;
  return good ? value : 0;
}

// Calls `take` with the words of each line that has any; it returns what is wrong with them.
void for_each_line(const TextFile& file,
                   const std::function<std::string(const std::vector<std::string>&)>& take) {
  std::istringstream lines(file.text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream fields(line.substr(0, line.find('#')));
    std::vector<std::string> words;
    for (std::string word; fields >> word;) words.push_back(word);
    if (words.empty()) continue;
    const std::string problem = take(words);
    if (problem.empty()) continue;
    throw Error(Code::kCorruptFile,
                file.name + ":" + std::to_string(number) + ": " + problem + ", got '" + line + "'");
  }
}

std::string model_of(const TextFile& file) {
  return std::filesystem::path(file.name).stem().string();
}

int64_t rows_of(const std::string& text, const LayerShape& shape,
                const std::vector<TokenCount>& tokens) {
  const int64_t number = parse_size(text);
  if (number > 0) return number;
  for (const TokenCount& count : tokens) {
    if (count.model == shape.model && count.resolution == text) return count.tokens;
  }
  std::string known;
  for (const TokenCount& count : tokens) {
    if (count.model == shape.model) known += ", " + count.resolution;
  }
  throw Error(Code::kInvalidArgument, field("m") + ": expected numbers from 1 to " +
                                          std::to_string(kLargest) + " or, for " + shape.model +
                                          ", one of" + (known.empty() ? " none" : known.substr(1)) +
                                          "; got '" + text + "'");
}

}  // namespace

std::vector<LayerShape> parse_layer_shapes(const TextFile& file) {
  std::vector<LayerShape> shapes;
  for_each_line(file, [&](const std::vector<std::string>& words) -> std::string {
    constexpr const char* kExpected = "expected `layer K N` with sizes from 1 to 16777216";
    if (words.size() != 3) return kExpected;
    LayerShape shape{.model = model_of(file),
                     .layer = words[0],
                     .k = parse_size(words[1]),
                     .n = parse_size(words[2])};
    if (shape.k == 0 || shape.n == 0) return kExpected;
    if (shape.k % formats::kMxBlockSize != 0) return "expected K to be a multiple of 32";
    shapes.push_back(std::move(shape));
    return {};
  });
  if (shapes.empty()) {
    throw Error(Code::kCorruptFile, file.name + ": expected lines `layer K N`, got none");
  }
  return shapes;
}

std::vector<TokenCount> parse_token_counts(const TextFile& file) {
  std::vector<TokenCount> counts;
  for_each_line(file, [&](const std::vector<std::string>& words) -> std::string {
    constexpr const char* kExpected =
        "expected `model resolution tokens` with tokens from 1 to 16777216";
    if (words.size() != 3) return kExpected;
    counts.push_back({.model = words[0], .resolution = words[1], .tokens = parse_size(words[2])});
    return counts.back().tokens == 0 ? kExpected : "";
  });
  return counts;
}

std::vector<LayerShape> builtin_layer_shapes() {
  std::vector<LayerShape> shapes = parse_layer_shapes({.name = "a14b.txt", .text = kShapesA14b});
  for (LayerShape& shape : parse_layer_shapes({.name = "ti2v_5b.txt", .text = kShapesTi2v5b})) {
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

std::vector<TokenCount> builtin_token_counts() {
  return parse_token_counts({.name = "tokens.txt", .text = kTokens});
}

std::vector<GemmProblem> select_problems(const std::vector<LayerShape>& shapes,
                                         const std::vector<TokenCount>& tokens,
                                         const GemmSelection& selection) {
  std::vector<GemmProblem> problems;
  std::vector<std::string> known;
  for (const LayerShape& shape : shapes) {
    const std::string layer = shape.model + "/" + shape.layer;
    known.push_back(layer);
    if (!glob_match(selection.layers, layer)) continue;
    for (const std::string& rows : selection.rows) {
      problems.push_back(
          {.layer = layer, .m = rows_of(rows, shape, tokens), .k = shape.k, .n = shape.n});
    }
  }
  if (problems.empty()) {
    throw Error(Code::kInvalidArgument, field("layer") + " '" + selection.layers +
                                            "' matches none of " + join_names(known) +
                                            did_you_mean(selection.layers, known));
  }
  return problems;
}

}  // namespace mxvideo::bench
