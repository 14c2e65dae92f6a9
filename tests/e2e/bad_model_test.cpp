// Model directories with something wrong in them: each is one line of error that names the file,
// exit status 3 (6 for what only shows in the numbers), and leaves nothing behind.
#include "e2e/cli_fixture.h"
#include "e2e/damaged_model.h"

namespace mxvideo::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct BadModel {
  std::string name;
  const char* variant;
  std::function<void(const fs::path& model)> damage;
  std::string message;
  Arguments extra = {};
  int exit_code = 3;
  std::vector<std::string> kept = {};  // what the run had finished before it failed
};

void PrintTo(const BadModel& bad, std::ostream* stream) { *stream << bad.name; }

constexpr const char* kT2v = "t2v-a14b";
constexpr const char* kI2v = "i2v-a14b";
constexpr const char* kTi2v = "ti2v-5b";
const std::string kWeights = "diffusion_pytorch_model.safetensors";
const std::string kIndex = kWeights + ".index.json";
const std::string kQuery = "blocks.1.attn1.to_q.weight";

std::function<void(const fs::path&)> json(const std::string& file,
                                          const std::function<void(Json&)>& edit) {
  return [=](const fs::path& model) { edit_json(model / file, edit); };
}

std::function<void(const fs::path&)> set(const std::string& file, const std::string& key,
                                         const Json& value) {
  return json(file, [=](Json& config) { config[key] = value; });
}

std::function<void(const fs::path&)> unset(const std::string& file, const std::string& key) {
  return json(file, [=](Json& config) { config.erase(key); });
}

std::function<void(const fs::path&)> tensors(const std::string& file,
                                             const std::function<void(TensorFile&)>& edit) {
  return [=](const fs::path& model) { edit_tensors(model / file, edit); };
}

std::function<void(const fs::path&)> bytes(const std::string& file, const std::string& from,
                                           const std::string& to) {
  return [=](const fs::path& model) { edit_bytes(model / file, from, to); };
}

// Every file that a model cannot do without: absent, empty, cut in half, replaced by nonsense.
std::vector<BadModel> damaged_files() {
  std::vector<BadModel> cases;
  for (const std::string file :
       {"model_index.json", "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors", "transformer_2/config.json",
        "transformer_2/diffusion_pytorch_model.safetensors", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors", "text_encoder/config.json",
        "text_encoder/model.safetensors", "tokenizer/spiece.model",
        "scheduler/scheduler_config.json"}) {
    std::string name = file;
    for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    const auto add = [&](const char* what, const std::function<void(const fs::path&)>& damage,
                         const std::string& message) {
      cases.push_back({name + "_" + what, kT2v, damage, message});
    };
    // An absent weight file is reported with its folder and the names that were tried.
    const std::string folder = "/" + file.substr(0, file.find('/'));
    add(
        "missing",
        [=](const fs::path& model) {
          fs::remove(model / file);
          fs::remove(model / "tokenizer/tokenizer.json");  // would do instead of spiece.model
        },
        file == "model_index.json" ? "not a Wan2.2 model" : folder);
    add(
        "empty", [=](const fs::path& model) { write_text(model / file, ""); }, file);
    add(
        "cut", [=](const fs::path& model) { truncate_file(model / file); }, file);
    add(
        "nonsense",
        [=](const fs::path& model) { write_text(model / file, std::string(4000, '\x81')); }, file);
  }
  return cases;
}

// The index of the components and their folders.
std::vector<BadModel> damaged_indexes() {
  const std::string index = "model_index.json";
  return {
      {"index_array", kT2v, [=](const fs::path& m) { write_text(m / index, "[]"); }, index},
      {"index_deep", kT2v,
       [=](const fs::path& m) { write_text(m / index, std::string(100000, '[')); }, index},
      {"index_duplicate_key", kT2v, bytes(index, "{", "{\"_class_name\": \"WanPipeline\","),
       "_class_name"},
      {"index_trailing_text", kT2v,
       [=](const fs::path& m) { write_text(m / index, read_text(m / index) + "x"); }, index},
      {"pipeline_class", kT2v, set(index, "_class_name", "FluxPipeline"), "got 'FluxPipeline'"},
      {"pipeline_class_type", kT2v, set(index, "_class_name", 5), "_class_name"},
      {"pipeline_class_lines", kT2v, set(index, "_class_name", "a\nb"), "a\\x0ab"},
      {"no_vae", kT2v, unset(index, "vae"), "component 'vae' is missing"},
      {"component_type", kT2v, set(index, "vae", "AutoencoderKLWan"), "component 'vae'"},
      {"component_class", kT2v, set(index, "vae", Json::array({"diffusers", "AutoencoderKL"})),
       "got AutoencoderKL"},
      {"scheduler_class", kT2v,
       set(index, "scheduler", Json::array({"diffusers", "DDIMScheduler"})), "got DDIMScheduler"},
      {"unknown_component", kT2v, set(index, "upsampler", Json::array({"diffusers", "X"})),
       "unknown component 'upsampler'"},
      {"image_encoder", kI2v,
       set(index, "image_encoder", Json::array({"transformers", "CLIPVisionModel"})),
       "image_encoder"},
      {"boundary_null", kT2v, set(index, "boundary_ratio", nullptr),
       "boundary_ratio: expected a number"},
      {"boundary_large", kT2v, set(index, "boundary_ratio", 1.5), "boundary_ratio"},
      {"boundary_text", kT2v, set(index, "boundary_ratio", "high"), "boundary_ratio"},
      {"boundary_without_expert", kTi2v, set(index, "boundary_ratio", 0.9),
       "boundary_ratio: expected null"},
      {"expand_text", kT2v, set(index, "expand_timesteps", "yes"), "expand_timesteps"},
      {"no_second_expert", kT2v, [](const fs::path& m) { fs::remove_all(m / "transformer_2"); },
       "component 'transformer_2': no folder"},
      {"no_tokenizer", kT2v, [](const fs::path& m) { fs::remove_all(m / "tokenizer"); },
       "tokenizer: no tokenizer: expected spiece.model or tokenizer.json"},
      {"folder_is_file", kT2v,
       [](const fs::path& m) {
         fs::remove_all(m / "vae");
         write_text(m / "vae", "x");
       },
       "component 'vae': no folder"},
  };
}

std::vector<BadModel> damaged_configs() {
  const std::string dit = "transformer/config.json";
  const std::string dit_2 = "transformer_2/config.json";
  const std::string vae = "vae/config.json";
  const std::string text = "text_encoder/config.json";
  const std::string scheduler = "scheduler/scheduler_config.json";
  return {
      {"dit_class", kT2v, set(dit, "_class_name", "UNet2D"),
       "expected WanTransformer3DModel or WanModel, got 'UNet2D'"},
      {"dit_channels", kT2v, set(dit, "in_channels", 17), "in_channels"},
      {"dit_channels_missing", kT2v, unset(dit, "in_channels"), "in_channels"},
      {"dit_channels_negative", kT2v, set(dit, "in_channels", -16), "in_channels"},
      {"dit_layers_zero", kT2v, set(dit, "num_layers", 0), "num_layers"},
      {"dit_layers_huge", kT2v, set(dit, "num_layers", 4000000000), "num_layers"},
      {"dit_layers_fraction", kT2v, set(dit, "num_layers", 2.5), "num_layers"},
      {"dit_layers_text", kT2v, set(dit, "num_layers", "2"), "num_layers"},
      {"dit_fewer_layers", kT2v, set(dit, "num_layers", 1), "unexpected: "},
      {"dit_more_layers", kT2v, set(dit, "num_layers", 3), "missing: "},
      {"dit_heads_zero", kT2v, set(dit, "num_attention_heads", 0), "num_attention_heads"},
      {"dit_head_odd", kT2v, set(dit, "attention_head_dim", 127), "head dimension 127"},
      {"dit_ffn", kT2v, set(dit, "ffn_dim", 161), "of wrong shape"},
      {"dit_patch", kT2v, set(dit, "patch_size", Json::array({1, 2})), "patch_size"},
      {"dit_patch_zero", kT2v, set(dit, "patch_size", Json::array({1, 0, 2})), "patch_size"},
      {"dit_image_attention", kT2v, set(dit, "pos_embed_seq_len", 514), "pos_embed_seq_len is set"},
      {"dit_qk_norm", kT2v, set(dit, "qk_norm", "layer_norm"), "qk_norm"},
      {"dit_text_dim", kT2v, set(dit, "text_dim", 65), "text_dim"},
      {"experts_differ", kT2v, set(dit_2, "text_dim", 128), "transformer and transformer_2 differ"},
      {"vae_class", kT2v, set(vae, "_class_name", "AutoencoderKL"), "AutoencoderKL"},
      {"vae_z", kT2v, set(vae, "z_dim", 8), "z_dim"},
      {"vae_means", kT2v, set(vae, "latents_mean", Json::array({0.5})), "latents_mean"},
      {"vae_std_zero", kT2v, set(vae, "latents_std", Json(std::vector<double>(16, 0.0))),
       "latents_std"},
      {"vae_std_text", kT2v, set(vae, "latents_std", "1"), "latents_std"},
      {"vae_base", kT2v, set(vae, "base_dim", 6), "of wrong shape"},
      {"text_vocabulary", kT2v, set(text, "vocab_size", 100), "of wrong shape"},
      {"text_width", kT2v, set(text, "d_model", 0), "d_model"},
      {"text_activation", kT2v, set(text, "feed_forward_proj", "relu"), "feed_forward_proj"},
      {"scheduler_other", kT2v, set(scheduler, "_class_name", "DDIMScheduler"), "DDIMScheduler"},
      {"scheduler_prediction", kT2v, set(scheduler, "prediction_type", "epsilon"),
       "prediction_type"},
      {"scheduler_shift", kT2v, set(scheduler, "flow_shift", 0), "flow_shift"},
      {"scheduler_karras", kT2v, set(scheduler, "use_karras_sigmas", true), "use_karras_sigmas"},
      {"width_not_blocks",
       kT2v,
       set(dit, "ffn_dim", 168),
       "mxfp8 needs in_features that are a multiple of 32, got 168",
       {"--quantization", "mxfp8"}},
  };
}

std::vector<BadModel> damaged_tensors() {
  const std::string dit = "transformer/" + kWeights;
  const auto edit_query = [&](const std::function<void(TensorFile::Entry&)>& edit) {
    return tensors(dit, [=](TensorFile& file) { edit(file.at(kQuery)); });
  };
  return {
      {"missing", kT2v, tensors(dit, [](TensorFile& f) { f.erase(kQuery); }),
       "1 missing: " + kQuery},
      {"extra", kT2v,
       tensors(dit,
               [](TensorFile& f) {
                 f.entries.push_back({"lora.up", "F32", {1}, "abcd"});
               }),
       "1 unexpected: lora.up"},
      {"renamed", kT2v, tensors(dit, [](TensorFile& f) { f.at(kQuery).name = "q"; }),
       "1 missing: " + kQuery + "; 1 unexpected: q"},
      {"name_with_lines", kT2v,
       tensors(dit, [](TensorFile& f) { f.at(kQuery).name = "q\n\x1b[31m"; }), "q\\x0a\\x1b[31m"},
      {"shape", kT2v, edit_query([](TensorFile::Entry& e) { e.shape = {e.shape[0] * e.shape[1]}; }),
       "1 of wrong shape: " + kQuery},
      {"transposed", kT2v,
       tensors(dit,
               [](TensorFile& f) {
                 auto& s = f.at("blocks.0.ffn.net.2.weight").shape;
                 std::swap(s[0], s[1]);
               }),
       "1 of wrong shape: blocks.0.ffn.net.2.weight"},
      {"dtype", kT2v,
       edit_query([](TensorFile::Entry& e) { e.dtype = e.dtype == "F32" ? "I32" : "I16"; }),
       "1 of wrong dtype: " + kQuery},
      {"dtype_unknown", kT2v, edit_query([](TensorFile::Entry& e) { e.dtype = "F7"; }), "F7"},
      {"size_lies", kT2v, edit_query([](TensorFile::Entry& e) { e.shape[0] += 1; }), kQuery},
      {"size_overflows", kT2v, edit_query([](TensorFile::Entry& e) {
         e.shape = {int64_t{1} << 62, 8};
       }),
       kQuery},
      {"size_negative", kT2v, edit_query([](TensorFile::Entry& e) { e.shape[0] = -1; }), kQuery},
      {"bytes_follow", kT2v,
       [=](const fs::path& m) { write_text(m / dit, read_text(m / dit) + "tail"); }, dit},
      {"header_huge", kT2v,
       [=](const fs::path& m) { write_text(m / dit, std::string(7, '\xff') + "\x7f" + "{}"); },
       dit},
      {"header_only_size", kT2v,
       [=](const fs::path& m) { write_text(m / dit, std::string(8, '\0')); }, dit},
      {"bias_of_encoder", kT2v,
       tensors("text_encoder/model.safetensors", [](TensorFile& f) { f.entries.pop_back(); }),
       "1 missing"},
      {"vae_missing", kT2v,
       tensors("vae/" + kWeights, [](TensorFile& f) { f.entries.erase(f.entries.begin()); }),
       "1 missing"},
  };
}

std::vector<BadModel> damaged_shards() {
  return {
      {"shard_missing", kI2v,
       [](const fs::path& m) {
         fs::remove(m / "transformer/diffusion_pytorch_model-00002-of-00003.safetensors");
       },
       "00002-of-00003"},
      {"shard_cut", kI2v,
       [](const fs::path& m) {
         truncate_file(m / "transformer/diffusion_pytorch_model-00003-of-00003.safetensors");
       },
       "00003-of-00003"},
      {"index_and_file", kI2v,
       [](const fs::path& m) {
         fs::copy_file(m / "transformer/diffusion_pytorch_model-00001-of-00003.safetensors",
                       m / "transformer" / kWeights);
       },
       "transformer"},
      {"index_wrong_shard", kI2v,
       json("transformer/" + kIndex,
            [](Json& j) {
              auto& map = j["weight_map"];
              map[kQuery] = map[kQuery] == "diffusion_pytorch_model-00001-of-00003.safetensors"
                                ? "diffusion_pytorch_model-00002-of-00003.safetensors"
                                : "diffusion_pytorch_model-00001-of-00003.safetensors";
            }),
       kQuery},
      {"index_lacks_tensor", kI2v,
       json("transformer/" + kIndex, [](Json& j) { j["weight_map"].erase(kQuery); }), kQuery},
      {"index_invents_tensor", kI2v,
       json("transformer/" + kIndex,
            [](Json& j) {
              j["weight_map"]["ghost"] = "diffusion_pytorch_model-00001-of-00003.safetensors";
            }),
       "ghost"},
      {"index_climbs", kI2v,
       json("transformer/" + kIndex,
            [](Json& j) { j["weight_map"][kQuery] = "../../../etc/passwd"; }),
       "../../../etc/passwd"},
      {"index_no_map", kI2v, json("transformer/" + kIndex, [](Json& j) { j.erase("weight_map"); }),
       "weight_map"},
      {"index_map_type", kI2v, json("transformer/" + kIndex, [](Json& j) { j["weight_map"] = 3; }),
       "weight_map"},
  };
}

std::vector<BadModel> damaged_tokenizers() {
  return {
      {"tokenizer_other", kT2v,
       [](const fs::path& m) {
         fs::copy_file(m / "vae" / kWeights, m / "tokenizer/spiece.model",
                       fs::copy_options::overwrite_existing);
       },
       "tokenizer/spiece.model"},
      {"tokenizer_config", kT2v,
       [](const fs::path& m) {
         write_text(m / "tokenizer/tokenizer_config.json", "{\"added_tokens_decoder\": 3}");
       },
       "tokenizer/tokenizer_config.json"},
  };
}

// NaN in the weights: refused where they are quantized, else found in the run.
std::vector<BadModel> nan_weights() {
  const std::string dit = "transformer/" + kWeights;
  return {
      {"nan_mxfp8",
       kT2v,
       tensors(dit, [](TensorFile& f) { f.fill_nan(kQuery); }),
       "tensor " + kQuery + ": row 0 holds NaN or infinity",
       {"--quantization", "mxfp8"}},
      {"nan_weights",
       kT2v,
       tensors(dit, [](TensorFile& f) { f.fill_nan(kQuery); }),
       "block1.attn1.to_q",
       {},
       6},
      {"nan_norm_mxfp8",
       kT2v,
       tensors(dit, [](TensorFile& f) { f.fill_nan("blocks.0.norm2.weight"); }),
       "block0.norm2",
       {"--quantization", "mxfp8"},
       6},
      {"nan_second_expert",
       kT2v,
       tensors("transformer_2/" + kWeights, [](TensorFile& f) { f.fill_nan("proj_out.weight"); }),
       "step 2 of 2",
       {},
       6},
      {"nan_text_encoder",
       kT2v,
       tensors("text_encoder/model.safetensors",
               [](TensorFile& f) { f.fill_nan("encoder.final_layer_norm.weight"); }),
       "first bad layer: text.embedding",
       {},
       6},
      {"nan_vae",
       kT2v,
       tensors("vae/" + kWeights, [](TensorFile& f) { f.fill_nan("decoder.conv_out.bias"); }),
       "NaN",
       {},
       6,
       {"latents.safetensors", "report.json"}},
  };
}

class BadModelTest : public CliTest, public testing::WithParamInterface<BadModel> {};

TEST_P(BadModelTest, OneLineAndNothingWritten) {
  const BadModel& bad = GetParam();
  const fs::path model = scratch() / "model";
  fs::copy(tiny_model(bad.variant), model, fs::copy_options::recursive);
  bad.damage(model);
  Arguments extra = {"--model-path", model,         "--output",       "out.mp4",
                     "--report",     "report.json", "--save-latents", "latents.safetensors"};
  extra.insert(extra.end(), bad.extra.begin(), bad.extra.end());
  if (bad.variant == std::string(kI2v)) extra.insert(extra.end(), {"--image-path", picture()});
  const ProcessResult result = run(generate(bad.variant, extra));
  for (const std::string& name : bad.kept) EXPECT_TRUE(fs::remove(work() / name)) << name;
  expect_failure(result, bad.exit_code, bad.message);
}

const auto kName = [](const auto& each) { return each.param.name; };
INSTANTIATE_TEST_SUITE_P(Files, BadModelTest, testing::ValuesIn(damaged_files()), kName);
INSTANTIATE_TEST_SUITE_P(Indexes, BadModelTest, testing::ValuesIn(damaged_indexes()), kName);
INSTANTIATE_TEST_SUITE_P(Configs, BadModelTest, testing::ValuesIn(damaged_configs()), kName);
INSTANTIATE_TEST_SUITE_P(Tensors, BadModelTest, testing::ValuesIn(damaged_tensors()), kName);
INSTANTIATE_TEST_SUITE_P(Shards, BadModelTest, testing::ValuesIn(damaged_shards()), kName);
INSTANTIATE_TEST_SUITE_P(Tokenizers, BadModelTest, testing::ValuesIn(damaged_tokenizers()), kName);
INSTANTIATE_TEST_SUITE_P(Nan, BadModelTest, testing::ValuesIn(nan_weights()), kName);

}  // namespace
}  // namespace mxvideo::test
