#include "checkpoint/declaration/declared_keys.h"

#include <algorithm>

#include "base/text/quote.h"

namespace mxvideo::checkpoint {
namespace {

using nlohmann::json;

constexpr size_t kShownValue = 80;

std::string shown(const json& value) {
  return printable(value.dump(-1, ' ', false, json::error_handler_t::replace), kShownValue);
}

std::string alternatives(const json& values) {
  if (values.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += i + 1 == values.size() ? " or " : ", ";
    text += shown(values[i]);
  }
  return text;
}

}  // namespace

std::string refuse_keys(const json& object, std::span<const DeclaredKey> keys,
                        const std::string& prefix) {
  std::string refusal;
  for (const auto& [name, value] : object.items()) {
    if (value.is_null()) continue;
    const auto key = std::ranges::find(keys, name, &DeclaredKey::name);
    if (key == keys.end()) {
      join_refusal(refusal, "unknown key " + prefix + printable(name) + ": " + shown(value));
    } else if (!key->only.empty()) {
      const json values = json::parse(key->only);
      if (std::ranges::find(values, value) != values.end()) continue;
      join_refusal(refusal, refuse_value(prefix + name, alternatives(values), value));
    }
  }
  return refusal;
}

std::string refuse_value(const std::string& name, const std::string& expected, const json& got) {
  return name + ": expected " + expected + ", got " + shown(got);
}

void join_refusal(std::string& text, const std::string& more) {
  if (more.empty()) return;
  text += (text.empty() ? "" : "; ") + more;
}

}  // namespace mxvideo::checkpoint
