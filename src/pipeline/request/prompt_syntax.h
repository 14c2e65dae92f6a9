// Words in a prompt that other programs take for commands. Wan's text encoder reads them as words.
// Spellings: AUTOMATIC1111 stable-diffusion-webui wiki, "Features" (attention, prompt editing);
// stable-diffusion.cpp docs/lora.md; ComfyUI's "embedding:". Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::pipeline {

// Adds a line for a weight "(word:1.5)", a schedule "[a:b:0.5]" and "embedding:name", which change
// nothing but the text; `which` names the prompt. Throws Code::kInvalidArgument for
// "<lora:name:1>" and its kin: what they ask for is missing.
void check_prompt_syntax(std::string_view which, std::string_view prompt,
                         std::vector<std::string>& notices);

}  // namespace mxvideo::pipeline
