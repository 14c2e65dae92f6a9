#include "tokenizer/umt5_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <exception>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/precompiled_normalizer.h"
#include "tokenizer/spiece_model.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode_text.h"

// Exported by libsentencepiece, declared in none of its installed headers.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // NOLINT(readability-identifier-naming): its name there
}

namespace mxvideo::tokenizer {
namespace {

constexpr std::string_view kWordStart = "\u2581";  // stands for the space before a word
constexpr int kLogNothing = 4;                     // above FATAL

// White space as Rust's char::is_whitespace has it: Python's without U+001C to U+001F.
bool separates_words(char32_t character) {
  return is_space(character) && !(character >= 0x1c && character <= 0x1f);
}

// Words with kWordStart in front; a kWordStart inside a word begins a new one.
std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const auto character = decode_utf8_character(text, position);
    check(character.has_value(), "normalised text is UTF-8");
    if (separates_words(*character)) {
      in_word = false;
      continue;
    }
    const std::string_view bytes = text.substr(begin, position - begin);
    const bool marked = bytes == kWordStart;
    if (marked || !in_word) words.emplace_back(kWordStart);
    if (!marked) words.back() += bytes;
    in_word = true;
  }
  return words;
}

void load_processor(sentencepiece::SentencePieceProcessor& processor, const std::string& bytes,
                    const std::string& origin) {
  sentencepiece::logging::SetMinLogLevel(kLogNothing);
  std::string problem;
  try {
    const auto status = processor.LoadFromSerializedProto(bytes);
    if (!status.ok()) problem = status.message();
  } catch (const std::exception& error) {
    problem = error.what();
  }
  if (!problem.empty()) {
    throw Error(Code::kCorruptFile, origin + ": SentencePiece refuses the pieces: " + problem);
  }
}

}  // namespace

struct Umt5Tokenizer::State {
  State(const SpieceModel& model, AddedTokens tokens, const std::string& origin)
      : added_tokens(std::move(tokens)), normalizer(model.normalizer_table, origin) {}

  AddedTokens added_tokens;
  PrecompiledNormalizer normalizer;
  sentencepiece::SentencePieceProcessor processor;
  int32_t unknown_id = 0;
  std::vector<int32_t> piece_ids;  // token id of each piece that the processor knows
  int32_t end_id = 0;
  int64_t vocabulary_size = 0;

  void set_pieces(const SpieceModel& model, std::unordered_map<std::string, int32_t> ids,
                  const std::string& origin);
  void append_word(const std::string& word, std::vector<int32_t>& ids) const;
  void append_text(std::string_view text, std::vector<int32_t>& ids) const;
};

// Added tokens are pieces of score 0 too: they can appear when the normaliser removes a character
// from the middle of one.
void Umt5Tokenizer::State::set_pieces(const SpieceModel& model,
                                      std::unordered_map<std::string, int32_t> ids,
                                      const std::string& origin) {
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    piece_ids.push_back(static_cast<int32_t>(id));
    if (model.pieces[id].unknown) unknown_id = static_cast<int32_t>(id);
  }
  piece_ids.push_back(unknown_id);
  vocabulary_size = static_cast<int64_t>(model.pieces.size());
  std::vector<std::string> more;
  for (const AddedToken& token : added_tokens.tokens()) {
    vocabulary_size = std::max(vocabulary_size, int64_t{token.id} + 1);
    if (!ids.emplace(token.text, token.id).second) continue;
    more.push_back(token.text);
    piece_ids.push_back(token.id);
  }
  load_processor(processor, model.serialize_plain_unigram(more), origin);
}

void Umt5Tokenizer::State::append_word(const std::string& word, std::vector<int32_t>& ids) const {
  std::vector<int> pieces;
  const auto status = processor.Encode(word, &pieces);
  check(status.ok(), "SentencePiece encodes valid UTF-8");
  bool after_unknown = false;
  for (const int piece : pieces) {
    const int32_t id = piece_ids[static_cast<size_t>(piece)];
    const bool unknown = id == unknown_id;
    if (!unknown || !after_unknown) ids.push_back(id);
    after_unknown = unknown;
  }
}

void Umt5Tokenizer::State::append_text(std::string_view text, std::vector<int32_t>& ids) const {
  const std::string normalized = normalizer.normalize(text);
  for (const TextPart& part : added_tokens.split(normalized, true)) {
    if (part.token_id >= 0) {
      ids.push_back(part.token_id);
    } else {
      for (const std::string& word : split_words(part.text)) append_word(word, ids);
    }
  }
}

Umt5Tokenizer::Umt5Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Umt5Tokenizer::Umt5Tokenizer(Umt5Tokenizer&&) noexcept = default;
Umt5Tokenizer& Umt5Tokenizer::operator=(Umt5Tokenizer&&) noexcept = default;
Umt5Tokenizer::~Umt5Tokenizer() = default;

std::unique_ptr<Umt5Tokenizer::State> Umt5Tokenizer::make_state(
    const SpieceModel& model, const std::string& origin, const std::filesystem::path& directory,
    const std::vector<AddedToken>* added) {
  std::unordered_map<std::string, int32_t> ids;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    ids.emplace(model.pieces[id].text, static_cast<int32_t>(id));
  }
  const auto end = ids.find("</s>");
  if (end == ids.end()) {
    throw Error(Code::kCorruptFile, origin + ": expected a piece </s>, found none");
  }
  AddedTokens tokens = added == nullptr ? AddedTokens::read(directory, ids) : AddedTokens(*added);
  auto state = std::make_unique<State>(model, std::move(tokens), origin);
  state->end_id = end->second;
  state->set_pieces(model, ids, origin);
  return state;
}

Umt5Tokenizer Umt5Tokenizer::open(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "spiece.model";
  if (std::filesystem::exists(path)) {
    return Umt5Tokenizer(make_state(SpieceModel::read(path), path.string(), directory, nullptr));
  }
  const std::filesystem::path json_path = directory / "tokenizer.json";
  if (!std::filesystem::exists(json_path)) {
    throw Error(Code::kNotFound,
                directory.string() + ": no tokenizer: expected spiece.model or tokenizer.json");
  }
  const TokenizerJson json = read_tokenizer_json(json_path);
  return Umt5Tokenizer(make_state(json.model, json_path.string(), directory, &json.added_tokens));
}

Umt5Tokenizer Umt5Tokenizer::parse(std::string_view spiece_model, const std::string& origin,
                                   const std::filesystem::path& directory) {
  return Umt5Tokenizer(
      make_state(SpieceModel::parse(spiece_model, origin), origin, directory, nullptr));
}

std::vector<int32_t> Umt5Tokenizer::encode(std::string_view text, int64_t max_length) const {
  check(max_length >= 1, "max_length leaves room for </s>");
  if (!decode_utf8(text)) throw Error(Code::kInvalidArgument, "prompt: invalid UTF-8");
  std::vector<int32_t> ids;
  for (const TextPart& part : state_->added_tokens.split(text, false)) {
    if (part.token_id >= 0) {
      ids.push_back(part.token_id);
    } else {
      state_->append_text(part.text, ids);
    }
  }
  ids.resize(std::min(ids.size(), static_cast<size_t>(max_length - 1)));
  ids.push_back(state_->end_id);
  return ids;
}

int64_t Umt5Tokenizer::vocabulary_size() const { return state_->vocabulary_size; }
int32_t Umt5Tokenizer::end_id() const { return state_->end_id; }

}  // namespace mxvideo::tokenizer
