// Names of parameters in the layouts that Wan2.2 checkpoints come in: the original Wan modules and
// the Hugging Face libraries (diffusers, transformers). mxvideo's models use the latter.
// Thread-safe: no state. Sources: Wan-Video/Wan2.2 wan/modules; diffusers single_file_utils.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"

namespace mxvideo::checkpoint {

// Replaces a run of whole dotted components of a name, wherever it first occurs. A '#' component of
// `from` matches a decimal number; "#1" and "#2" in `to` stand for the first and second of them.
// A leading '^' in `from` ties it to the start of the name.
struct RenameRule {
  std::string_view from;
  std::string_view to;
};

// Applies each rule at most once, in order.
std::string rename_parameter(std::span<const RenameRule> rules, std::string_view name);

// Original Wan -> Hugging Face, in the order in which they apply.
std::span<const RenameRule> wan_transformer_rules();
std::span<const RenameRule> wan_transformer_inverse_rules();  // Hugging Face -> original Wan
std::span<const RenameRule> wan_umt5_rules();
std::span<const RenameRule> wan_vae_2_1_rules();
std::span<const RenameRule> wan_vae_2_2_rules();

enum class NamingStyle { kHuggingFace, kOriginal };

// True when a part of the name occurs in original transformer names only.
bool is_original_transformer_name(std::string_view name);

// A name without what programs put around a whole model: "model.diffusion_model." (ComfyUI),
// "module." (DDP), "_orig_mod." (torch.compile, anywhere in the name), "transformer.", …, also
// several of them.
std::string unwrapped_name(std::string_view name);

// The Diffusers name of a transformer's tensor or module, unwrapped, without msmodelslim's wrappers
// (".linear.", ".div."). `style` is that of the file; a name that can only be original is taken as
// such in a file of either style.
std::string canonical_transformer_name(std::string_view name, NamingStyle style);

// Inverse of the above for original names: "blocks.0.attn1.to_q.weight" ->
// "blocks.0.self_attn.q.weight".
std::string original_transformer_name(std::string_view canonical);

// Renames a checkpoint to Hugging Face names (a transformer's: canonical_transformer_name), sets
// the tensors aside that are no weights of its model and harmless (ComfyUI's spiece_model,
// leftovers of fp8_scaled), notes the component in the checkpoint, and says what it found. Names
// that are of neither style stay as they are, for the ParameterLoader to report. Throws
// Code::kCorruptFile when one checkpoint mixes both styles or two names become one.
NamingStyle normalize_names(Checkpoint& checkpoint, Component component);

}  // namespace mxvideo::checkpoint
