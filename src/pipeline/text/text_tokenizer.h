// The tokenizer of a model: that of its tokenizer folder or, where that holds none, the tensor
// spiece_model that ComfyUI's text encoders carry. Thread-safe: no state.
// Source: ComfyUI comfy/text_encoders/spiece_tokenizer.py, wan.py.
#pragma once

#include "checkpoint/wan/model_index.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::pipeline {

// The folder, whether it is there or not.
std::filesystem::path tokenizer_folder(const checkpoint::ModelDirectory& model);

// Throws Code::kNotFound when there is neither, and what Umt5Tokenizer::open() throws.
tokenizer::Umt5Tokenizer open_tokenizer(const checkpoint::ModelDirectory& model);

}  // namespace mxvideo::pipeline
