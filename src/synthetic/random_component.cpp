#include "synthetic/random_component.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file/atomic_file.h"
#include "base/parallel.h"
#include "checkpoint/safetensors_writer.h"
#include "formats/half.h"

namespace mxvideo::synthetic {
namespace {

using checkpoint::ParameterSpec;

uint64_t hash_name(const std::string& name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;  // FNV-1a
  return hash;
}

// SplitMix64 of a counter: any element can be computed alone, so threads need no order.
uint64_t random_bits(uint64_t key, uint64_t counter) {
  uint64_t z = key + (counter + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// Sum of four uniforms of 16 bits, scaled to unit variance: close enough to normal.
float random_normal(uint64_t key, uint64_t counter) {
  const uint64_t bits = random_bits(key, counter);
  const auto sum = static_cast<double>((bits & 0xffff) + (bits >> 16 & 0xffff) +
                                       (bits >> 32 & 0xffff) + (bits >> 48));
  constexpr double kMean = 4 * 65535 / 2.0;
  constexpr double kInverseDeviation = 1.7320508 / 65536.0;  // sqrt(12/4)
  return static_cast<float>((sum - kMean) * kInverseDeviation);
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// mean + deviation · N(0, 1), with a profile over the taps of a convolution.
struct Distribution {
  float mean = 0;
  float deviation = 1;
  std::vector<float> taps;  // per element of the kernel; empty: 1
};

// Binomial weights over each axis of a convolution kernel, sum of squares 1: neighbouring pixels
// are mixed alike, which makes smooth pictures.
std::vector<float> smooth_taps(const Shape& shape) {
  std::vector<float> taps = {1.0f};
  for (int axis = 2; axis < shape.rank(); ++axis) {
    std::vector<float> wider;
    for (float tap : taps) {
      for (int64_t i = 0; i < shape[axis]; ++i) {
        const bool middle = shape[axis] == 3 && i == 1;
        wider.push_back(tap * (middle ? 2.0f : 1.0f));
      }
    }
    taps = std::move(wider);
  }
  float squares = 0;
  for (float tap : taps) squares += tap * tap;
  for (float& tap : taps) tap /= std::sqrt(squares);
  return taps;
}

Distribution distribution_of(const ParameterSpec& spec) {
  const Shape& shape = spec.shape;
  if (contains(spec.name, "scale_shift_table")) return {.deviation = 0.2f, .taps = {}};
  if (contains(spec.name, "relative_attention_bias")) return {.deviation = 0.5f, .taps = {}};
  if (spec.name.ends_with(".bias")) return {.deviation = 0.05f, .taps = {}};
  const bool norm = contains(spec.name, "norm") || spec.name.ends_with("gamma");
  if (norm) return {.mean = 1.0f, .deviation = 0.1f, .taps = {}};
  if (spec.name.ends_with("shared.weight") || spec.name.ends_with("embed_tokens.weight")) {
    return {.deviation = 1.0f, .taps = {}};
  }
  const auto fan_in = static_cast<float>(shape[1]);
  if (shape.rank() <= 2) return {.deviation = 1.0f / std::sqrt(fan_in), .taps = {}};
  return {.deviation = 1.0f / std::sqrt(fan_in), .taps = smooth_taps(shape)};
}

Tensor random_tensor(const ParameterSpec& spec, uint64_t seed) {
  const Distribution distribution = distribution_of(spec);
  const uint64_t key = hash_name(spec.name, seed);
  Tensor tensor(DType::kBF16, spec.shape);
  auto* values = reinterpret_cast<uint16_t*>(tensor.data());
  const auto taps = static_cast<int64_t>(distribution.taps.size());
  parallel_for(tensor.count(), 1 << 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float tap = taps == 0 ? 1.0f : distribution.taps[static_cast<size_t>(i % taps)];
      const float normal = random_normal(key, static_cast<uint64_t>(i));
      values[i] = formats::encode_bf16(distribution.mean + distribution.deviation * tap * normal);
    }
  });
  return tensor;
}

int64_t stored_bytes(const ParameterSpec& spec) {
  return spec.shape.count() * dtype_size(DType::kBF16);
}

std::vector<std::vector<ParameterSpec>> split_into_shards(std::span<const ParameterSpec> specs,
                                                          int64_t shard_bytes) {
  std::vector<std::vector<ParameterSpec>> shards(1);
  int64_t size = 0;
  for (const ParameterSpec& spec : specs) {
    if (size > 0 && size + stored_bytes(spec) > shard_bytes) {
      shards.emplace_back();
      size = 0;
    }
    shards.back().push_back(spec);
    size += stored_bytes(spec);
  }
  return shards;
}

std::string shard_name(const char* stem, size_t index, size_t count) {
  if (count == 1) return std::string(stem) + ".safetensors";
  const auto digits = [](size_t number) {
    const std::string text = std::to_string(number);
    return std::string(5 - std::min<size_t>(5, text.size()), '0') + text;
  };
  return std::string(stem) + "-" + digits(index + 1) + "-of-" + digits(count) + ".safetensors";
}

}  // namespace

void write_random_component(const RandomComponent& component,
                            std::span<const ParameterSpec> specs) {
  std::filesystem::create_directories(component.directory);
  const auto shards = split_into_shards(specs, component.shard_bytes);
  nlohmann::ordered_json weight_map;
  int64_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(component.stem, i, shards.size());
    std::vector<Tensor> tensors;
    std::vector<checkpoint::NamedTensor> named;
    for (const ParameterSpec& spec : shards[i]) {
      tensors.push_back(random_tensor(spec, component.seed));
      total += tensors.back().bytes();
      weight_map[spec.name] = name;
    }
    for (size_t t = 0; t < tensors.size(); ++t) {
      named.push_back({.name = shards[i][t].name, .view = tensors[t].view()});
    }
    checkpoint::write_safetensors(component.directory / name, named, {{"format", "pt"}});
  }
  if (shards.size() == 1) return;
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", total}}},
                                        {"weight_map", weight_map}};
  write_file_atomically(
      component.directory / (std::string(component.stem) + ".safetensors.index.json"),
      index.dump(2) + "\n");
}

}  // namespace mxvideo::synthetic
