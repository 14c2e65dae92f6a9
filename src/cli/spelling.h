// How the command line spells the fields that messages name (base/text/field.h): as flags. Whatever
// it shows or writes of a message goes through here. Thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace mxvideo::cli {

// "--num-frames" of num_frames.
std::string flag_of(std::string_view field);

// `text` with --num-frames for num_frames, in one line: what is not printable is escaped, and it is
// cut after `limit` bytes.
std::string spelled_line(std::string_view text, size_t limit);

// With --num-frames for num_frames.
std::string spelled(std::string_view text);
// The same in every text of `json`.
void spell(nlohmann::ordered_json& json);

}  // namespace mxvideo::cli
