#include "cli/latents_file.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <span>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors_writer.h"
#include "pipeline/numerics_guard.h"

namespace mxvideo::cli {
namespace {

constexpr const char* kKind = "kind";
constexpr const char* kDenoised = "denoised latents";
constexpr const char* kRecipe = "recipe";

}  // namespace

LatentsFile read_latents(const std::filesystem::path& path) {
  const auto file = checkpoint::Checkpoint::open_file(path);
  const auto found = file.tensors().find("latents");
  if (found == file.tensors().end()) {
    throw Error(Code::kCorruptFile, path.string() + ": no tensor named 'latents'");
  }
  Tensor latents = to_f32(found->second.view);
  const Shape& shape = latents.shape();
  if (shape.rank() == 5 && shape[0] == 1) latents.reshape(Shape(shape.dims().subspan(1)));
  if (latents.shape().rank() != 4) {
    throw Error(Code::kCorruptFile, path.string() +
                                        ": tensor latents: expected shape "
                                        "[z, frames, height, width], got " +
                                        shape.to_string());
  }
  if (!pipeline::all_finite(latents)) {
    throw Error(Code::kCorruptFile, path.string() + ": tensor latents holds NaN or infinity");
  }
  const std::map<std::string, std::string> metadata = file.metadata();
  const auto value = [&](const char* key) {
    const auto entry = metadata.find(key);
    return entry == metadata.end() ? std::string() : entry->second;
  };
  // Before "kind" was written, only denoised latents had a recipe.
  const std::string kind = value(kKind), recipe = value(kRecipe);
  return {.latents = std::move(latents),
          .denoised = kind == kDenoised || (kind.empty() && !recipe.empty()),
          .recipe = recipe};
}

void write_latents(AtomicFile& file, const Tensor& latents, const std::string& recipe) {
  const checkpoint::NamedTensor tensor{.name = "latents", .view = latents.view()};
  checkpoint::write_safetensors(file, std::span(&tensor, 1),
                                {{kKind, kDenoised}, {kRecipe, recipe}});
}

std::string why_no_noise(const Tensor& latents) {
  // Of 512 independent values, the fewest that a video has, both bounds are five deviations away.
  constexpr double kMostDeviationOfOne = 0.2, kMostCorrelation = 0.25;
  const std::span<const float> values = latents.values();
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0, products = 0;
  for (const float value : values) sum += value;
  const double mean = sum / count;
  for (const float value : values) squares += (value - mean) * (value - mean);
  const auto width = static_cast<size_t>(latents.dim(3));
  double pairs = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (i % width == 0) continue;
    products += (values[i - 1] - mean) * (values[i] - mean);
    ++pairs;
  }
  const double deviation = std::sqrt(squares / count);
  const double correlation = squares > 0 && pairs > 0 ? products / pairs / (squares / count) : 0;
  if (std::abs(deviation - 1) <= kMostDeviationOfOne && correlation <= kMostCorrelation) return "";
  return fmt::format("standard deviation {:.2f}, correlation of neighbours {:.2f}", deviation,
                     correlation);
}

}  // namespace mxvideo::cli
