#include "checkpoint/wan/model_family.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/wan/key_map.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModels =
    "mxvideo runs the T2V, I2V and TI2V transformers of Wan2.2 only";
constexpr std::string_view kTakeFloat =
    "mxvideo runs BF16, F16, F32, MXFP8 and MXINT8 weights: take the BF16 file of this model, "
    "which "
    "it also quantizes";

// A part of a name: '^' in front ties it to the start, '$' at the end to the end.
struct Mark {
  std::string_view part;
  std::string_view what;
};

bool has_mark(std::string_view name, std::string_view part) {
  const bool at_start = part.starts_with('^'), at_end = part.ends_with('$');
  part = part.substr(at_start ? 1 : 0);
  if (at_end) part.remove_suffix(1);
  if (at_start) return at_end ? name == part : name.starts_with(part);
  return at_end ? name.ends_with(part) : name.find(part) != name.npos;
}

// Relatives of Wan2.2 by what they have beside its tensors; the first that matches.
constexpr std::array kRelatives = {
    Mark{"^vace_blocks.", "a Wan-VACE transformer"},
    Mark{"^vace_patch_embedding.", "a Wan-VACE transformer"},
    Mark{"^casual_audio_encoder.", "a Wan2.2-S2V transformer (speech to video)"},
    Mark{"^audio_injector.", "a Wan2.2-S2V transformer (speech to video)"},
    Mark{"^face_adapter.", "a Wan2.2-Animate transformer"},
    Mark{"^motion_encoder.", "a Wan2.2-Animate transformer"},
    Mark{"^pose_patch_embedding.", "a Wan2.2-Animate transformer"},
    Mark{"^audio_proj.audio_proj_glob", "a HuMo transformer (a relative of Wan)"},
    Mark{".audio_cross_attn", "a MultiTalk or InfiniteTalk transformer (a relative of Wan)"},
    Mark{"^control_adapter.", "a Wan-Fun-Camera transformer"},
    Mark{"^ref_conv.", "a Wan-Fun-Control transformer"},
    Mark{"^patch_embedding_pose.", "a SCAIL transformer (a relative of Wan)"},
    Mark{"^patch_embedding_mask.", "a SCAIL transformer (a relative of Wan)"},
    Mark{"^patch_embedding_global.", "a WanDancer transformer"},
    Mark{"^dwpose_embedding.", "a UniAnimate transformer (a relative of Wan)"},
    Mark{".cam_encoder.", "a ReCamMaster transformer (a relative of Wan)"},
    Mark{"^img_emb.", "a Wan2.1-I2V transformer, which needs a CLIP image encoder"},
    Mark{"^condition_embedder.image_embedder.",
         "a Wan2.1-I2V transformer, which needs a CLIP image encoder"},
    Mark{".k_img.", "a Wan2.1-I2V transformer, which needs a CLIP image encoder"},
    Mark{".add_k_proj.", "a Wan2.1-I2V transformer, which needs a CLIP image encoder"},
};

// Models that are no relatives.
constexpr std::array kStrangers = {
    Mark{"^txt_in.individual_token_refiner.", "a HunyuanVideo transformer"},
    Mark{"^double_blocks.", "a Flux transformer"},
    Mark{"^single_transformer_blocks.", "a Flux transformer"},
    Mark{"^joint_blocks.", "a Stable Diffusion 3 transformer"},
    Mark{"^patchify_proj.", "an LTX-Video transformer"},
    Mark{"^adaln_single.", "an LTX-Video or PixArt transformer"},
    Mark{"^t5_yproj.", "a Mochi transformer"},
    Mark{".img_mlp.", "a Qwen-Image transformer"},
    Mark{"^transformer_blocks.", "a transformer of another model"},
    Mark{"^input_blocks.", "a Stable Diffusion UNet"},
    Mark{"^down_blocks.", "a Stable Diffusion UNet"},
    Mark{"^vision_model.", "a CLIP image encoder"},
    Mark{"^visual.", "a CLIP image encoder"},
    Mark{"^textual.", "a CLIP text encoder"},
    Mark{"^text_model.", "a CLIP text encoder"},
    Mark{"^layers.0.self_attn.", "a language model"},
    Mark{"^embed_tokens.", "a language model"},
    Mark{"^language_model.", "a language model"},
};

constexpr std::array<std::string_view, 12> kLora = {
    ".lora_A.", ".lora_B.",    ".lora_down.", ".lora_up.", ".lora_mid.",   ".hada_w1",
    ".lokr_w1", ".dora_scale", ".diff$",      ".diff_b$",  ".base_layer.", ".lora_magnitude_vector",
};

// Tensors that only these forms of quantization have.
constexpr std::array kForms = {
    Mark{".weight_scale_2$", "NVFP4"},
    Mark{"^scaled_fp8$", "ComfyUI's fp8_scaled form"},
    Mark{".scale_weight$", "ComfyUI's fp8_scaled form"},
    Mark{".scale_input$", "ComfyUI's fp8_scaled form"},
    Mark{".quant_state.bitsandbytes", "bitsandbytes' form"},
    Mark{".wscales$", "Nunchaku's SVDQuant form"},
    Mark{".smooth_factor$", "Nunchaku's SVDQuant form"},
    Mark{".qzeros$", "GPTQ's or AWQ's form"},
    Mark{".qweight$", "GPTQ's or AWQ's form"},
};

bool is_fp8(DType dtype) { return dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2; }

// "blocks.7.attn1.to_q.weight" -> 7; -1 without a number there.
int64_t block_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blocks.";
  int64_t index = -1;
  if (name.starts_with(kPrefix)) {
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), index);
  }
  return index;
}

class Recogniser {
 public:
  explicit Recogniser(const Checkpoint& checkpoint) {
    for (const auto& [name, tensor] : checkpoint.tensors()) {
      tensors_.push_back({unwrapped_name(name), &tensor});
    }
  }

  std::optional<ModelFamily> recognise() const {
    std::optional<ModelFamily> family = family_of_names();
    add_form(family);
    const std::string shard = shard_sentence();
    const bool may_be_shard = !family || family->runs || family->part;
    if (!shard.empty() && may_be_shard) {
      return ModelFamily{.what = shard,
                         .way_on = shard_way_on(),
                         .component = std::nullopt,
                         .part = true,
                         .code = Code::kNotFound};
    }
    return family;
  }

 private:
  struct Named {
    std::string name;  // without wrappers
    const StoredTensor* tensor;
  };

  bool any(std::string_view part) const {
    return std::ranges::any_of(tensors_, [&](const Named& t) { return has_mark(t.name, part); });
  }

  template <size_t kCount>
  const Mark* first_mark(const std::array<Mark, kCount>& marks) const {
    const auto found =
        std::ranges::find_if(marks, [&](const Mark& mark) { return any(mark.part); });
    return found == marks.end() ? nullptr : &*found;
  }

  const TensorView* view(std::initializer_list<std::string_view> names) const {
    for (const std::string_view name : names) {
      const auto found = std::ranges::find(tensors_, name, &Named::name);
      if (found != tensors_.end()) return &found->tensor->view;
    }
    return nullptr;
  }

  std::optional<ModelFamily> family_of_names() const {
    if (auto lora = lora_family()) return lora;
    if (auto merge = all_in_one()) return merge;
    if (const Mark* mark = first_mark(kRelatives)) {
      return ModelFamily{.what = std::string(mark->what),
                         .way_on = std::string(kModels),
                         .component = Component::kTransformer};
    }
    if (auto wan = wan_transformer()) return wan;
    if (auto vae = vae_family()) return vae;
    if (auto encoder = text_encoder()) return encoder;
    if (const Mark* mark = first_mark(kStrangers)) {
      return ModelFamily{.what = std::string(mark->what),
                         .way_on = std::string(kModels),
                         .component = std::nullopt};
    }
    return std::nullopt;
  }

  // The input width of a layer of attention that a LoRA changes; 0 when none tells.
  int64_t lora_width() const {
    for (const Named& t : tensors_) {
      const bool down =
          t.name.find("lora_down") != t.name.npos || t.name.find("lora_A") != t.name.npos;
      const bool attention =
          t.name.find("attn") != t.name.npos && t.name.find("blocks") != t.name.npos;
      if (down && attention && t.tensor->view.shape.rank() == 2) return t.tensor->view.shape[1];
    }
    return 0;
  }

  std::optional<ModelFamily> lora_family() const {
    const bool lora = std::ranges::any_of(kLora, [&](auto part) { return any(part); });
    if (!lora) return std::nullopt;
    if (any("^patch_embedding.weight$") || any(".base_layer.")) {
      return ModelFamily{.what = "a model with a LoRA that is not merged into it",
                         .way_on = "merge it first (PEFT: merge_and_unload)",
                         .component = std::nullopt};
    }
    const bool other = any("double_blocks") || any("single_transformer_blocks") ||
                       any("down_blocks") || any("input_blocks") || any("^lora_te");
    const int64_t width = lora_width();
    std::string what = "a LoRA";
    if (other) {
      what += " for another model than Wan";
    } else if (width > 0) {
      what += " for a Wan transformer of width " + std::to_string(width) + size_note(width);
    }
    return ModelFamily{.what = what + ", not a model",
                       .way_on =
                           "mxvideo applies no LoRAs: merge it into the BF16 weights with "
                           "another program",
                       .component = std::nullopt};
  }

  static std::string size_note(int64_t width) {
    constexpr int64_t kA14b = 5120, kTi2v5b = 3072, kWan21Small = 1536;
    if (width == kA14b) return " (14B)";
    if (width == kTi2v5b) return " (TI2V-5B)";
    return width == kWan21Small ? " (Wan2.1 1.3B)" : "";
  }

  bool has_blocks() const {
    return std::ranges::any_of(tensors_, [](const Named& t) { return block_of(t.name) >= 0; });
  }
  bool has_wan_blocks() const {
    return has_blocks() && (any(".self_attn.") || any(".attn1.") || any(".cross_attn."));
  }

  std::optional<ModelFamily> all_in_one() const {
    const bool transformer = has_blocks() || any("^double_blocks.") || any("^input_blocks.");
    const bool vae = any("^first_stage_model.") || any("^vae.");
    const bool text = any("^text_encoders.") || any("^cond_stage_model.") || any("^conditioner.") ||
                      any("relative_attention_bias");
    if (transformer + vae + text < 2) return std::nullopt;
    std::string parts;
    for (const auto& [present, name] :
         {std::pair(transformer, "a transformer"), {vae, "a VAE"}, {text, "a text encoder"}}) {
      if (present) parts += std::string(parts.empty() ? "" : ", ") + name;
    }
    return ModelFamily{.what = "an all-in-one checkpoint (" + parts + " in one file)",
                       .way_on =
                           "mxvideo reads each component from files of its own: take them "
                           "separately, or extract the tensors of one prefix",
                       .component = std::nullopt};
  }

  std::optional<ModelFamily> wan_transformer() const {
    if (!has_wan_blocks()) return std::nullopt;
    const TensorView* patch = view({"patch_embedding.weight"});
    const TensorView* head = view({"proj_out.weight", "head.head.weight"});
    const bool around = patch != nullptr || head != nullptr || any("condition_embedder.") ||
                        any("^time_embedding.") || any("^text_embedding.");
    if (!around) {
      return ModelFamily{.what =
                             "the blocks of a Wan transformer without the tensors around them "
                             "(patch_embedding, condition_embedder, proj_out)",
                         .way_on = "take the file that has all of them",
                         .component = Component::kTransformer,
                         .part = true,
                         .code = Code::kCorruptFile};
    }
    if (patch == nullptr || patch->shape.rank() != 5) {
      return ModelFamily{.what = "a Wan transformer",
                         .way_on = "",
                         .component = Component::kTransformer,
                         .runs = true};
    }
    constexpr int64_t kPatchVolume = 4;
    const int64_t in = patch->shape[1];
    const int64_t out =
        head != nullptr && head->shape.rank() == 2 ? head->shape[0] / kPatchVolume : 0;
    return describe_wan(patch->shape[0], in, out);
  }

  static ModelFamily describe_wan(int64_t width, int64_t in, int64_t out) {
    constexpr int64_t kMaskChannels = 4, kTi2vChannels = 48;
    std::string as;
    if (in == 2 * out + kMaskChannels) {
      as = ", as I2V-A14B and Fun-InP have";
    } else if (in == out) {
      as = in == kTi2vChannels ? ", as TI2V-5B has" : ", as T2V has";
    }
    ModelFamily family{.what = "a Wan transformer of width " + std::to_string(width) + " with " +
                               std::to_string(in) + " input channels" + as,
                       .way_on = "",
                       .component = Component::kTransformer,
                       .runs = !as.empty() || out == 0};
    if (!family.runs) {
      family.what += " for " + std::to_string(out) + " output channels, as Fun-Control and other " +
                     "models with more conditions have";
      family.way_on = kModels;
    }
    return family;
  }

  std::optional<ModelFamily> vae_family() const {
    const TensorView* in = view({"encoder.conv_in.weight", "encoder.conv1.weight",
                                 "decoder.conv_in.weight", "decoder.conv1.weight"});
    if (in == nullptr) return std::nullopt;
    constexpr int kVideoRank = 5;
    const TensorView* latent = view({"post_quant_conv.weight", "conv2.weight"});
    const bool wan = in->shape.rank() == kVideoRank && latent != nullptr;
    if (!wan) {
      return ModelFamily{.what = in->shape.rank() == kVideoRank ? "a VAE of another video model"
                                                                : "a VAE for images",
                         .way_on = "mxvideo runs the VAEs of Wan2.1 and Wan2.2",
                         .component = Component::kVae};
    }
    return ModelFamily{
        .what = "a Wan VAE with " + std::to_string(latent->shape[0]) + " latent channels",
        .way_on = "",
        .component = Component::kVae,
        .runs = true};
  }

  std::optional<ModelFamily> text_encoder() const {
    const bool original = any("^token_embedding.") && any(".pos_embedding.embedding.");
    const bool hugging_face = any(".relative_attention_bias.");
    if (!original && !hugging_face) return std::nullopt;
    // UMT5 has a bias in each block, T5 in the first only.
    const bool each = original || !any("encoder.block.1.") ||
                      any("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.");
    if (!each) {
      return ModelFamily{.what = "a T5 text encoder, not UMT5",
                         .way_on = "Wan2.2 needs UMT5-XXL",
                         .component = Component::kTextEncoder};
    }
    return ModelFamily{.what = "a UMT5 text encoder",
                       .way_on = "",
                       .component = Component::kTextEncoder,
                       .runs = true};
  }

  // "NVFP4", "FP8 without scales": how weights are stored that no declaration could describe.
  std::string form() const {
    const bool fp8 = std::ranges::any_of(tensors_, [](const Named& t) {
      return is_fp8(t.tensor->view.dtype) && t.tensor->view.shape.rank() == 2;
    });
    for (const Mark& mark : kForms) {
      if (any(mark.part) && (fp8 || mark.part != "^scaled_fp8$")) return std::string(mark.what);
    }
    if (any(kComfyMarker)) return "";
    bool scales = false, float_scales = false;
    for (const Named& t : tensors_) {
      if (!has_mark(t.name, ".weight_scale$") && !has_mark(t.name, ".weight_scale_inv$")) continue;
      scales = true;
      float_scales = float_scales || t.tensor->view.dtype == DType::kF32;
    }
    if (fp8 && !scales) return "FP8 without scales";
    if (fp8 && float_scales) return "FP8 with float scales";
    const bool int8 = std::ranges::any_of(
        tensors_, [](const Named& t) { return t.tensor->view.dtype == DType::kI8; });
    return int8 && float_scales ? "INT8 with float scales" : "";
  }
  static constexpr std::string_view kComfyMarker = ".comfy_quant$";

  void add_form(std::optional<ModelFamily>& family) const {
    const std::string stored = form();
    if (stored.empty()) return;
    if (!family) family = ModelFamily{.what = "a checkpoint", .way_on = "", .component = {}};
    family->what += ", whose weights are in " + stored;
    if (family->runs) family->way_on = kTakeFloat;
    family->runs = false;
    family->foreign_form = true;
  }

  // The file when the checkpoint is one file.
  fs::path only_file() const {
    if (tensors_.empty()) return {};
    const SafetensorsFile* file = tensors_.front().tensor->file;
    const bool one =
        std::ranges::all_of(tensors_, [&](const Named& t) { return t.tensor->file == file; });
    return one ? file->path() : fs::path();
  }

  std::string shard_sentence() const {
    const auto shard = parse_shard_name(only_file().filename().string());
    return shard && shard->count > 1 ? shard->sentence() + " of a checkpoint" : "";
  }

  std::string shard_way_on() const {
    const fs::path file = only_file();
    const std::string index =
        parse_shard_name(file.filename().string())->stem + ".safetensors.index.json";
    return fs::exists(file.parent_path() / index)
               ? "name its folder, where " + index + " lists all of them"
               : "the others and their index " + index + " are needed too";
  }

  std::vector<Named> tensors_;
};

// A model that mxvideo has, and of the expected kind where one is.
bool explains_nothing(const ModelFamily& family, const Checkpoint& checkpoint) {
  return family.runs && (!checkpoint.component() || family.component == checkpoint.component());
}

}  // namespace

std::string ModelFamily::sentence() const {
  return "is " + what + (way_on.empty() ? "" : "; " + way_on);
}

std::optional<ModelFamily> recognise_family(const Checkpoint& checkpoint) {
  return Recogniser(checkpoint).recognise();
}

std::string misfit_origin(const Checkpoint& checkpoint, bool always) {
  const auto family = recognise_family(checkpoint);
  if (!family || (explains_nothing(*family, checkpoint) && !always)) {
    return checkpoint.description();
  }
  std::string text = checkpoint.description() + ": is " + family->what;
  if (family->component && checkpoint.component() && family->component != checkpoint.component()) {
    text += ", expected " + std::string(component_noun(*checkpoint.component()));
  }
  return text + (family->way_on.empty() ? "" : "; " + family->way_on);
}

void refuse_misfit(const Checkpoint& checkpoint, const std::string& what, bool always) {
  const auto family = recognise_family(checkpoint);
  const bool explained = family && !explains_nothing(*family, checkpoint);
  throw Error(explained ? family->code : Code::kCorruptFile,
              misfit_origin(checkpoint, always) + ": " + what);
}

}  // namespace mxvideo::checkpoint
