// Stage: prompts to embeddings, by the text encoder or from what it left in the cache.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "pipeline/text/text_cache.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::pipeline {

class Engine;
struct ResolvedRequest;
struct Run;

// Rows that the transformer attends to: those of the tokens, then zeros.
inline constexpr int64_t kTextRows = tokenizer::Umt5Tokenizer::kMaxLength;

struct Prompt {
  const char* name;          // "prompt", "negative_prompt"
  std::vector<int32_t> ids;  // at most kTextRows
  int64_t tokens = 0;        // of the whole text
  bool empty = false;        // the cleaned text
};

// The prompt and, where a step is guided, the negative prompt. Opens the tokenizer.
std::vector<Prompt> tokenize(const Engine& engine, const ResolvedRequest& request);

// Where the engine's options name a cache. Reads the files that the identity is made of.
std::optional<TextCache> open_text_cache(const Engine& engine);

// To run.text and run.negative_text. Throws Code::kCancelled, and as loading the encoder.
void encode_prompts(Run& run);

}  // namespace mxvideo::pipeline
