#include "audit/part_check.h"

#include "base/error.h"
#include "checkpoint/parameter_loader.h"
#include "checkpoint/wan/model_family.h"
#include "convert/transformer_source.h"
#include "models/umt5/umt5_encoder.h"
#include "models/wan_transformer/wan_transformer.h"
#include "models/wan_vae/wan_vae.h"
#include "quantization/quantization_config.h"

namespace mxvideo::audit {
namespace {

using checkpoint::TransformerCheckpoint;

template <class Model>
void check_tensors(Model&& model, const TransformerCheckpoint& opened) {
  checkpoint::ParameterLoader loader;
  model.declare_parameters(loader);
  loader.check_key_set(opened.checkpoint);
}

void check_transformer(const ModelPart& part, const TransformerCheckpoint& opened) {
  const auto resolved = quantization::resolve_quantization({}, opened.quantization);
  if (part.config.is_null()) {
    const convert::TransformerSource source =
        convert::open_transformer_source(checkpoint::kHighNoiseExpert, part.weights);
    return convert::check_transformer_tensors(source, source.config.sizes);
  }
  models::WanTransformer model(
      models::WanTransformerConfig::from_json(part.config, part.config_origin), *resolved.config);
  checkpoint::ParameterLoader loader;
  resolved.config->declare_companions(loader);
  model.declare_parameters(loader);
  loader.check_key_set(opened.checkpoint);
}

}  // namespace

void check_part(const ModelPart& part, const TransformerCheckpoint& opened) {
  if (!part.config_problem.empty()) throw Error(Code::kCorruptFile, part.config_problem);
  switch (part.kind) {
    case PartKind::kTransformer:
      return check_transformer(part, opened);
    case PartKind::kTextEncoder:
    case PartKind::kVae:
      if (part.config.is_null()) {
        throw Error(Code::kNotFound, checkpoint::misfit_origin(opened.checkpoint) +
                                         ": no config.json: the key set cannot be checked");
      }
      if (part.kind == PartKind::kVae) {
        return check_tensors(
            models::WanVae(models::WanVaeConfig::from_json(part.config, part.config_origin)),
            opened);
      }
      return check_tensors(
          models::Umt5Encoder(models::Umt5Config::from_json(part.config, part.config_origin)),
          opened);
    case PartKind::kUnknown:
      throw Error(Code::kUnsupported,
                  checkpoint::misfit_origin(opened.checkpoint) +
                      ": neither a transformer, a text encoder nor a VAE of Wan2.2");
  }
}

}  // namespace mxvideo::audit
