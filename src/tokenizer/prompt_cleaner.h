// What the Wan pipelines of Diffusers do to a prompt before tokenising it: repair the text, decode
// HTML entities twice, collapse white space. Pure function, thread-safe.
// Source: prompt_clean of diffusers' pipeline_wan.py with ftfy 6.3.1 installed.
#pragma once

#include <string>
#include <string_view>

namespace mxvideo::tokenizer {

// UTF-8 in and out. Throws Code::kInvalidArgument on invalid UTF-8 (with the byte offset) and on
// entities or encodings nested beyond any use.
std::string clean_prompt(std::string_view prompt);

}  // namespace mxvideo::tokenizer
