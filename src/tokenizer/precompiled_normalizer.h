// The text normaliser of a SentencePiece model as Hugging Face's tokenizers apply it: its table
// maps byte sequences to replacements (NFKC and white space, in practice). A grapheme of less than
// six bytes is replaced as a whole by what its shortest mapped prefix becomes, so combining marks
// after a mapped letter vanish; others go character by character. SentencePiece itself takes the
// longest match instead.
// Immutable, thread-safe. Source: the behaviour of `Precompiled` in huggingface/tokenizers and the
// layout of Darts double arrays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::tokenizer {

class PrecompiledNormalizer {
 public:
  // `table` is precompiled_charsmap; empty means no change. Throws Code::kCorruptFile naming
  // `origin` when its sizes do not fit.
  PrecompiledNormalizer(std::string_view table, std::string origin);

  // `text` is valid UTF-8, and so is the result. Throws Code::kCorruptFile when the table points
  // outside itself or to something that is no text.
  std::string normalize(std::string_view text) const;

 private:
  // Replacement of the shortest prefix of `text` in the table.
  std::optional<std::string_view> find(std::string_view text) const;
  [[noreturn]] void fail() const;

  std::vector<uint32_t> units_;
  std::string replacements_;  // NUL-terminated one after the other
  std::string origin_;
};

}  // namespace mxvideo::tokenizer
