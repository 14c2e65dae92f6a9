// Tokens that are recognised in the text before anything else: </s>, <pad>, <unk>, <extra_id_0>…
// Immutable after construction, thread-safe.
// Source: the behaviour of AddedVocabulary in huggingface/tokenizers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mxvideo::tokenizer {

struct AddedToken {
  std::string text;
  int32_t id = 0;
  bool normalized = false;  // looked for after normalising the text, not before
};

// Throws Code::kCorruptFile, beginning with `origin`, when the text of a token or the number of
// tokens so far is beyond what any tokenizer has.
void check_added_token(const std::string& text, size_t count, const std::string& origin);

// Part of a text: a token, or text between tokens.
struct TextPart {
  std::string_view text;
  int32_t token_id = -1;  // < 0: text
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // From `added_tokens_decoder` of tokenizer_config.json in `directory`; when the file or the field
  // is absent, from the tokens that special_tokens_map.json names, and without that file the
  // control tokens of T5. `piece_ids` gives the ids of pieces. White space beside a token is
  // dropped by the caller in any case, so lstrip and rstrip do not matter. Throws
  // Code::kCorruptFile on malformed files, Code::kUnsupported on single_word tokens.
  static AddedTokens read(const std::filesystem::path& directory,
                          const std::unordered_map<std::string, int32_t>& piece_ids);

  const std::vector<AddedToken>& tokens() const { return tokens_; }

  // Splits at the tokens whose `normalized` equals the argument: leftmost, then longest.
  std::vector<TextPart> split(std::string_view text, bool normalized) const;

 private:
  std::vector<AddedToken> tokens_;  // longest first
};

}  // namespace mxvideo::tokenizer
