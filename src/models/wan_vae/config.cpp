#include <cmath>
#include <string>

#include "base/error.h"
#include "base/text/json.h"
#include "kernels/layout/channel_affine.h"
#include "models/wan_vae/wan_vae.h"

namespace mxvideo::models {
namespace {

constexpr int64_t kMaxChannels = 1 << 14;
constexpr int64_t kMaxStages = 8;

[[noreturn]] void refuse(const std::string& origin, const std::string& message) {
  throw Error(Code::kCorruptFile, origin + ": " + message);
}

std::vector<float> latent_statistics(const JsonFields& fields, const std::string& key,
                                     int64_t z_dim) {
  const std::vector<double> numbers = fields.numbers(key);
  if (static_cast<int64_t>(numbers.size()) != z_dim) {
    refuse(fields.origin(), key + " has " + std::to_string(numbers.size()) +
                                " values, expected z_dim = " + std::to_string(z_dim));
  }
  std::vector<float> values;
  for (const double number : numbers) {
    const auto value = static_cast<float>(number);
    if (!std::isfinite(value)) refuse(fields.origin(), key + " holds a value that is not finite");
    values.push_back(value);
  }
  return values;
}

void check_stages(const WanVaeConfig& config, const std::string& origin) {
  const auto stages = static_cast<int64_t>(config.dim_mult.size());
  if (stages < 1 || stages > kMaxStages) {
    refuse(origin, "dim_mult has " + std::to_string(stages) + " values, expected 1 to 8");
  }
  if (static_cast<int64_t>(config.temporal_downsample.size()) != stages - 1) {
    refuse(origin, "temperal_downsample has " + std::to_string(config.temporal_downsample.size()) +
                       " values, expected one less than dim_mult, " + std::to_string(stages - 1));
  }
  int64_t spatial = config.patch_size << (stages - 1);
  int64_t temporal = 1;
  for (const bool down : config.temporal_downsample) temporal *= down ? 2 : 1;
  if (spatial != config.scale_factor_spatial) {
    refuse(origin, "scale_factor_spatial is " + std::to_string(config.scale_factor_spatial) +
                       ", but patch_size and dim_mult make " + std::to_string(spatial));
  }
  if (temporal != config.scale_factor_temporal) {
    refuse(origin, "scale_factor_temporal is " + std::to_string(config.scale_factor_temporal) +
                       ", but temperal_downsample makes " + std::to_string(temporal));
  }
}

// The upsamplers of 2.1 halve their channels.
void check_upsamplers(const WanVaeConfig& config, const std::string& origin) {
  if (config.is_residual) return;
  for (size_t i = 1; i < config.dim_mult.size(); ++i) {
    if (config.decoder_base_dim * config.dim_mult[i] < 2) {
      refuse(origin, "decoder_base_dim: decoder block " + std::to_string(i) +
                         " has one channel, expected at least 2 to upsample");
    }
  }
}

// The shortcuts of 2.2 blocks fold channels, which must come out even.
void check_shortcuts(const WanVaeConfig& config, const std::string& origin) {
  if (!config.is_residual) return;
  const size_t stages = config.dim_mult.size();
  for (size_t i = 0; i < stages; ++i) {
    const bool last = i + 1 == stages;
    const int64_t fold = last ? 1 : (config.temporal_downsample[i] ? 8 : 4);
    const int64_t in = config.base_dim * (i == 0 ? 1 : config.dim_mult[i - 1]);
    const int64_t out = config.base_dim * config.dim_mult[i];
    if (in * fold % out != 0) {
      refuse(origin, "dim_mult: encoder block " + std::to_string(i) + " cannot fold " +
                         std::to_string(in) + " channels into " + std::to_string(out));
    }
    if (last) continue;
    const size_t from = stages - 1 - i;
    const int64_t up_fold = config.temporal_downsample[from - 1] ? 8 : 4;
    const int64_t up_in = config.decoder_base_dim * config.dim_mult[i == 0 ? from : from + 1];
    const int64_t up_out = config.decoder_base_dim * config.dim_mult[from];
    if (up_out * up_fold % up_in != 0) {
      refuse(origin, "dim_mult: decoder block " + std::to_string(i) + " cannot unfold " +
                         std::to_string(up_in) + " channels into " + std::to_string(up_out));
    }
  }
}

void scale_channels(kernels::ChannelAffineOp op, const WanVaeConfig& config, const Tensor& latents,
                    Tensor& result, kernels::Context& context) {
  check(latents.shape().rank() >= 1 && latents.dim(0) == config.z_dim,
        "wan_vae: latents are " + latents.shape().to_string() + ", expected [z_dim, …]");
  kernels::channel_affine({.op = op,
                           .x = latents,
                           .y = result,
                           .per_channel = latents.count() / config.z_dim,
                           .mean = config.latents_mean,
                           .deviation = config.latents_std},
                          context);
}

}  // namespace

WanVaeConfig WanVaeConfig::from_json(const nlohmann::json& json, const std::string& origin) {
  const JsonFields fields(json, origin);
  if (fields.string_or("_class_name", "AutoencoderKLWan") != "AutoencoderKLWan") {
    refuse(origin, "_class_name is \"" + fields.string("_class_name") +
                       "\", expected \"AutoencoderKLWan\"");
  }
  if (fields.has("attn_scales") && !fields.raw("attn_scales").empty()) {
    throw Error(Code::kUnsupported, origin + ": attn_scales is not empty");
  }
  WanVaeConfig config;
  config.base_dim = fields.integer_or("base_dim", 96, 1, kMaxChannels);
  config.decoder_base_dim = fields.integer_or("decoder_base_dim", config.base_dim, 1, kMaxChannels);
  config.z_dim = fields.integer_or("z_dim", 16, 1, kMaxChannels);
  if (fields.has("dim_mult")) config.dim_mult = fields.integers("dim_mult", 1, 64);
  config.num_res_blocks = fields.integer_or("num_res_blocks", 2, 1, 64);
  if (fields.has("temperal_downsample")) {
    config.temporal_downsample = fields.booleans("temperal_downsample");
  }
  config.is_residual = fields.boolean_or("is_residual", false);
  config.patch_size = fields.integer_or("patch_size", 1, 1, 16);
  config.in_channels = fields.integer_or("in_channels", 3, 1, kMaxChannels);
  config.out_channels = fields.integer_or("out_channels", 3, 1, kMaxChannels);
  const int64_t pixel_channels = 3 * config.patch_size * config.patch_size;
  if (config.in_channels != pixel_channels || config.out_channels != pixel_channels) {
    refuse(origin, "in_channels and out_channels are " + std::to_string(config.in_channels) +
                       " and " + std::to_string(config.out_channels) +
                       ", expected 3 x patch_size² = " + std::to_string(pixel_channels));
  }
  config.scale_factor_spatial = fields.integer_or("scale_factor_spatial", 8, 1, 1 << 12);
  config.scale_factor_temporal = fields.integer_or("scale_factor_temporal", 4, 1, 1 << 8);
  config.latents_mean = latent_statistics(fields, "latents_mean", config.z_dim);
  config.latents_std = latent_statistics(fields, "latents_std", config.z_dim);
  for (const float deviation : config.latents_std) {
    if (deviation <= 0) refuse(origin, "latents_std holds a value that is not positive");
  }
  check_stages(config, origin);
  check_upsamplers(config, origin);
  check_shortcuts(config, origin);
  return config;
}

void normalize_latents(const WanVaeConfig& config, const Tensor& latents, Tensor& result,
                       kernels::Context& context) {
  scale_channels(kernels::ChannelAffineOp::kNormalize, config, latents, result, context);
}

void denormalize_latents(const WanVaeConfig& config, const Tensor& latents, Tensor& result,
                         kernels::Context& context) {
  scale_channels(kernels::ChannelAffineOp::kDenormalize, config, latents, result, context);
}

}  // namespace mxvideo::models
