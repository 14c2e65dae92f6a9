#include "checkpoint/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/atomic_file.h"
#include "base/checked.h"
#include "base/error.h"
#include "checkpoint/quote.h"
#include "checkpoint/safetensors.h"

namespace mxvideo::checkpoint {
namespace {

// Rank of each dtype in the order in which the Python library writes them.
constexpr std::array kFileOrder = {
    DType::kU64,    DType::kI64, DType::kF64, DType::kF32,  DType::kU32,    DType::kI32,
    DType::kBF16,   DType::kF16, DType::kU16, DType::kI16,  DType::kF8E8M0, DType::kF8E4M3,
    DType::kF8E5M2, DType::kI8,  DType::kU8,  DType::kBool,
};

ptrdiff_t file_rank(DType dtype) {
  return std::find(kFileOrder.begin(), kFileOrder.end(), dtype) - kFileOrder.begin();
}

std::string build_header(std::span<const NamedTensor* const> tensors,
                         const std::map<std::string, std::string>& metadata, int64_t* data_bytes) {
  // Keys in the order of the data, so that a header can be read from top to bottom.
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  // push_back appends without the linear search for an equal key that operator[] would do.
  auto& items = root.get_ref<nlohmann::ordered_json::object_t&>();
  if (!metadata.empty()) items.push_back({"__metadata__", metadata});
  int64_t position = 0;
  for (const NamedTensor* tensor : tensors) {
    const int64_t end = checked_add(position, tensor->view.bytes(), "safetensors data");
    const std::span<const int64_t> dims = tensor->view.shape.dims();
    nlohmann::ordered_json entry;
    entry["dtype"] = dtype_name(tensor->view.dtype);
    entry["shape"] = std::vector<int64_t>(dims.begin(), dims.end());
    entry["data_offsets"] = {position, end};
    items.push_back({tensor->name, std::move(entry)});
    position = end;
  }
  *data_bytes = position;
  std::string text = root.dump();
  text.resize(static_cast<size_t>(round_up(static_cast<int64_t>(text.size()), 8)), ' ');
  return text;
}

// The header, checked by the reader: what this library writes, it can read.
std::string checked_header(const std::filesystem::path& path,
                           std::span<const NamedTensor* const> tensors,
                           const std::map<std::string, std::string>& metadata) {
  try {
    int64_t data_bytes = 0;
    std::string text = build_header(tensors, metadata, &data_bytes);
    parse_safetensors_header(text, static_cast<uint64_t>(data_bytes), path.string());
    return text;
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::kInvalidArgument,
                path.string() + ": cannot write header: " + printable(error.what()));
  } catch (const Error& error) {
    throw Error(Code::kInvalidArgument, "cannot write " + std::string(error.what()));
  }
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const NamedTensor*> sorted;
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == "__metadata__") {
      throw Error(Code::kInvalidArgument, path.string() + ": a tensor is named __metadata__");
    }
    sorted.push_back(&tensor);
  }
  std::sort(sorted.begin(), sorted.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const ptrdiff_t rank_a = file_rank(a->view.dtype);
    const ptrdiff_t rank_b = file_rank(b->view.dtype);
    return rank_a != rank_b ? rank_a < rank_b : a->name < b->name;
  });
  const std::string header = checked_header(path, sorted, metadata);

  AtomicFile file(path);
  std::array<std::byte, 8> length{};
  for (size_t i = 0; i < length.size(); ++i) {
    length[i] = static_cast<std::byte>(header.size() >> (8 * i));
  }
  file.write(length);
  file.write(header);
  for (const NamedTensor* tensor : sorted) {
    file.write(std::span(tensor->view.data, static_cast<size_t>(tensor->view.bytes())));
  }
  file.commit();
}

}  // namespace mxvideo::checkpoint
