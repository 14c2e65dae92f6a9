#include "base/text/field.h"

namespace mxvideo {
namespace {

constexpr std::string_view kBegin = "\uFDD0", kEnd = "\uFDD1";

// The name at the start of `text`, which follows a kBegin; empty where no kEnd closes it.
std::string_view name_at(std::string_view text) {
  const size_t end = text.find(kEnd);
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

}  // namespace

std::string field(std::string_view name) {
  return std::string(kBegin) + std::string(name) + std::string(kEnd);
}

std::string first_field(std::string_view text) {
  const size_t begin = text.find(kBegin);
  if (begin == std::string_view::npos) return {};
  return std::string(name_at(text.substr(begin + kBegin.size())));
}

std::string spell_fields(std::string_view text, FieldSpelling spelling) {
  std::string spelled;
  for (;;) {
    const size_t begin = text.find(kBegin);
    spelled += text.substr(0, begin);
    if (begin == std::string_view::npos) return spelled;
    text.remove_prefix(begin + kBegin.size());
    const std::string_view name = name_at(text);
    if (name.empty()) continue;
    spelled += spelling(name);
    text.remove_prefix(name.size() + kEnd.size());
  }
}

}  // namespace mxvideo
