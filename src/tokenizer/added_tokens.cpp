#include "tokenizer/added_tokens.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <limits>

#include "base/error.h"
#include "base/text/json.h"

namespace mxvideo::tokenizer {
namespace {
using PieceIds = std::unordered_map<std::string, int32_t>;

constexpr size_t kMaxTokens = 4096;
constexpr size_t kMaxTokenBytes = 256;

int32_t parse_id(const std::string& key, const std::string& origin) {
  int32_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc{} || end != key.data() + key.size() || id < 0) {
    throw Error(Code::kCorruptFile, origin + ": expected a token id as key, got '" + key + "'");
  }
  return id;
}

std::vector<AddedToken> parse_added_tokens_decoder(const nlohmann::json& decoder,
                                                   const std::string& origin) {
  if (!decoder.is_object()) {
    throw Error(Code::kCorruptFile, origin + ": added_tokens_decoder: expected an object");
  }
  std::vector<AddedToken> tokens;
  for (const auto& [key, value] : decoder.items()) {
    const std::string where = origin + ": added_tokens_decoder." + key;
    const JsonFields fields(value, where);
    if (fields.boolean_or("single_word", false)) {
      throw Error(Code::kUnsupported, where + ": tokens with single_word are not supported");
    }
    tokens.push_back({.text = fields.string("content"),
                      .id = parse_id(key, origin),
                      .normalized = fields.boolean_or("normalized", false)});
    check_added_token(tokens.back().text, tokens.size(), origin);
  }
  return tokens;
}

// A name, or an object with `content`.
std::string token_text(const nlohmann::json& value, const std::string& origin) {
  if (value.is_string()) return value.get<std::string>();
  return JsonFields(value, origin).string("content");
}

std::vector<std::string> parse_special_tokens_map(const std::filesystem::path& path) {
  const nlohmann::json json = read_json_file(path);
  const JsonFields fields(json, path.string());
  std::vector<std::string> names;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    if (fields.has(key)) names.push_back(token_text(fields.raw(key), path.string() + ": " + key));
  }
  if (!fields.has("additional_special_tokens")) return names;
  const std::string where = path.string() + ": additional_special_tokens";
  const nlohmann::json& additional = fields.raw("additional_special_tokens");
  if (!additional.is_array()) throw Error(Code::kCorruptFile, where + ": expected an array");
  for (const nlohmann::json& token : additional) names.push_back(token_text(token, where));
  return names;
}

std::vector<AddedToken> with_ids(const std::vector<std::string>& names, const PieceIds& piece_ids,
                                 const std::string& origin) {
  std::vector<AddedToken> tokens;
  for (const std::string& name : names) {
    const auto found = piece_ids.find(name);
    if (found == piece_ids.end()) {
      throw Error(Code::kCorruptFile,
                  origin + ": special token '" + name +
                      "' has no id: neither tokenizer_config.json nor spiece.model has it");
    }
    tokens.push_back({.text = name, .id = found->second, .normalized = false});
    check_added_token(name, tokens.size(), origin);
  }
  return tokens;
}

}  // namespace

void check_added_token(const std::string& text, size_t count, const std::string& origin) {
  if (text.empty() || text.size() > kMaxTokenBytes || count > kMaxTokens) {
    throw Error(Code::kCorruptFile, origin + ": expected at most " + std::to_string(kMaxTokens) +
                                        " added tokens of 1 to " + std::to_string(kMaxTokenBytes) +
                                        " bytes");
  }
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.text.size() > b.text.size();
  });
}

AddedTokens AddedTokens::read(const std::filesystem::path& directory, const PieceIds& piece_ids) {
  const std::filesystem::path config = directory / "tokenizer_config.json";
  if (std::filesystem::exists(config)) {
    const nlohmann::json json = read_json_file(config);
    const JsonFields fields(json, config.string());
    if (fields.has("added_tokens_decoder")) {
      return AddedTokens(
          parse_added_tokens_decoder(fields.raw("added_tokens_decoder"), config.string()));
    }
  }
  const std::filesystem::path map = directory / "special_tokens_map.json";
  if (std::filesystem::exists(map)) {
    return AddedTokens(with_ids(parse_special_tokens_map(map), piece_ids, map.string()));
  }
  return AddedTokens(with_ids({"<pad>", "</s>", "<unk>"}, piece_ids, directory.string()));
}

std::vector<TextPart> AddedTokens::split(std::string_view text, bool normalized) const {
  std::vector<TextPart> parts;
  size_t begin = 0;  // of the text since the last token
  for (size_t position = 0; position < text.size();) {
    const auto matches = [&](const AddedToken& token) {
      return token.normalized == normalized && text.substr(position).starts_with(token.text);
    };
    const auto found = std::find_if(tokens_.begin(), tokens_.end(), matches);
    if (found == tokens_.end()) {
      ++position;
      continue;
    }
    if (position > begin) parts.push_back({.text = text.substr(begin, position - begin)});
    parts.push_back({.text = text.substr(position, found->text.size()), .token_id = found->id});
    position += found->text.size();
    begin = position;
  }
  if (begin < text.size()) parts.push_back({.text = text.substr(begin)});
  return parts;
}

}  // namespace mxvideo::tokenizer
