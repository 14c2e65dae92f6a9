#include "convert/shard_writer.h"

#include <algorithm>
#include <array>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/background_job.h"
#include "base/checked.h"
#include "base/error.h"
#include "checkpoint/safetensors.h"
#include "convert/quantization/row_quantizer.h"
#include "convert/read_ahead.h"

namespace mxvideo::convert {
namespace {

using checkpoint::SafetensorsWriter;
using checkpoint::StoredTensor;
using formats::kMxBlockSize;

constexpr int64_t kPieceBytes = 16 << 20;  // read and written at a time

// Part of a stored tensor: whole rows of it, or bytes of a flat one.
TensorView rows_of(const TensorView& view, int64_t first, int64_t count) {
  const int64_t k = view.shape[1];
  return {.data = view.data + first * k * dtype_size(view.dtype),
          .dtype = view.dtype,
          .shape = {count, k}};
}

TensorView bytes_of(const TensorView& view, int64_t first, int64_t count) {
  return {.data = view.data + first, .dtype = DType::kU8, .shape = {count}};
}

// E4M3 codes 0x7f and 0xff. `part` is the part of the tensor from `first` on.
void check_no_nan_codes(const CopiedTensor& tensor, const TensorView& part, int64_t first) {
  if (tensor.target.dtype != DType::kF8E4M3) return;
  const std::span codes(reinterpret_cast<const uint8_t*>(part.data),
                        static_cast<size_t>(part.bytes()));
  uint8_t largest = 0;  // no early end, so that the compiler uses vectors
  for (const uint8_t code : codes) largest = std::max<uint8_t>(largest, code & 0x7f);
  if (largest < 0x7f) return;
  const auto bad = std::ranges::find(codes, 0x7f, [](uint8_t code) { return code & 0x7f; });
  const int64_t element = first + (bad - codes.begin());
  const std::span<const int64_t> dims = tensor.target.shape.dims();
  throw Error(Code::kCorruptFile, tensor.source.file->path().string() + ": tensor " +
                                      tensor.target.name + ": row " +
                                      std::to_string(element / dims.back()) +
                                      " holds NaN codes; expected finite values");
}

// What a task reads; null for one that reads nothing.
const StoredTensor* source_of(const TensorTask& task) {
  return std::visit(
      [](const auto& tensor) -> const StoredTensor* {
        if constexpr (requires { tensor.source; }) {
          return &tensor.source;
        } else {
          return nullptr;
        }
      },
      task);
}

// One job in the background at a time; what it throws comes out of the next call.
class BackgroundJob {
 public:
  BackgroundJob() = default;
  ~BackgroundJob() {
    if (running_.valid()) running_.wait();
  }
  BackgroundJob(const BackgroundJob&) = delete;
  BackgroundJob& operator=(const BackgroundJob&) = delete;

  void start(std::function<void()> job) {
    wait();
    running_ = start_job(std::move(job));
  }
  void wait() {
    if (running_.valid()) running_.get();
  }

 private:
  std::future<void> running_;
};

class ShardWriter {
 public:
  ShardWriter(const std::filesystem::path& path, const ShardPlan& shard,
              const ComponentPlan& component, const ConvertHooks& hooks)
      : writer_(path, shard.tensors, component.metadata), mx_(component.mx), hooks_(hooks) {
    writer_.enable_hash();
  }

  // Every task once, in the order of the file.
  void write(const std::vector<const TensorTask*>& tasks, const std::function<void()>& task_done) {
    std::vector<const StoredTensor*> sources;
    for (const TensorTask* task : tasks) {
      if (const StoredTensor* source = source_of(*task)) sources.push_back(source);
    }
    reading_.emplace(sources);
    for (const TensorTask* task : tasks) {
      std::visit([&](const auto& tensor) { write_tensor(tensor); }, *task);
      task_done();
    }
  }

  // In the order of the file.
  const std::vector<checkpoint::TensorSpec>& tensors() const { return writer_.tensors(); }

  // The hash of the file.
  std::string commit() {
    writing_.wait();
    return writer_.commit();
  }

  // By layer.
  std::map<std::string, LayerReport>& reports() { return reports_; }

 private:
  void write_tensor(const CopiedTensor& tensor) {
    const int64_t total = tensor.source.view.bytes();
    for (int64_t first = 0; first < total; first += kPieceBytes) {
      hooks_.throw_if_cancelled();
      const TensorView part =
          bytes_of(tensor.source.view, first, std::min(kPieceBytes, total - first));
      reading_->next(part.bytes());
      check_no_nan_codes(tensor, part, first);
      writing_.start([this, &tensor, part, first] {
        writer_.write(tensor.target.name, first, {part.data, static_cast<size_t>(part.bytes())});
        tensor.source.file->release_pages(part);
      });
    }
  }

  void write_tensor(const RelaidScales& tensor) {
    reading_->next(tensor.source.view.bytes());
    const formats::ScaleGrid& grid = tensor.grid;
    const auto* source = reinterpret_cast<const uint8_t*>(tensor.source.view.data);
    std::vector<uint8_t> row_major(static_cast<size_t>(grid.rows * grid.columns));
    if (tensor.from == formats::ScaleLayout::kSwizzled) {
      formats::unswizzle_scales(grid, source, row_major.data());
    } else {
      std::copy_n(source, row_major.size(), row_major.begin());
    }
    write_scales(tensor.target, grid, tensor.to, row_major);
    tensor.source.release_pages();
  }

  void write_tensor(const WidenedTensor& tensor) {
    reading_->next(tensor.source.view.bytes());
    const Tensor values = to_f32(tensor.source.view);
    write_now(tensor.target.name, values.data(), values.bytes());
    tensor.source.release_pages();
  }

  void write_tensor(const LiteralTensor& tensor) {
    write_now(tensor.target.name, tensor.bytes.data(), static_cast<int64_t>(tensor.bytes.size()));
  }

  void write_tensor(const QuantizedTensor& tensor) {
    const TensorView& view = tensor.source.view;
    const formats::ScaleGrid grid{.rows = view.shape[0], .columns = view.shape[1] / kMxBlockSize};
    const int64_t k = view.shape[1];
    const int64_t chunk = std::max(int64_t{1}, kPieceBytes / (k * dtype_size(view.dtype)));
    std::vector<uint8_t> scales(static_cast<size_t>(grid.rows * grid.columns));
    LayerReport report;
    report.layer = tensor.layer;
    for (int64_t first = 0; first < grid.rows; first += chunk) {
      hooks_.throw_if_cancelled();
      const int64_t count = std::min(chunk, grid.rows - first);
      const TensorView stored = rows_of(view, first, count);
      reading_->next(stored.bytes());
      uint8_t* const codes = reserve(codes_[next_codes_], count * k);
      quantize_and_measure({stored, codes, scales.data() + first * grid.columns}, mx_, report);
      tensor.source.file->release_pages(stored);
      writing_.start([this, &tensor, codes, first, count, k] {
        writer_.write(tensor.weight.name, first * k,
                      {reinterpret_cast<const std::byte*>(codes), static_cast<size_t>(count * k)});
      });
      next_codes_ = 1 - next_codes_;
    }
    write_scales(tensor.scales, grid, tensor.to, scales);
    tensor.source.release_pages();
    reports_.emplace(tensor.layer, std::move(report));
  }

  void write_scales(const checkpoint::TensorSpec& target, const formats::ScaleGrid& grid,
                    formats::ScaleLayout layout, const std::vector<uint8_t>& row_major) {
    if (layout == formats::ScaleLayout::kRowMajor) {
      write_now(target.name, row_major.data(), target.bytes());
      return;
    }
    std::vector<uint8_t> swizzled(static_cast<size_t>(target.bytes()));
    formats::swizzle_scales(grid, row_major.data(), swizzled.data());
    write_now(target.name, swizzled.data(), target.bytes());
  }

  void write_now(const std::string& name, const void* bytes, int64_t count) {
    writer_.write(name, 0, {static_cast<const std::byte*>(bytes), static_cast<size_t>(count)});
  }

  template <class T>
  static T* reserve(std::vector<T>& buffer, int64_t count) {
    if (buffer.size() < static_cast<size_t>(count)) buffer.resize(static_cast<size_t>(count));
    return buffer.data();
  }

  SafetensorsWriter writer_;
  const formats::MxOptions& mx_;
  const ConvertHooks& hooks_;
  std::array<std::vector<uint8_t>, 2> codes_;  // one is written while the other is filled
  size_t next_codes_ = 0;
  std::map<std::string, LayerReport> reports_;
  std::optional<ReadAhead> reading_;
  BackgroundJob writing_;  // last: its job uses what is above
};

nlohmann::ordered_json shard_note(const std::vector<LayerReport>& reports) {
  nlohmann::ordered_json note = nlohmann::ordered_json::array();
  for (const LayerReport& report : reports) note.push_back(to_json(report));
  return note;
}

std::vector<LayerReport> reports_of_note(const nlohmann::ordered_json& note,
                                         const std::string& origin) {
  std::vector<LayerReport> reports;
  for (const auto& entry : note) reports.push_back(layer_report_from_json(entry, origin));
  return reports;
}

// The tensor whose place in the file a task writes to first.
const std::string& first_target(const TensorTask& task) {
  return std::visit(
      [](const auto& tensor) -> const std::string& {
        if constexpr (requires { tensor.weight; }) {
          return tensor.weight.name;
        } else {
          return tensor.target.name;
        }
      },
      task);
}

// So that the disk and the hash see the file from its start to its end, but for the scales.
std::vector<const TensorTask*> in_file_order(const ShardPlan& shard,
                                             const std::vector<checkpoint::TensorSpec>& file) {
  std::map<std::string_view, size_t> position;
  for (size_t i = 0; i < file.size(); ++i) position.emplace(file[i].name, i);
  std::vector<std::pair<size_t, const TensorTask*>> tasks;
  for (const OutputLayer* layer : shard.layers) {
    for (const TensorTask& task : layer->tasks) {
      tasks.emplace_back(position.at(first_target(task)), &task);
    }
  }
  std::ranges::sort(tasks, {}, &std::pair<size_t, const TensorTask*>::first);
  std::vector<const TensorTask*> ordered;
  ordered.reserve(tasks.size());
  for (const auto& [place, task] : tasks) ordered.push_back(task);
  return ordered;
}

// Reports of the layers of one shard, written now or by an earlier run.
std::vector<LayerReport> write_shard(const ComponentPlan& component, const ShardPlan& shard,
                                     OutputDirectory& output, const ConvertHooks& hooks,
                                     const std::function<void()>& task_done) {
  if (const std::optional<FileRecord> record = output.reusable(shard.file)) {
    hooks.note("reusing " + shard.file.string() + " of an earlier run");
    for (const OutputLayer* layer : shard.layers) {
      for (size_t i = 0; i < layer->tasks.size(); ++i) task_done();
    }
    return reports_of_note(record->note, shard.file.string());
  }
  ShardWriter writer(output.path_of(shard.file), shard, component, hooks);
  writer.write(in_file_order(shard, writer.tensors()), task_done);
  std::string sha256 = writer.commit();
  std::vector<LayerReport> reports;
  for (const OutputLayer* layer : shard.layers) {
    const auto found = writer.reports().find(layer->name);
    if (found != writer.reports().end()) reports.push_back(std::move(found->second));
  }
  output.finished(shard.file, shard_note(reports), std::move(sha256));
  return reports;
}

}  // namespace

std::vector<LayerReport> write_component(const ComponentPlan& component,
                                         const std::vector<ShardPlan>& shards,
                                         OutputDirectory& output, const ConvertHooks& hooks) {
  const std::string phase =
      "write " + (component.folder.empty() ? component.stem : component.folder.string());
  int64_t total = 0, done = 0;
  for (const OutputLayer& layer : component.layers) {
    total += static_cast<int64_t>(layer.tasks.size());
  }
  const auto task_done = [&] {
    hooks.throw_if_cancelled();
    ++done;
    if (hooks.progress) hooks.progress(phase, done, total);
  };
  if (hooks.progress) hooks.progress(phase, 0, total);
  std::vector<LayerReport> reports;
  for (const ShardPlan& shard : shards) {
    std::vector<LayerReport> part = write_shard(component, shard, output, hooks, task_done);
    std::move(part.begin(), part.end(), std::back_inserter(reports));
  }
  for (const auto& [name, text] : component.texts) {
    output.write_text(component.folder / name, text);
  }
  const std::string index = shard_index_text(shards);
  if (!index.empty()) output.write_text(shard_index_file(component), index);
  return reports;
}

}  // namespace mxvideo::convert
