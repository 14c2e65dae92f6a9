// Text to UMT5 token ids, equal to those of the Hugging Face tokenizer that the Diffusers pipelines
// use (T5TokenizerFast): special tokens inside the text become their ids, a run of unknown
// characters becomes one <unk> (never byte pieces), </s> ends the sequence.
//
// The segmentation is the SentencePiece library's; the steps around it follow huggingface/
// tokenizers. Immutable after opening; encode() is thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::tokenizer {

struct AddedToken;
struct SpieceModel;

class Umt5Tokenizer {
 public:
  static constexpr int64_t kMaxLength = 512;  // tokens that the Wan pipelines use

  // A `tokenizer` directory: spiece.model, and tokenizer_config.json or special_tokens_map.json
  // for the special tokens; without spiece.model, tokenizer.json, which holds both. Throws
  // Code::kNotFound with neither, Code::kCorruptFile naming the file on every defect,
  // Code::kUnsupported for a tokenizer.json that is none of UMT5.
  static Umt5Tokenizer open(const std::filesystem::path& directory);
  // The same from the bytes of a spiece.model that lie elsewhere, at `origin`.
  static Umt5Tokenizer parse(std::string_view spiece_model, const std::string& origin,
                             const std::filesystem::path& directory);

  Umt5Tokenizer(Umt5Tokenizer&&) noexcept;
  Umt5Tokenizer& operator=(Umt5Tokenizer&&) noexcept;
  ~Umt5Tokenizer();

  // `text` is a cleaned prompt (clean_prompt). At most `max_length` >= 1 ids, the last one being
  // </s>; no padding. Throws Code::kInvalidArgument on invalid UTF-8.
  std::vector<int32_t> encode(std::string_view text, int64_t max_length = kMaxLength) const;

  // One more than the largest id: the embedding table needs as many rows.
  int64_t vocabulary_size() const;
  int32_t end_id() const;

 private:
  struct State;
  // `added`: nullptr for those of the directory.
  static std::unique_ptr<State> make_state(const SpieceModel& model, const std::string& origin,
                                           const std::filesystem::path& directory,
                                           const std::vector<AddedToken>* added);
  explicit Umt5Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mxvideo::tokenizer
