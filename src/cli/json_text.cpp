#include "cli/json_text.h"

namespace mxvideo::cli {

std::string to_text(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace mxvideo::cli
