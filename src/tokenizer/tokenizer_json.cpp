#include "tokenizer/tokenizer_json.h"

#include <openssl/evp.h>

#include <array>
#include <limits>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/text/json.h"
#include "base/text/quote.h"

namespace mxvideo::tokenizer {
namespace {
using nlohmann::json;

// That of UMT5-XXL has 17 MB.
constexpr JsonLimits kLimits = {.max_bytes = size_t{64} << 20};
constexpr std::string_view kWordStart = "\u2581";
constexpr std::string_view kEnd = "</s>";

[[noreturn]] void unsupported(const std::string& origin, const std::string& what) {
  throw Error(Code::kUnsupported, origin + ": " + what + "; expected what UMT5 has");
}

std::string decode_base64(const std::string& text, const std::string& origin) {
  std::string bytes(text.size() / 4 * 3, '\0');
  const int written = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  if (text.size() % 4 != 0 || written < 0) {
    throw Error(Code::kCorruptFile, origin + ": precompiled_charsmap: not base64");
  }
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.resize(static_cast<size_t>(written) - padding);
  return bytes;
}

// The parts of a Sequence, or the one part that is none; none for null.
std::vector<const json*> steps(const json& step, const char* list, const std::string& origin) {
  if (step.is_null()) return {};
  const JsonFields fields(step, origin);
  if (fields.string("type") != "Sequence") return {&step};
  std::vector<const json*> all;
  const json& parts = fields.raw(list);
  if (!parts.is_array()) throw Error(Code::kCorruptFile, origin + ": expected an array " + list);
  for (const json& part : parts) all.push_back(&part);
  return all;
}

// Steps of newer converters that words, split at white space, do not show: blanks at the end, and
// several blanks for one.
bool only_touches_blanks(const JsonFields& step) {
  const std::string type = step.string("type");
  if (type == "Strip") return true;
  if (type != "Replace") return false;
  const json& pattern = step.raw("pattern");
  const std::string content = step.string_or("content", "");
  return pattern.is_object() && pattern.value("Regex", std::string()) == " {2,}" &&
         (content == " " || content == kWordStart);
}

std::string read_normalizer(const json& normalizer, const std::string& origin) {
  std::string table;
  for (const json* step : steps(normalizer, "normalizers", origin)) {
    const JsonFields fields(*step, origin);
    if (fields.string("type") == "Precompiled") {
      if (!table.empty()) unsupported(origin, "two Precompiled steps");
      table = decode_base64(fields.string("precompiled_charsmap"), origin);
    } else if (!only_touches_blanks(fields)) {
      unsupported(origin, "step " + printable(fields.string("type")));
    }
  }
  return table;
}

void check_pre_tokenizer(const json& pre_tokenizer, const std::string& origin) {
  bool marked = false;
  for (const json* step : steps(pre_tokenizer, "pretokenizers", origin)) {
    const JsonFields fields(*step, origin);
    const std::string type = fields.string("type");
    if (type == "WhitespaceSplit") continue;
    const bool prefix = fields.string_or("prepend_scheme", "always") == "always" &&
                        fields.boolean_or("add_prefix_space", true);
    if (type != "Metaspace" || !prefix || fields.string("replacement") != kWordStart ||
        !fields.boolean_or("split", true)) {
      unsupported(origin, "step " + printable(step->dump()));
    }
    marked = true;
  }
  if (!marked) unsupported(origin, "no step Metaspace");
}

// A sequence followed by </s>.
void check_post_processor(const json& post_processor, const std::string& origin) {
  const json expected = {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                         {{"SpecialToken", {{"id", kEnd}, {"type_id", 0}}}}};
  if (!post_processor.is_object() || post_processor.value("single", json()) != expected) {
    unsupported(origin, "does not put </s> behind a text");
  }
}

SentencePiece read_piece(const json& entry, const std::string& origin) {
  if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
    throw Error(Code::kCorruptFile,
                origin + ": expected pairs of a piece and its score, got " + describe_json(entry));
  }
  return {.text = entry[0].get<std::string>(), .score = entry[1].get<float>(), .unknown = false};
}

SpieceModel read_model(const json& model, const std::string& origin) {
  const JsonFields fields(model, origin);
  const std::string type = fields.string_or("type", "Unigram");
  if (type != "Unigram") unsupported(origin, "type " + printable(type));
  if (fields.boolean_or("byte_fallback", false)) unsupported(origin, "byte_fallback");
  const json& vocabulary = fields.raw("vocab");
  if (!vocabulary.is_array() || vocabulary.empty() || vocabulary.size() > SpieceModel::kMaxPieces) {
    throw Error(Code::kCorruptFile, origin + ": vocab: expected an array of 1 to " +
                                        std::to_string(SpieceModel::kMaxPieces) + " pieces");
  }
  SpieceModel result;
  for (const json& entry : vocabulary) result.pieces.push_back(read_piece(entry, origin));
  const auto last = static_cast<int64_t>(vocabulary.size()) - 1;
  result.pieces[static_cast<size_t>(fields.integer("unk_id", 0, last))].unknown = true;
  result.check(origin);
  return result;
}

std::vector<AddedToken> read_added_tokens(const json& list, const std::string& origin) {
  if (!list.is_array()) throw Error(Code::kCorruptFile, origin + ": expected an array");
  std::vector<AddedToken> tokens;
  for (const json& entry : list) {
    const JsonFields fields(entry, origin);
    const int64_t id = fields.integer("id", 0, std::numeric_limits<int32_t>::max());
    if (fields.boolean_or("single_word", false)) unsupported(origin, "a token with single_word");
    tokens.push_back({.text = fields.string("content"),
                      .id = static_cast<int32_t>(id),
                      .normalized = fields.boolean_or("normalized", false)});
    check_added_token(tokens.back().text, tokens.size(), origin);
  }
  return tokens;
}

}  // namespace

TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& origin) {
  const json root = parse_json(text, origin, kLimits);
  const JsonFields fields(root, origin);
  TokenizerJson result{.model = read_model(fields.raw("model"), origin + ": model"),
                       .added_tokens = {}};
  result.model.normalizer_table =
      read_normalizer(fields.raw("normalizer"), origin + ": normalizer");
  check_pre_tokenizer(fields.raw("pre_tokenizer"), origin + ": pre_tokenizer");
  check_post_processor(fields.raw("post_processor"), origin + ": post_processor");
  if (fields.has("added_tokens")) {
    result.added_tokens = read_added_tokens(fields.raw("added_tokens"), origin + ": added_tokens");
  }
  return result;
}

TokenizerJson read_tokenizer_json(const std::filesystem::path& path) {
  return parse_tokenizer_json(read_file(path, kLimits.max_bytes), path.string());
}

}  // namespace mxvideo::tokenizer
