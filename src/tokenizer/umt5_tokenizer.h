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

struct SpieceModel;

class Umt5Tokenizer {
 public:
  static constexpr int64_t kMaxLength = 512;  // tokens that the Wan pipelines use

  // A `tokenizer` directory: spiece.model, and tokenizer_config.json or special_tokens_map.json
  // for the special tokens. Throws Code::kNotFound without spiece.model, Code::kCorruptFile
  // naming the file on every defect.
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
  static std::unique_ptr<State> make_state(const SpieceModel& model, const std::string& origin,
                                           const std::filesystem::path& directory);
  explicit Umt5Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mxvideo::tokenizer
