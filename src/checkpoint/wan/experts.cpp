#include "checkpoint/wan/experts.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <set>
#include <vector>

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace mxvideo::checkpoint {
namespace {

namespace fs = std::filesystem;

// What "high" and "low" also go with, in names of models.
constexpr std::array<std::string_view, 22> kOtherNouns = {
    "quality", "res",       "resolution", "vram",   "ram",     "mem",    "memory", "precision",
    "fps",     "speed",     "motion",     "detail", "details", "rank",   "step",   "steps",
    "latency", "frequency", "contrast",   "poly",   "end",     "compute"};

// Tensors up to this size tell experts apart: biases, norms, tables of modulation.
constexpr int64_t kSmallTensorBytes = 1 << 20;

enum class CharKind { kOther, kDigit, kLower, kUpper };

CharKind kind_of(char c) {
  if (c >= '0' && c <= '9') return CharKind::kDigit;
  if (c >= 'a' && c <= 'z') return CharKind::kLower;
  return c >= 'A' && c <= 'Z' ? CharKind::kUpper : CharKind::kOther;
}

// "Wan2_2-T2V-HighNoise" -> wan 2 2 t 2 v high noise; also "HIGHNoise" -> high noise.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  CharKind before = CharKind::kOther;
  for (size_t i = 0; i < name.size(); ++i) {
    const CharKind kind = kind_of(name[i]);
    const bool ends_capitals = before == CharKind::kUpper && kind == CharKind::kUpper &&
                               i + 1 < name.size() && kind_of(name[i + 1]) == CharKind::kLower;
    const bool goes_on = kind == before || (before == CharKind::kUpper && kind == CharKind::kLower);
    if (kind != CharKind::kOther) {
      if (!goes_on || ends_capitals) words.emplace_back();
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
    }
    before = kind;
  }
  return words;
}

// How clearly the words name one expert: 2 with "noise", 1 without, 0 not at all.
int clearness(const std::vector<std::string>& words, const std::string& side,
              const char* abbreviation) {
  int result = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string next = i + 1 < words.size() ? words[i + 1] : "";
    const bool alone = word == side;
    if (word.find(side + "noise") != word.npos || (alone && next.starts_with("noise"))) return 2;
    const bool other_noun = std::ranges::find(kOtherNouns, next) != kOtherNouns.end();
    if ((alone && !other_noun) || word == abbreviation) result = 1;
  }
  return result;
}

std::string own_name(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

const char* expert_of_folder(const std::string& name, bool holds_the_file) {
  if (name == "high_noise_model") return kHighNoiseExpert;
  if (name == "low_noise_model" || name == kLowNoiseExpert) return kLowNoiseExpert;
  if (!holds_the_file) return nullptr;
  std::string letters;
  for (const std::string& word : words_of(name)) letters += word;
  if (letters == "highnoise") return kHighNoiseExpert;
  return letters == "lownoise" ? kLowNoiseExpert : nullptr;
}

const char* noise_of(const std::string& component) {
  return component == kHighNoiseExpert ? "high" : "low";
}

std::set<fs::path> files_of(const Checkpoint& checkpoint) {
  std::set<fs::path> files;
  for (const auto& [name, tensor] : checkpoint.tensors()) files.insert(tensor.file->path());
  return files;
}

bool same_bytes(const TensorView& a, const TensorView& b) {
  return a.dtype == b.dtype && a.shape == b.shape &&
         std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes())) == 0;
}

bool is_small(const StoredTensor& tensor) {
  return tensor.view.bytes() > 0 && tensor.view.bytes() <= kSmallTensorBytes;
}

// True when there are small tensors and each has a twin.
bool same_small_tensors(const Checkpoint& a, const Checkpoint& b) {
  int64_t same = 0;
  for (const auto& [name, tensor] : a.tensors()) {
    if (!is_small(tensor)) continue;
    const auto twin = b.tensors().find(name);
    if (twin == b.tensors().end() || !same_bytes(tensor.view, twin->second.view)) return false;
    ++same;
  }
  return same > 0;
}

// Float tensors that are clearly closer to one of the two experts of an original.
struct Evidence {
  int64_t own = 0, other = 0;
};

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

// Sum of squared differences; the types may differ, as between an export and its original.
double squared_distance(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.count(); ++i) {
    const double difference = double{a.f32()[i]} - b.f32()[i];
    sum += difference * difference;
  }
  return sum;
}

Evidence compare_experts(const Checkpoint& files, const Checkpoint& own, const Checkpoint& other) {
  // Rounding to BF16 is far below the distance of two experts that differ.
  constexpr double kMuchCloser = 16;
  Evidence evidence;
  for (const auto& [name, tensor] : files.tensors()) {
    const auto mine = own.tensors().find(name);
    const auto theirs = other.tensors().find(name);
    if (mine == own.tensors().end() || theirs == other.tensors().end()) continue;
    const std::array<const StoredTensor*, 3> all = {&tensor, &mine->second, &theirs->second};
    const bool comparable = std::ranges::all_of(all, [&all](const StoredTensor* stored) {
      return is_small(*stored) && is_float(stored->view.dtype) &&
             stored->view.shape == all[0]->view.shape;
    });
    if (!comparable) continue;
    const Tensor values = to_f32(tensor.view);
    const double to_own = squared_distance(values, to_f32(mine->second.view));
    const double to_other = squared_distance(values, to_f32(theirs->second.view));
    evidence.own += to_own * kMuchCloser < to_other;
    evidence.other += to_other * kMuchCloser < to_own;
    for (const StoredTensor* read : all) read->release_pages();
    if (evidence.own > 0) break;  // not exchanged
  }
  return evidence;
}

}  // namespace

const char* expert_of_name(std::string_view name) {
  const std::vector<std::string> words = words_of(name);
  const int high = clearness(words, "high", "hn"), low = clearness(words, "low", "ln");
  if (high == low) return nullptr;
  return high > low ? kHighNoiseExpert : kLowNoiseExpert;
}

const char* expert_of_path(const fs::path& path) {
  if (const char* expert = expert_of_name(own_name(path))) return expert;
  if (own_name(path) == kLowNoiseExpert) return kLowNoiseExpert;
  fs::path folder = fs::absolute(path).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  bool holds_the_file = true;
  for (folder = folder.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    const char* expert = expert_of_folder(folder.filename().string(), holds_the_file);
    if (expert != nullptr) return expert;
    holds_the_file = false;
  }
  return nullptr;
}

void check_expert_path(const std::string& component, const fs::path& given, const fs::path& found) {
  const char* said = expert_of_path(found);
  if (said == nullptr) said = expert_of_path(given);
  if (said == nullptr || component == said) return;
  throw Error(Code::kInvalidArgument, component + " is the expert for " + noise_of(component) +
                                          " noise; got " + found.string() + ", whose name says " +
                                          noise_of(said) + " noise");
}

void check_experts_differ(const Checkpoint& high_noise, const Checkpoint& low_noise) {
  const std::set<fs::path> high = files_of(high_noise);
  for (const fs::path& file : files_of(low_noise)) {
    const auto same = std::ranges::find_if(high, [&](const fs::path& other) {
      std::error_code error;  // what cannot be examined is another file
      return fs::equivalent(file, other, error);
    });
    if (same == high.end()) continue;
    throw Error(Code::kInvalidArgument,
                "both experts are read from one file: " + same->string() +
                    (*same == file ? "" : ", which is also " + file.string()) +
                    "; the high-noise and the low-noise expert are two files");
  }
  if (!same_small_tensors(high_noise, low_noise)) return;
  throw Error(Code::kInvalidArgument,
              "both experts are the same: " + low_noise.description() + " holds the values of " +
                  high_noise.description() +
                  "; the high-noise and the low-noise expert are two files");
}

void check_expert_content(const std::string& component, const Checkpoint& files,
                          const Checkpoint& own, const Checkpoint& other) {
  const Evidence evidence = compare_experts(files, own, other);
  if (evidence.other == 0 || evidence.own > 0) return;
  throw Error(Code::kMismatch,
              files.description() + ": is taken for " + component + ", but " +
                  std::to_string(evidence.other) + " of its float tensors are those of " +
                  (component == kHighNoiseExpert ? kLowNoiseExpert : kHighNoiseExpert) +
                  " in the original and none is its own: the experts are swapped");
}

}  // namespace mxvideo::checkpoint
