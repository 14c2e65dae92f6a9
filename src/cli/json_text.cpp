#include "cli/json_text.h"

#include "cli/spelling.h"

namespace mxvideo::cli {

std::string to_text(nlohmann::ordered_json json, int indent) {
  spell(json);
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace mxvideo::cli
