#include "audit/verify_values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <span>

#include "base/parallel.h"
#include "base/text/quote.h"
#include "checkpoint/safetensors.h"
#include "formats/e8m0.h"
#include "formats/mx_block.h"
#include "formats/scale_layout.h"

namespace mxvideo::audit {
namespace {

using checkpoint::Checkpoint;
using checkpoint::StoredTensor;
using checkpoint::TransformerCheckpoint;
using formats::kMxBlockSize;
using formats::ScaleGrid;
using formats::ScaleLayout;

// Rows that are decoded at a time.
constexpr int64_t kRowsPerPart = 256;

const uint8_t* bytes_of(const StoredTensor& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.view.data);
}

const StoredTensor* find(const Checkpoint& files, const std::string& name) {
  const auto found = files.tensors().find(name);
  return found == files.tensors().end() ? nullptr : &found->second;
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

struct RowCount {
  int64_t count = 0;
  int64_t first_row = -1;
};

// Adds what `count_row` finds in each row.
template <class CountRow>
RowCount count_rows(int64_t rows, const CountRow& count_row) {
  std::vector<int64_t> counts(static_cast<size_t>(rows));
  parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) counts[static_cast<size_t>(row)] = count_row(row);
  });
  RowCount result;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t count = counts[static_cast<size_t>(row)];
    if (count > 0 && result.count == 0) result.first_row = row;
    result.count += count;
  }
  return result;
}

void report(const RowCount& found, const std::string& name, const char* what, ValueScan& scan) {
  if (found.count == 0) return;
  scan.problems.push_back({.tensor = name,
                           .cause = what,
                           .detail = std::to_string(found.count) + " " + what +
                                     ", the first in row " + std::to_string(found.first_row)});
}

void scan_codes(const std::string& name, const StoredTensor& tensor, ValueScan& scan) {
  const int64_t rows = tensor.view.shape[0], k = tensor.view.shape[1];
  const uint8_t* codes = bytes_of(tensor);
  report(count_rows(rows,
                    [&](int64_t row) {
                      return std::count_if(codes + row * k, codes + (row + 1) * k,
                                           [](uint8_t code) { return (code & 0x7f) == 0x7f; });
                    }),
         name, "NaN codes", scan);
}

void scan_scales(const std::string& name, const StoredTensor& tensor, ValueScan& scan) {
  const int64_t rows = tensor.view.shape[0], columns = tensor.view.shape[1];
  const uint8_t* scales = bytes_of(tensor);
  const auto count = [&](uint8_t value) {
    return count_rows(rows, [&, value](int64_t row) {
      return std::count(scales + row * columns, scales + (row + 1) * columns, value);
    });
  };
  report(count(formats::kE8m0Nan), name, kNanScales, scan);
  scan.blocks += rows * columns;
  scan.zero_scale_blocks += count(0).count;
}

void scan_floats(const std::string& name, const StoredTensor& tensor, ValueScan& scan) {
  const int64_t rows = tensor.view.shape.rank() == 0 ? 1 : tensor.view.shape[0];
  if (tensor.view.count() == 0) return;
  const int64_t width = tensor.view.count() / rows;
  // The exponent's bits, all set for NaN and infinity.
  const bool is_f16 = tensor.view.dtype == DType::kF16;
  const uint32_t mask = is_f16 ? 0x7c00u : 0x7f80u;
  const int64_t size = dtype_size(tensor.view.dtype);
  const uint8_t* data = bytes_of(tensor);
  const auto count_row = [&](int64_t row) {
    int64_t bad = 0;
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      const uint8_t* high = data + i * size + size - 2;  // little endian
      const uint32_t bits = high[0] | static_cast<uint32_t>(high[1]) << 8;
      bad += (bits & mask) == mask;
    }
    return bad;
  };
  report(count_rows(rows, count_row), name, "NaN or infinite values", scan);
}

// Sums over one row.
struct RowSums {
  double signal = 0, noise = 0, dot = 0, other = 0;
  double largest = 0, largest_difference = 0;
  int64_t different = 0;

  void add(double original, double value) {
    const double difference = value - original;
    signal += original * original;
    other += value * value;
    dot += original * value;
    noise += difference * difference;
    largest = std::max(largest, std::abs(original));
    largest_difference = std::max(largest_difference, std::abs(difference));
    different += value != original;
  }
};

ValueDifference summarize(const std::vector<RowSums>& rows) {
  RowSums sum;
  for (const RowSums& row : rows) {
    sum.signal += row.signal;
    sum.noise += row.noise;
    sum.dot += row.dot;
    sum.other += row.other;
    sum.largest = std::max(sum.largest, row.largest);
    sum.largest_difference = std::max(sum.largest_difference, row.largest_difference);
    sum.different += row.different;
  }
  ValueDifference result;
  result.different = sum.different;
  result.sqnr_db = sum.noise == 0 ? std::numeric_limits<double>::infinity()
                                  : 10 * std::log10(sum.signal / sum.noise);
  const double norms = std::sqrt(sum.signal * sum.other);
  if (norms > 0) result.cosine = sum.dot / norms;
  if (sum.largest > 0) result.max_relative_error = sum.largest_difference / sum.largest;
  return result;
}

// Compares rows of `width` values; decode(row, values) gives those of the other side.
template <class Decode>
ValueDifference compare_rows(const StoredTensor& original, int64_t rows, int64_t width,
                             const Decode& decode) {
  std::vector<RowSums> sums(static_cast<size_t>(rows));
  const int64_t element = dtype_size(original.view.dtype);
  for (int64_t first = 0; first < rows; first += kRowsPerPart) {
    const int64_t count = std::min(kRowsPerPart, rows - first);
    const Tensor expected = to_f32({.data = original.view.data + first * width * element,
                                    .dtype = original.view.dtype,
                                    .shape = {count, width}});
    Tensor decoded(DType::kF32, {count, width});
    parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        float* values = decoded.f32() + row * width;
        decode(first + row, values);
        RowSums& sum = sums[static_cast<size_t>(first + row)];
        for (int64_t i = 0; i < width; ++i) sum.add(expected.f32()[row * width + i], values[i]);
      }
    });
  }
  return summarize(sums);
}

// Elements [n, k].
struct Codes {
  const uint8_t* bytes;
  formats::MxElement element;
};

ValueDifference compare_layer(const Codes& codes, const uint8_t* scales,
                              const StoredTensor& original) {
  const int64_t n = original.view.shape[0], k = original.view.shape[1];
  return compare_rows(original, n, k, [&](int64_t row, float* values) {
    for (int64_t i = 0; i < k; i += kMxBlockSize) {
      formats::dequantize_mx_block(
          std::span<const uint8_t, kMxBlockSize>(codes.bytes + row * k + i, kMxBlockSize),
          scales[(row * k + i) / kMxBlockSize], codes.element,
          std::span<float, kMxBlockSize>(values + i, 32));
    }
  });
}

// Scales [n, k/32] as if they were stored in `layout`; nullopt when their size does not allow it.
std::optional<std::vector<uint8_t>> read_scales(const StoredTensor& stored, const ScaleGrid& grid,
                                                ScaleLayout layout) {
  const int64_t count = grid.rows * grid.columns;
  const bool swizzled = layout == ScaleLayout::kSwizzled;
  const int64_t needed = swizzled ? grid.padded_rows() * grid.padded_columns() : count;
  if (stored.view.bytes() != needed) return std::nullopt;
  std::vector<uint8_t> scales(static_cast<size_t>(count));
  if (swizzled) {
    formats::unswizzle_scales(grid, bytes_of(stored), scales.data());
  } else {
    std::copy_n(bytes_of(stored), count, scales.data());
  }
  return scales;
}

// The hint that is worth most: the same bytes in the other order.
std::string swizzle_hint(const Codes& codes, const StoredTensor& scale, const ScaleGrid& grid,
                         ScaleLayout declared, const StoredTensor& original, double min_sqnr_db) {
  const bool swizzled = declared == ScaleLayout::kSwizzled;
  const auto other =
      read_scales(scale, grid, swizzled ? ScaleLayout::kRowMajor : ScaleLayout::kSwizzled);
  if (!other) return {};
  if (compare_layer(codes, other->data(), original).sqnr_db < min_sqnr_db) return {};
  return swizzled ? "; it would pass with row-major scales: they are declared swizzled and are not"
                  : "; it would pass with swizzled scales: they are swizzled and not declared so";
}

std::string decibels(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const auto tenths = static_cast<int64_t>(std::lround(value * 10));
  return std::string(tenths < 0 ? "-" : "") + std::to_string(std::abs(tenths) / 10) + "." +
         std::to_string(std::abs(tenths) % 10);
}

class Comparer {
 public:
  Comparer(const TransformerCheckpoint& quantized, const TransformerCheckpoint& original,
           double min_sqnr_db)
      : quantized_(quantized), original_(original), min_sqnr_db_(min_sqnr_db) {}

  Comparison run() {
    const std::set<std::string> companions(quantized_.quantization.companions.begin(),
                                           quantized_.quantization.companions.end());
    for (const auto& [name, tensor] : quantized_.checkpoint.tensors()) {
      if (is_scale(name) || companions.contains(name)) continue;
      const StoredTensor* original = find(original_.checkpoint, name);
      if (original == nullptr) {
        result_.problems.push_back({name, "not in the original", "not in the original"});
        continue;
      }
      compare(name, tensor, *original);
      tensor.release_pages();
      original->release_pages();
    }
    for (const auto& [name, tensor] : original_.checkpoint.tensors()) {
      if (find(quantized_.checkpoint, name) == nullptr) {
        result_.problems.push_back({name, "only in the original", "only in the original"});
      }
    }
    return std::move(result_);
  }

 private:
  bool is_scale(const std::string& name) const {
    constexpr std::string_view kScale = ".weight_scale";
    return name.ends_with(kScale) &&
           quantized_.quantization.layers.contains(name.substr(0, name.size() - kScale.size()));
  }

  void compare(const std::string& name, const StoredTensor& tensor, const StoredTensor& original) {
    if (!(tensor.view.shape == original.view.shape)) {
      result_.problems.push_back({name, "another shape than in the original",
                                  "expected shape " + original.view.shape.to_string() +
                                      " of the original, got " + tensor.view.shape.to_string()});
      return;
    }
    if (!is_float(original.view.dtype)) {
      const std::string detail = "the original is " + std::string(dtype_name(original.view.dtype)) +
                                 "; expected F32, F16 or BF16";
      result_.problems.push_back({name, detail, detail});
      return;
    }
    ValueDifference difference = is_float(tensor.view.dtype)
                                     ? compare_floats(tensor, original)
                                     : compare_quantized(name, tensor, original);
    difference.name = name;
    result_.tensors.push_back(std::move(difference));
  }

  static ValueDifference compare_floats(const StoredTensor& tensor, const StoredTensor& original) {
    const int64_t count = tensor.view.count();
    const int64_t rows = tensor.view.shape.rank() < 2 ? 1 : tensor.view.shape[0];
    const int64_t width = count / std::max<int64_t>(1, rows);
    const int64_t element = dtype_size(tensor.view.dtype);
    ValueDifference result =
        compare_rows(original, count == 0 ? 0 : rows, width, [&](int64_t row, float* values) {
          convert_to_f32({.data = tensor.view.data + row * width * element,
                          .dtype = tensor.view.dtype,
                          .shape = {width}},
                         values);
        });
    if (result.different > 0) {
      result.cause = "values that differ from the original";
      result.problem = std::to_string(result.different) + " of " + std::to_string(count) +
                       " values differ from the original; expected all equal";
    }
    return result;
  }

  std::optional<formats::MxElement> element_of(const std::string& weight) const {
    const auto& layers = quantized_.quantization.layers;
    const auto layer = layers.find(weight.substr(0, weight.rfind('.')));
    return layer == layers.end() ? std::nullopt : layer->second.element;
  }

  ValueDifference compare_quantized(const std::string& name, const StoredTensor& tensor,
                                    const StoredTensor& original) const {
    const StoredTensor* scale = find(quantized_.checkpoint, name + "_scale");
    const ScaleLayout layout = quantized_.quantization.scale_layout;
    const int64_t n = original.view.shape[0];
    const int64_t k = original.view.shape.rank() == 2 ? original.view.shape[1] : 0;
    const ScaleGrid grid{.rows = n, .columns = k / kMxBlockSize};
    const auto scales = scale == nullptr || k == 0 || k % kMxBlockSize != 0
                            ? std::nullopt
                            : read_scales(*scale, grid, layout);
    ValueDifference result;
    result.quantized = true;
    if (!scales) {
      result.problem = result.cause = "no scales of the right size";
      return result;
    }
    const std::optional<formats::MxElement> element = element_of(name);
    if (!element) {
      result.problem = result.cause = "neither MXFP8 nor MXINT8";
      return result;
    }
    const Codes codes{.bytes = bytes_of(tensor), .element = *element};
    result = compare_layer(codes, scales->data(), original);
    result.quantized = true;
    if (!(result.sqnr_db >= min_sqnr_db_)) {
      const std::string hint = swizzle_hint(codes, *scale, grid, layout, original, min_sqnr_db_);
      result.cause = "SQNR below " + decibels(min_sqnr_db_) + " dB" + hint;
      result.problem = "SQNR " + decibels(result.sqnr_db) + " dB; expected at least " +
                       decibels(min_sqnr_db_) + " dB" + hint;
    }
    return result;
  }

  const TransformerCheckpoint& quantized_;
  const TransformerCheckpoint& original_;
  double min_sqnr_db_;
  Comparison result_;
};

}  // namespace

std::vector<std::string> lines_of(const std::vector<TensorProblem>& problems) {
  constexpr size_t kNames = 3;
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const TensorProblem& first : problems) {
    if (!seen.insert(first.cause).second) continue;
    std::vector<std::string> others;
    for (const TensorProblem& problem : problems) {
      if (problem.cause == first.cause && &problem != &first) {
        others.push_back(printable(problem.tensor));
      }
    }
    const std::string name = printable(first.tensor);
    if (others.empty()) {
      lines.push_back(name + ": " + first.detail);
      continue;
    }
    const std::string detail = first.detail == first.cause ? "" : " (" + first.detail + ")";
    lines.push_back(first.cause + " in " + std::to_string(others.size() + 1) + " tensors: " + name +
                    detail + ", " + name_list(others, kNames));
  }
  return lines;
}

ValueScan scan_values(const TransformerCheckpoint& opened) {
  ValueScan scan;
  std::set<std::string> scales;
  for (const auto& [layer, kind] : opened.quantization.layers) {
    if (kind.element) scales.insert(layer + ".weight_scale");
  }
  for (const auto& [name, tensor] : opened.checkpoint.tensors()) {
    ++scan.tensors;
    if (scales.contains(name) && tensor.view.shape.rank() == 2) {
      scan_scales(name, tensor, scan);
    } else if (tensor.view.dtype == DType::kF8E4M3 && tensor.view.shape.rank() == 2) {
      scan_codes(name, tensor, scan);
    } else if (is_float(tensor.view.dtype)) {
      scan_floats(name, tensor, scan);
    }
    tensor.release_pages();
  }
  return scan;
}

Comparison compare_values(const TransformerCheckpoint& quantized,
                          const TransformerCheckpoint& original, double min_sqnr_db) {
  return Comparer(quantized, original, min_sqnr_db).run();
}

}  // namespace mxvideo::audit
