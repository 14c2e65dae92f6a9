#include "cli/spelling.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text/field.h"
#include "base/text/quote.h"

namespace mxvideo::cli {

std::string flag_of(std::string_view field) {
  std::string flag = "--" + std::string(field);
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::string spelled(std::string_view text) { return spell_fields(text, flag_of); }

std::string spelled_line(std::string_view text, size_t limit) {
  return printable(spelled(text), limit);
}

void spell(nlohmann::ordered_json& json) {
  if (json.is_string()) json = spelled(json.get_ref<const std::string&>());
  if (!json.is_structured()) return;
  for (nlohmann::ordered_json& element : json) spell(element);
}

}  // namespace mxvideo::cli
