// Flags and commands of SGLang, Wan2.2's generate.py, stable-diffusion.cpp, Diffusers and ComfyUI
// that mxvideo does not have: why, and what to do instead. Pure functions; thread-safe.
//
// Source of the names: SGLang's diffusion CLI (python/sglang/multimodal_gen/docs/cli.md,
// runtime/server_args.py), Wan2.2 generate.py, stable-diffusion.cpp examples/cli, diffusers-cli
// run, ComfyUI comfy/cli_args.py.
#pragma once

#include <string>
#include <string_view>

namespace mxvideo::cli {

// One sentence without a full stop for a flag such as "--lora-path"; empty when nobody has it.
std::string peer_flag_reason(std::string_view flag);

// The same for a command such as "serve".
std::string peer_command_reason(std::string_view command);

}  // namespace mxvideo::cli
