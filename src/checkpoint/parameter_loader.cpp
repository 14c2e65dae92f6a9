#include "checkpoint/parameter_loader.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/text/quote.h"
#include "checkpoint/wan/model_family.h"
#include "formats/e8m0.h"

namespace mxvideo::checkpoint {
namespace {

constexpr std::array kFloatTypes = {DType::kF32, DType::kF16, DType::kBF16};

std::span<const DType> allowed_dtypes(const ParameterSpec& spec) {
  if (spec.dtypes.empty()) return kFloatTypes;
  return spec.dtypes;
}

std::string dtype_list(std::span<const DType> dtypes) {
  std::string text;
  for (size_t i = 0; i < dtypes.size(); ++i) {
    if (i > 0) text += i + 1 == dtypes.size() ? " or " : ", ";
    text += dtype_name(dtypes[i]);
  }
  return text;
}

// Names with what is wrong with them, those alike together: "a, b (expected F32, got F64)".
class AnnotatedNames {
 public:
  void add(const std::string& name, const std::string& annotation) {
    ++count_;
    auto group = std::ranges::find(groups_, annotation, &Group::annotation);
    if (group == groups_.end()) group = groups_.insert(group, {annotation, {}});
    group->names.push_back(name);
  }
  size_t count() const { return count_; }
  std::string text() const {
    constexpr size_t kMostGroups = 12;
    std::string text;
    size_t shown = 0;
    for (const Group& group : std::span(groups_).first(std::min(kMostGroups, groups_.size()))) {
      text += (text.empty() ? "" : ", ") + name_list(group.names) + " (" + group.annotation + ")";
      shown += group.names.size();
    }
    if (shown < count_) text += ", … and " + std::to_string(count_ - shown) + " more";
    return text;
  }

 private:
  struct Group {
    std::string annotation;
    std::vector<std::string> names;
  };
  std::vector<Group> groups_;
  size_t count_ = 0;
};

// Everything wrong with a checkpoint, by kind.
struct Problems {
  std::vector<std::string> missing, unexpected, contents;
  AnnotatedNames dtypes, shapes;

  bool any() const { return !message().empty(); }

  std::string message() const {
    std::string text;
    const auto append = [&](const char* kind, size_t count, const std::string& names) {
      if (count == 0) return;
      if (!text.empty()) text += "; ";
      text += std::to_string(count) + " " + kind + ": " + names;
    };
    append("missing", missing.size(), name_list(missing));
    append("unexpected", unexpected.size(), name_list(unexpected));
    append("of wrong dtype", dtypes.count(), dtypes.text());
    append("of wrong shape", shapes.count(), shapes.text());
    append("with NaN scales", contents.size(), name_list(contents));
    return text;
  }

  void compare(const ParameterSpec& spec, const StoredTensor& tensor) {
    const TensorView& view = tensor.view;
    const std::span<const DType> allowed = allowed_dtypes(spec);
    if (std::find(allowed.begin(), allowed.end(), view.dtype) == allowed.end()) {
      dtypes.add(spec.name, "expected " + dtype_list(allowed) + ", got " +
                                std::string(dtype_name(view.dtype)));
    }
    if (!(view.shape == spec.shape)) {
      shapes.add(spec.name,
                 "expected " + spec.shape.to_string() + ", got " + view.shape.to_string());
    }
    if (spec.content == Content::kE8m0Scales) compare_scales(spec, tensor);
  }

  void compare_scales(const ParameterSpec& spec, const StoredTensor& tensor) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.view.data);
    const int64_t nans = std::count(bytes, bytes + tensor.view.bytes(), formats::kE8m0Nan);
    tensor.release_pages();
    if (nans == 0) return;
    contents.push_back(spec.name + " (" + std::to_string(nans) + " of " +
                       std::to_string(tensor.view.bytes()) + " bytes are 0xFF)");
  }
};

}  // namespace

// A group, its tensors, and where the first of its bytes lies.
struct ParameterLoader::ReadyGroup {
  const Group* group = nullptr;
  std::vector<StoredTensor> tensors;
  std::pair<size_t, const std::byte*> position;  // file, first byte of the group in it
};

void ParameterLoader::declare(Group group) {
  for (const ParameterSpec& spec : group.specs) {
    check(names_.insert(spec.name).second, "parameter '" + spec.name + "' is declared once");
  }
  groups_.push_back(std::move(group));
}

void ParameterLoader::add_group(std::vector<ParameterSpec> specs, GroupCallback on_loaded) {
  check(on_loaded != nullptr && !specs.empty(), "a group has tensors and a callback");
  declare({.specs = std::move(specs), .on_loaded = std::move(on_loaded)});
}

void ParameterLoader::add_f32(const std::string& name, const Shape& shape, Tensor* destination) {
  add_group({{.name = name, .shape = shape, .dtypes = {}}},
            [destination](std::span<const StoredTensor> tensors, kernels::Context& context) {
              *destination = to_f32(tensors[0].view, context.device());
            });
}

void ParameterLoader::add_unused(std::vector<ParameterSpec> specs) {
  declare({.specs = std::move(specs), .on_loaded = nullptr});
}

void ParameterLoader::ignore(const std::string& name) { ignored_.insert(name); }

std::vector<ParameterSpec> ParameterLoader::declared() const {
  std::vector<ParameterSpec> specs;
  for (const Group& group : groups_) {
    specs.insert(specs.end(), group.specs.begin(), group.specs.end());
  }
  return specs;
}

void ParameterLoader::check_key_set(const Checkpoint& checkpoint) const {
  Problems problems;
  for (const Group& group : groups_) {
    for (const ParameterSpec& spec : group.specs) {
      const auto found = checkpoint.tensors().find(spec.name);
      if (found == checkpoint.tensors().end()) {
        problems.missing.push_back(spec.name);
      } else {
        problems.compare(spec, found->second);
      }
    }
  }
  for (const auto& [name, tensor] : checkpoint.tensors()) {
    if (names_.count(name) == 0 && ignored_.count(name) == 0) {
      problems.unexpected.push_back(name);
    }
  }
  if (problems.any()) {
    refuse_misfit(checkpoint, "tensors do not fit the model: " + problems.message(),
                  problems.shapes.count() > 0);
  }
}

std::vector<ParameterLoader::ReadyGroup> ParameterLoader::in_file_order(
    const Checkpoint& checkpoint) const {
  std::vector<ReadyGroup> ready;
  for (const Group& group : groups_) {
    if (!group.on_loaded) continue;
    ReadyGroup& entry =
        ready.emplace_back(ReadyGroup{.group = &group, .tensors = {}, .position = {}});
    entry.position.first = std::numeric_limits<size_t>::max();
    for (const ParameterSpec& spec : group.specs) {
      const StoredTensor& tensor = checkpoint.tensors().find(spec.name)->second;
      entry.tensors.push_back(tensor);
      entry.position =
          std::min(entry.position, std::pair(checkpoint.file_index(tensor), tensor.view.data));
    }
  }
  std::stable_sort(ready.begin(), ready.end(), [](const ReadyGroup& a, const ReadyGroup& b) {
    return a.position < b.position;
  });
  return ready;
}

int64_t ParameterLoader::load_group(const ReadyGroup& entry, kernels::Context& context) {
  const kernels::Layers layers(context, "loading");
  entry.group->on_loaded(entry.tensors, context);
  context.device().synchronize();
  int64_t stored = 0;
  for (const StoredTensor& tensor : entry.tensors) stored += tensor.view.bytes();
  return stored;
}

LoadReport ParameterLoader::load(const Checkpoint& checkpoint, kernels::Context& context) {
  check_key_set(checkpoint);
  LoadReport report;
  for (const ReadyGroup& entry : in_file_order(checkpoint)) {
    report.checkpoint_bytes += load_group(entry, context);
    report.tensors += static_cast<int64_t>(entry.tensors.size());
    for (const StoredTensor& tensor : entry.tensors) tensor.release_pages();
  }
  checkpoint.check_unchanged();
  return report;
}

LoadReport ParameterLoader::load(const Checkpoint& checkpoint) {
  kernels::Context context;
  return load(checkpoint, context);
}

LoadPlan ParameterLoader::load_dry(const Checkpoint& checkpoint, kernels::Context& dry) {
  check_key_set(checkpoint);
  const int64_t before = dry.device().allocated_bytes();
  LoadPlan plan;
  for (const ReadyGroup& entry : in_file_order(checkpoint)) {
    dry.device().reset_peak_allocated_bytes();
    const int64_t stored = load_group(entry, dry);
    plan.checkpoint_bytes += stored;
    plan.peak = std::max(plan.peak, dry.device().peak_allocated_bytes() - before + stored);
  }
  plan.resident = dry.device().allocated_bytes() - before;
  return plan;
}

}  // namespace mxvideo::checkpoint
