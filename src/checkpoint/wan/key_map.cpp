#include "checkpoint/wan/key_map.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/wan/model_family.h"

namespace mxvideo::checkpoint {
namespace {

constexpr std::array kTransformerRules = {
    RenameRule{"^time_embedding.0", "condition_embedder.time_embedder.linear_1"},
    RenameRule{"^time_embedding.2", "condition_embedder.time_embedder.linear_2"},
    RenameRule{"^text_embedding.0", "condition_embedder.text_embedder.linear_1"},
    RenameRule{"^text_embedding.2", "condition_embedder.text_embedder.linear_2"},
    RenameRule{"^time_projection.1", "condition_embedder.time_proj"},
    RenameRule{"^head.modulation", "scale_shift_table"},
    RenameRule{"^head.head", "proj_out"},
    RenameRule{"modulation", "scale_shift_table"},
    RenameRule{"ffn.0", "ffn.net.0.proj"},
    RenameRule{"ffn.2", "ffn.net.2"},
    // The affine norm before cross-attention is norm3 in Wan and norm2 in Diffusers: a swap.
    RenameRule{"blocks.#.norm2", "blocks.#1.norm_swapped"},
    RenameRule{"blocks.#.norm3", "blocks.#1.norm2"},
    RenameRule{"blocks.#.norm_swapped", "blocks.#1.norm3"},
    RenameRule{"^img_emb.proj.0", "condition_embedder.image_embedder.norm1"},
    RenameRule{"^img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"},
    RenameRule{"^img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"},
    RenameRule{"^img_emb.proj.4", "condition_embedder.image_embedder.norm2"},
    RenameRule{"^img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"},
    RenameRule{"self_attn.q", "attn1.to_q"},
    RenameRule{"self_attn.k", "attn1.to_k"},
    RenameRule{"self_attn.v", "attn1.to_v"},
    RenameRule{"self_attn.o", "attn1.to_out.0"},
    RenameRule{"cross_attn.q", "attn2.to_q"},
    RenameRule{"cross_attn.k", "attn2.to_k"},
    RenameRule{"cross_attn.v", "attn2.to_v"},
    RenameRule{"cross_attn.o", "attn2.to_out.0"},
    RenameRule{"cross_attn.k_img", "attn2.add_k_proj"},
    RenameRule{"cross_attn.v_img", "attn2.add_v_proj"},
    RenameRule{"cross_attn.norm_k_img", "attn2.norm_added_k"},
    // Rotations that msmodelslim adds for FP8 attention; the target is what SGLang's loader
    // expects.
    RenameRule{"self_attn.q_rot", "attn1.to_q_rot"},
    RenameRule{"self_attn.k_rot", "attn1.to_k_rot"},
    RenameRule{"self_attn", "attn1"},
    RenameRule{"cross_attn", "attn2"},
};

constexpr std::array kTransformerInverseRules = {
    RenameRule{"^condition_embedder.time_embedder.linear_1", "time_embedding.0"},
    RenameRule{"^condition_embedder.time_embedder.linear_2", "time_embedding.2"},
    RenameRule{"^condition_embedder.text_embedder.linear_1", "text_embedding.0"},
    RenameRule{"^condition_embedder.text_embedder.linear_2", "text_embedding.2"},
    RenameRule{"^condition_embedder.time_proj", "time_projection.1"},
    RenameRule{"^condition_embedder.image_embedder.norm1", "img_emb.proj.0"},
    RenameRule{"^condition_embedder.image_embedder.ff.net.0.proj", "img_emb.proj.1"},
    RenameRule{"^condition_embedder.image_embedder.ff.net.2", "img_emb.proj.3"},
    RenameRule{"^condition_embedder.image_embedder.norm2", "img_emb.proj.4"},
    RenameRule{"^condition_embedder.image_embedder.pos_embed", "img_emb.emb_pos"},
    RenameRule{"^scale_shift_table", "head.modulation"},
    RenameRule{"^proj_out", "head.head"},
    RenameRule{"blocks.#.scale_shift_table", "blocks.#1.modulation"},
    RenameRule{"ffn.net.0.proj", "ffn.0"},
    RenameRule{"ffn.net.2", "ffn.2"},
    RenameRule{"blocks.#.norm2", "blocks.#1.norm_swapped"},
    RenameRule{"blocks.#.norm3", "blocks.#1.norm2"},
    RenameRule{"blocks.#.norm_swapped", "blocks.#1.norm3"},
    RenameRule{"attn1.to_q", "self_attn.q"},
    RenameRule{"attn1.to_k", "self_attn.k"},
    RenameRule{"attn1.to_v", "self_attn.v"},
    RenameRule{"attn1.to_out.0", "self_attn.o"},
    RenameRule{"attn1.to_q_rot", "self_attn.q_rot"},
    RenameRule{"attn1.to_k_rot", "self_attn.k_rot"},
    RenameRule{"attn2.to_q", "cross_attn.q"},
    RenameRule{"attn2.to_k", "cross_attn.k"},
    RenameRule{"attn2.to_v", "cross_attn.v"},
    RenameRule{"attn2.to_out.0", "cross_attn.o"},
    RenameRule{"attn2.add_k_proj", "cross_attn.k_img"},
    RenameRule{"attn2.add_v_proj", "cross_attn.v_img"},
    RenameRule{"attn2.norm_added_k", "cross_attn.norm_k_img"},
    RenameRule{"attn1", "self_attn"},
    RenameRule{"attn2", "cross_attn"},
};

constexpr std::array kUmt5Rules = {
    RenameRule{"^token_embedding", "shared"},
    RenameRule{"^norm", "encoder.final_layer_norm"},
    RenameRule{"^blocks.#.norm1", "encoder.block.#1.layer.0.layer_norm"},
    RenameRule{"^blocks.#.attn", "encoder.block.#1.layer.0.SelfAttention"},
    RenameRule{"^blocks.#.pos_embedding.embedding",
               "encoder.block.#1.layer.0.SelfAttention.relative_attention_bias"},
    RenameRule{"^blocks.#.norm2", "encoder.block.#1.layer.1.layer_norm"},
    RenameRule{"^blocks.#.ffn.gate.0", "encoder.block.#1.layer.1.DenseReluDense.wi_0"},
    RenameRule{"^blocks.#.ffn.fc1", "encoder.block.#1.layer.1.DenseReluDense.wi_1"},
    RenameRule{"^blocks.#.ffn.fc2", "encoder.block.#1.layer.1.DenseReluDense.wo"},
};

constexpr std::array kVaeCommonRules = {
    RenameRule{"^conv1", "quant_conv"},
    RenameRule{"^conv2", "post_quant_conv"},
    RenameRule{"^encoder.conv1", "encoder.conv_in"},
    RenameRule{"^decoder.conv1", "decoder.conv_in"},
    RenameRule{"head.0", "norm_out"},
    RenameRule{"head.2", "conv_out"},
    RenameRule{"middle.0", "mid_block.resnets.0"},
    RenameRule{"middle.1", "mid_block.attentions.0"},
    RenameRule{"middle.2", "mid_block.resnets.1"},
    RenameRule{"residual.0", "norm1"},
    RenameRule{"residual.2", "conv1"},
    RenameRule{"residual.3", "norm2"},
    RenameRule{"residual.6", "conv2"},
    RenameRule{"shortcut", "conv_shortcut"},
};

// Version 2.1 numbers the decoder's layers through: three residual blocks and an upsampler for each
// of four levels, the last without upsampler.
constexpr std::array kVae21BlockRules = {
    RenameRule{"^encoder.downsamples", "encoder.down_blocks"},
    RenameRule{"^decoder.upsamples.0", "decoder.up_blocks.0.resnets.0"},
    RenameRule{"^decoder.upsamples.1", "decoder.up_blocks.0.resnets.1"},
    RenameRule{"^decoder.upsamples.2", "decoder.up_blocks.0.resnets.2"},
    RenameRule{"^decoder.upsamples.3", "decoder.up_blocks.0.upsamplers.0"},
    RenameRule{"^decoder.upsamples.4", "decoder.up_blocks.1.resnets.0"},
    RenameRule{"^decoder.upsamples.5", "decoder.up_blocks.1.resnets.1"},
    RenameRule{"^decoder.upsamples.6", "decoder.up_blocks.1.resnets.2"},
    RenameRule{"^decoder.upsamples.7", "decoder.up_blocks.1.upsamplers.0"},
    RenameRule{"^decoder.upsamples.8", "decoder.up_blocks.2.resnets.0"},
    RenameRule{"^decoder.upsamples.9", "decoder.up_blocks.2.resnets.1"},
    RenameRule{"^decoder.upsamples.10", "decoder.up_blocks.2.resnets.2"},
    RenameRule{"^decoder.upsamples.11", "decoder.up_blocks.2.upsamplers.0"},
    RenameRule{"^decoder.upsamples.12", "decoder.up_blocks.3.resnets.0"},
    RenameRule{"^decoder.upsamples.13", "decoder.up_blocks.3.resnets.1"},
    RenameRule{"^decoder.upsamples.14", "decoder.up_blocks.3.resnets.2"},
};

constexpr std::array kVae22BlockRules = {
    RenameRule{"downsamples.#.downsamples.#.resample", "down_blocks.#1.downsampler.resample"},
    RenameRule{"downsamples.#.downsamples.#.time_conv", "down_blocks.#1.downsampler.time_conv"},
    RenameRule{"downsamples.#.downsamples.#", "down_blocks.#1.resnets.#2"},
    RenameRule{"upsamples.#.upsamples.#.resample", "up_blocks.#1.upsampler.resample"},
    RenameRule{"upsamples.#.upsamples.#.time_conv", "up_blocks.#1.upsampler.time_conv"},
    RenameRule{"upsamples.#.upsamples.#", "up_blocks.#1.resnets.#2"},
};

template <size_t kFirst, size_t kSecond>
constexpr std::array<RenameRule, kFirst + kSecond> concatenate(
    const std::array<RenameRule, kFirst>& first, const std::array<RenameRule, kSecond>& second) {
  std::array<RenameRule, kFirst + kSecond> all{};
  std::copy(first.begin(), first.end(), all.begin());
  std::copy(second.begin(), second.end(), all.begin() + kFirst);
  return all;
}

constexpr auto kVae21Rules = concatenate(kVaeCommonRules, kVae21BlockRules);
constexpr auto kVae22Rules = concatenate(kVaeCommonRules, kVae22BlockRules);

using Parts = std::vector<std::string_view>;

Parts split(std::string_view name) {
  Parts parts;
  size_t begin = 0;
  for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', begin)) {
    parts.push_back(name.substr(begin, dot - begin));
    begin = dot + 1;
  }
  parts.push_back(name.substr(begin));
  return parts;
}

std::string join(const Parts& parts) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += '.';
    text += parts[i];
  }
  return text;
}

bool is_number(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool matches_at(const Parts& name, size_t position, const Parts& pattern) {
  if (position + pattern.size() > name.size()) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view part = name[position + i];
    if (pattern[i] == "#" ? !is_number(part) : pattern[i] != part) return false;
  }
  return true;
}

// Where `from` first occurs in `name`.
std::optional<size_t> find_rule(const Parts& name, std::string_view from) {
  const bool at_start = from.starts_with('^');
  const Parts pattern = split(from.substr(at_start ? 1 : 0));
  const size_t last = at_start ? 0 : name.size() - 1;
  for (size_t position = 0; position <= last; ++position) {
    if (matches_at(name, position, pattern)) return position;
  }
  return std::nullopt;
}

std::string apply_rule(const Parts& name, size_t position, const RenameRule& rule) {
  const Parts pattern = split(rule.from.starts_with('^') ? rule.from.substr(1) : rule.from);
  Parts numbers;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == "#") numbers.push_back(name[position + i]);
  }
  Parts result(name.begin(), name.begin() + static_cast<ptrdiff_t>(position));
  for (const std::string_view part : split(rule.to)) {
    const bool captured = part.size() == 2 && part[0] == '#';
    result.push_back(captured ? numbers.at(static_cast<size_t>(part[1] - '1')) : part);
  }
  const auto rest = static_cast<ptrdiff_t>(position + pattern.size());
  result.insert(result.end(), name.begin() + rest, name.end());
  return join(result);
}

// Runs of components that occur in one style only.
struct StyleMarkers {
  std::span<const std::string_view> original;
  std::span<const std::string_view> hugging_face;
};

constexpr std::array<std::string_view, 9> kTransformerOriginal = {
    "self_attn",       "cross_attn",       "ffn.0",     "ffn.2", "^head", "^time_embedding",
    "^text_embedding", "^time_projection", "modulation"};
constexpr std::array<std::string_view, 4> kTransformerHf = {"attn1", "attn2", "^condition_embedder",
                                                            "^proj_out"};
constexpr std::array<std::string_view, 3> kUmt5Original = {"^token_embedding", "^blocks", "^norm"};
constexpr std::array<std::string_view, 2> kUmt5Hf = {"^shared", "^encoder"};
constexpr std::array<std::string_view, 6> kVaeOriginal = {"^conv1", "^conv2",    "downsamples",
                                                          "middle", "upsamples", "head"};
constexpr std::array<std::string_view, 7> kVaeHf = {"^quant_conv", "^post_quant_conv", "mid_block",
                                                    "down_blocks", "up_blocks",        "conv_in",
                                                    "conv_out"};

StyleMarkers style_markers(Component component) {
  switch (component) {
    case Component::kTransformer:
      return {kTransformerOriginal, kTransformerHf};
    case Component::kTextEncoder:
      return {kUmt5Original, kUmt5Hf};
    case Component::kVae:
      return {kVaeOriginal, kVaeHf};
  }
  return {};
}

bool has_marker(const std::string& name, std::span<const std::string_view> markers) {
  const Parts parts = split(name);
  return std::any_of(markers.begin(), markers.end(),
                     [&](std::string_view marker) { return find_rule(parts, marker).has_value(); });
}

// What stands in front of every name of a model that is a member of another object.
constexpr std::array<std::string_view, 10> kOuterModules = {
    "model", "module", "diffusion_model", "transformer", "transformer_2",
    "net",   "dit",    "base_model",      "generator",   "pipe"};
constexpr std::array<std::string_view, 5> kOuterOfTextEncoder = {"model", "module", "transformer",
                                                                 "text_encoder", "base_model"};
constexpr std::array<std::string_view, 4> kOuterOfVae = {"model", "module", "vae",
                                                         "first_stage_model"};
// Of torch.compile, FSDP and activation checkpointing: around any module.
constexpr std::array<std::string_view, 3> kWrappers = {"_orig_mod", "_fsdp_wrapped_module",
                                                       "_checkpoint_wrapped_module"};

std::string without_wrappers(std::string_view name, std::span<const std::string_view> outer) {
  Parts parts = split(name);
  std::erase_if(parts, [](std::string_view part) {
    return std::ranges::find(kWrappers, part) != kWrappers.end();
  });
  const auto is_outer = [&](std::string_view part) {
    return std::ranges::find(outer, part) != outer.end();
  };
  size_t first = 0;
  while (first + 1 < parts.size() && is_outer(parts[first])) ++first;
  parts.erase(parts.begin(), parts.begin() + static_cast<ptrdiff_t>(first));
  return join(parts);
}

// Also without the modules "linear" and "div" of msmodelslim's smooth-quantization wrapper; and
// SGLang's spelling of rotations becomes ours.
std::string unwrap_transformer_name(std::string_view wrapped) {
  const std::string name = unwrapped_name(wrapped);
  Parts parts = split(name);
  if (parts.size() >= 3) {
    const auto wrapper = parts.end() - 2;
    if (*wrapper == "linear" || *wrapper == "div") parts.erase(wrapper);
  }
  if (parts.size() >= 2 && parts[parts.size() - 2] == "attn1") {
    if (parts.back() == "q_rot") parts.back() = "to_q_rot";
    if (parts.back() == "k_rot") parts.back() = "to_k_rot";
  }
  return join(parts);
}

std::span<const RenameRule> original_rules(const Checkpoint& checkpoint, Component component) {
  if (component == Component::kTransformer) return wan_transformer_rules();
  if (component == Component::kTextEncoder) return wan_umt5_rules();
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (find_rule(split(name), "downsamples.#.downsamples")) return wan_vae_2_2_rules();
  }
  return wan_vae_2_1_rules();
}

template <class NewName>
void rename_all(Checkpoint& checkpoint, const NewName& new_name) {
  std::map<std::string, std::string> new_names;
  for (const auto& [name, tensor] : checkpoint.tensors()) new_names.emplace(name, new_name(name));
  checkpoint.rename(new_names);
}

// Tensors that are no weights and mean nothing for the others.
void set_leftovers_aside(Checkpoint& checkpoint, Component component) {
  if (component == Component::kVae) return;
  const bool scaled = std::ranges::any_of(checkpoint.tensors(), [](const auto& entry) {
    return entry.first.ends_with(".scale_weight") || entry.first.ends_with(".scale_input");
  });
  if (!scaled) {
    checkpoint.set_aside("scaled_fp8",
                         "is ignored: a leftover of ComfyUI's fp8_scaled form, whose scales are "
                         "not there");
  }
  if (component == Component::kTextEncoder) {
    checkpoint.set_aside("spiece_model",
                         "is no weight: it holds the tokenizer, for models without one");
  }
}

}  // namespace

std::string unwrapped_name(std::string_view name) { return without_wrappers(name, kOuterModules); }

std::string rename_parameter(std::span<const RenameRule> rules, std::string_view name) {
  std::string current(name);
  for (const RenameRule& rule : rules) {
    const Parts parts = split(current);
    const std::optional<size_t> position = find_rule(parts, rule.from);
    if (position) current = apply_rule(parts, *position, rule);
  }
  return current;
}

std::span<const RenameRule> wan_transformer_rules() { return kTransformerRules; }
std::span<const RenameRule> wan_transformer_inverse_rules() { return kTransformerInverseRules; }
std::span<const RenameRule> wan_umt5_rules() { return kUmt5Rules; }
std::span<const RenameRule> wan_vae_2_1_rules() { return kVae21Rules; }
std::span<const RenameRule> wan_vae_2_2_rules() { return kVae22Rules; }

bool is_original_transformer_name(std::string_view name) {
  return has_marker(unwrap_transformer_name(name), kTransformerOriginal);
}

std::string canonical_transformer_name(std::string_view name, NamingStyle style) {
  std::string unwrapped = unwrap_transformer_name(name);
  if (style == NamingStyle::kHuggingFace && !has_marker(unwrapped, kTransformerOriginal)) {
    return unwrapped;
  }
  return rename_parameter(kTransformerRules, unwrapped);
}

std::string original_transformer_name(std::string_view canonical) {
  return rename_parameter(kTransformerInverseRules, canonical);
}

NamingStyle normalize_names(Checkpoint& checkpoint, Component component) {
  checkpoint.set_component(component);
  rename_all(checkpoint, [&](const std::string& name) {
    if (component == Component::kTransformer) return unwrap_transformer_name(name);
    return component == Component::kVae ? without_wrappers(name, kOuterOfVae)
                                        : without_wrappers(name, kOuterOfTextEncoder);
  });
  set_leftovers_aside(checkpoint, component);
  const StyleMarkers markers = style_markers(component);
  const std::string* original = nullptr;
  const std::string* hugging_face = nullptr;
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (has_marker(name, markers.original)) original = &name;
    if (has_marker(name, markers.hugging_face)) hugging_face = &name;
  }
  if (original == nullptr) return NamingStyle::kHuggingFace;
  if (hugging_face != nullptr) {
    refuse_misfit(checkpoint, "mixes original Wan names ('" + printable(*original) +
                                  "') with Hugging Face names ('" + printable(*hugging_face) +
                                  "')");
  }
  const std::span<const RenameRule> rules = original_rules(checkpoint, component);
  rename_all(checkpoint, [&](const std::string& name) { return rename_parameter(rules, name); });
  return NamingStyle::kOriginal;
}

}  // namespace mxvideo::checkpoint
