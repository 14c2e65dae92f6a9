#include "checkpoint/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <future>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/background_job.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/safetensors.h"

namespace mxvideo::checkpoint {
namespace {

// Rank of each dtype in the order in which the Python library writes them.
constexpr std::array kFileOrder = {
    DType::kU64,    DType::kI64, DType::kF64, DType::kF32,  DType::kU32,    DType::kI32,
    DType::kBF16,   DType::kF16, DType::kU16, DType::kI16,  DType::kF8E8M0, DType::kF8E4M3,
    DType::kF8E5M2, DType::kI8,  DType::kU8,  DType::kBool,
};

constexpr int64_t kBytesForAThread = 1 << 20;  // the hash of as many is worth one

ptrdiff_t file_rank(DType dtype) {
  return std::find(kFileOrder.begin(), kFileOrder.end(), dtype) - kFileOrder.begin();
}

// The first bytes of the file, up to the data.
std::string build_head(std::span<const TensorSpec> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const std::string& origin) {
  // Keys in the order of the data, so that a header can be read from top to bottom.
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  // push_back appends without the linear search for an equal key that operator[] would do.
  auto& items = root.get_ref<nlohmann::ordered_json::object_t&>();
  if (!metadata.empty()) items.push_back({"__metadata__", metadata});
  int64_t position = 0;
  for (const TensorSpec& tensor : tensors) {
    const int64_t end = checked_add(position, tensor.bytes(), "safetensors data");
    const std::span<const int64_t> dims = tensor.shape.dims();
    nlohmann::ordered_json entry;
    entry["dtype"] = dtype_name(tensor.dtype);
    entry["shape"] = std::vector<int64_t>(dims.begin(), dims.end());
    entry["data_offsets"] = {position, end};
    items.push_back({tensor.name, std::move(entry)});
    position = end;
  }
  std::string header = root.dump();
  header.resize(static_cast<size_t>(round_up(static_cast<int64_t>(header.size()), 8)), ' ');
  // What this library writes, it can read.
  parse_safetensors_header(header, static_cast<uint64_t>(position), origin);
  std::string head;
  for (size_t i = 0; i < 8; ++i) head += static_cast<char>(header.size() >> (8 * i));
  return head + header;
}

std::string checked_head(std::span<const TensorSpec> tensors,
                         const std::map<std::string, std::string>& metadata,
                         const std::string& origin) {
  try {
    return build_head(tensors, metadata, origin);
  } catch (const nlohmann::json::exception& error) {
    throw Error(Code::kInvalidArgument,
                origin + ": cannot write header: " + printable(error.what()));
  } catch (const Error& error) {
    throw Error(Code::kInvalidArgument, "cannot write " + std::string(error.what()));
  }
}

std::vector<TensorSpec> specs_of(std::span<const NamedTensor> tensors) {
  std::vector<TensorSpec> specs;
  for (const NamedTensor& tensor : tensors) {
    specs.push_back({tensor.name, tensor.view.dtype, tensor.view.shape});
  }
  return specs;
}

void write_all(SafetensorsWriter& writer, std::span<const NamedTensor> tensors) {
  std::map<std::string_view, TensorView> views;
  for (const NamedTensor& tensor : tensors) views.emplace(tensor.name, tensor.view);
  for (const TensorSpec& spec : writer.tensors()) {
    const TensorView& view = views.at(spec.name);
    writer.write(spec.name, 0, std::span(view.data, static_cast<size_t>(view.bytes())));
  }
  writer.commit();
}

}  // namespace

int64_t TensorSpec::bytes() const {
  return checked_mul(shape.count(), dtype_size(dtype), "bytes of a tensor");
}

struct SafetensorsWriter::Layout {
  std::string head;
  std::vector<TensorSpec> tensors;  // in the order of the file
  int64_t file_bytes = 0;
};

SafetensorsWriter::Layout SafetensorsWriter::make_layout(
    const std::string& origin, std::vector<TensorSpec> tensors,
    const std::map<std::string, std::string>& metadata) {
  for (const TensorSpec& tensor : tensors) {
    if (tensor.name == "__metadata__") {
      throw Error(Code::kInvalidArgument, origin + ": a tensor is named __metadata__");
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    const ptrdiff_t rank_a = file_rank(a.dtype);
    const ptrdiff_t rank_b = file_rank(b.dtype);
    return rank_a != rank_b ? rank_a < rank_b : a.name < b.name;
  });
  Layout layout;
  layout.head = checked_head(tensors, metadata, origin);
  layout.tensors = std::move(tensors);
  layout.file_bytes = static_cast<int64_t>(layout.head.size());
  for (const TensorSpec& tensor : layout.tensors) {
    layout.file_bytes = checked_add(layout.file_bytes, tensor.bytes(), "safetensors file");
  }
  return layout;
}

// The layout is checked before the file is made.
SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<TensorSpec> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : SafetensorsWriter(path, make_layout(path.string(), std::move(tensors), metadata)) {}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, Layout layout)
    : owned_(std::make_unique<AtomicFile>(path)), file_(*owned_) {
  begin(std::move(layout));
}

SafetensorsWriter::SafetensorsWriter(AtomicFile& file, std::vector<TensorSpec> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : file_(file) {
  begin(make_layout(file.path().string(), std::move(tensors), metadata));
}

void SafetensorsWriter::begin(Layout layout) {
  tensors_ = std::move(layout.tensors);
  file_bytes_ = layout.file_bytes;
  int64_t position = static_cast<int64_t>(layout.head.size());
  for (const TensorSpec& tensor : tensors_) {
    Range& range = ranges_[tensor.name];
    range.begin = position;
    range.bytes = tensor.bytes();
    position += range.bytes;
  }
  file_.allocate(file_bytes_);
  file_.write(layout.head);
  head_ = std::move(layout.head);
}

void SafetensorsWriter::write(const std::string& tensor, int64_t offset,
                              std::span<const std::byte> bytes) {
  const auto found = ranges_.find(tensor);
  check(found != ranges_.end(), "tensor '" + printable(tensor) + "' belongs to the file");
  Range& range = found->second;
  const auto size = static_cast<int64_t>(bytes.size());
  check(offset >= 0 && offset <= range.bytes && size <= range.bytes - offset,
        "bytes lie inside of tensor '" + printable(tensor) + "'");
  std::unique_lock lock(hash_mutex_);
  std::future<void> hashing;
  if (hash_ && range.begin + offset == hashed_bytes_) {
    hashed_bytes_ += size;
    const auto hash = [&] { hash_->update(bytes); };
    hashing = size < kBytesForAThread ? std::async(std::launch::deferred, hash) : start_job(hash);
  } else {
    lock.unlock();
  }
  file_.write_at(range.begin + offset, bytes);
  range.written.fetch_add(size, std::memory_order_relaxed);
  if (hashing.valid()) hashing.get();
}

void SafetensorsWriter::enable_hash() {
  hash_.emplace();
  hash_->update(std::as_bytes(std::span(head_)));
  hashed_bytes_ = static_cast<int64_t>(head_.size());
}

std::string SafetensorsWriter::commit() {
  for (const TensorSpec& tensor : tensors_) {
    const Range& range = ranges_.at(tensor.name);
    if (range.written == range.bytes) continue;
    throw Error(Code::kInternal, file_.path().string() + ": tensor '" + printable(tensor.name) +
                                     "': expected " + std::to_string(range.bytes) + " bytes, got " +
                                     std::to_string(range.written));
  }
  if (hash_) hash_->update_from_file(file_.temporary_path(), hashed_bytes_);
  file_.commit();
  return hash_ ? hash_->hex_digest() : "";
}

int64_t safetensors_file_bytes(std::vector<TensorSpec> tensors,
                               const std::map<std::string, std::string>& metadata) {
  return SafetensorsWriter::make_layout("safetensors file", std::move(tensors), metadata)
      .file_bytes;
}

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  SafetensorsWriter writer(path, specs_of(tensors), metadata);
  write_all(writer, tensors);
}

void write_safetensors(AtomicFile& file, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  SafetensorsWriter writer(file, specs_of(tensors), metadata);
  write_all(writer, tensors);
}

}  // namespace mxvideo::checkpoint
