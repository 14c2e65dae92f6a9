// tokenizer.json, in which transformers keeps a whole tokenizer; version 5 writes no spiece.model
// beside it. Read is the form that UMT5 has: a Unigram model, SentencePiece's table as normaliser,
// words split at white space and marked, </s> at the end. Everything else that would give other ids
// is refused. Thread-safe: no state.
// Source: huggingface/tokenizers serialization of Unigram, Precompiled, Metaspace; T5Converter of
// transformers convert_slow_tokenizer.py.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/spiece_model.h"

namespace mxvideo::tokenizer {

struct TokenizerJson {
  SpieceModel model;
  std::vector<AddedToken> added_tokens;
};

// Throw Code::kCorruptFile naming `origin` on any defect, Code::kUnsupported for steps that UMT5
// has not.
TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& origin);
TokenizerJson read_tokenizer_json(const std::filesystem::path& path);

}  // namespace mxvideo::tokenizer
