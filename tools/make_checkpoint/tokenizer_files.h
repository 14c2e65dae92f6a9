// A small SentencePiece tokenizer with UMT5's special ids, trained from sentences in this file.
#pragma once

#include <cstdint>
#include <filesystem>

namespace mxvideo::tools {

// Writes spiece.model, tokenizer_config.json and special_tokens_map.json into `directory`
// (created). Pieces: at most `vocabulary`. Throws Code::kInternal when the trainer fails.
void write_tokenizer_files(const std::filesystem::path& directory, int64_t vocabulary);

}  // namespace mxvideo::tools
