// A SentencePiece model file (spiece.model): a protocol-buffer message with the pieces and their
// scores, and the table of the text normaliser.
//
// The file comes from outside and older SentencePiece libraries corrupt memory on hostile ones
// (CVE-2026-1260), so it is parsed here with bounds checks and never handed to the library as it
// is: serialize_plain_unigram() writes a fresh message that holds validated pieces only, without
// normaliser table. Immutable value type.
// Source: sentencepiece_model.proto (field numbers), the wire format of protocol buffers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::tokenizer {

struct SentencePiece {
  std::string text;  // UTF-8, not empty, without NUL
  float score = 0;   // log probability, finite
  bool unknown = false;
};

struct SpieceModel {
  static constexpr int64_t kMaxFileBytes = 64 << 20;
  static constexpr size_t kMaxPieces = 1 << 20;
  static constexpr size_t kMaxPieceBytes = 1024;

  std::vector<SentencePiece> pieces;  // the index is the id; distinct texts, one of them unknown
  std::string normalizer_table;       // precompiled_charsmap, may be empty

  // Throw Code::kCorruptFile naming `origin` on any defect and on a file above the limits,
  // Code::kUnsupported when it is not a Unigram model.
  static SpieceModel parse(std::string_view bytes, const std::string& origin);
  static SpieceModel read(const std::filesystem::path& path);

  // Throws Code::kCorruptFile, beginning with `origin`, unless the pieces are as stated above.
  void check(const std::string& origin) const;

  // All pieces as ordinary ones (control and byte pieces too, as Hugging Face's Unigram has them),
  // identity normaliser, no byte fallback. Further pieces of score 0 follow, beginning with the id
  // pieces.size(): first the text of the unknown piece, which SentencePiece would never match, then
  // `more`, whose texts must be distinct and no pieces.
  std::string serialize_plain_unigram(std::span<const std::string> more) const;
};

}  // namespace mxvideo::tokenizer
