// The keys of a declaration, one table for each dialect: what is in the table is read, or has no
// effect here for the reason that stands beside it; a key that is not, or that is there with a
// value that would mean other numbers, is refused by its name and value. Thread-safe: no state.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace mxvideo::checkpoint {

struct DeclaredKey {
  std::string_view name;
  // The values that change nothing, as a JSON array; empty: every value.
  std::string_view only = {};
};

// What of `object` is refused: "group_size: expected 32, got 64; unknown key convrot: true"; empty
// when nothing is. A key whose value is null counts as absent. `prefix` stands before the names.
std::string refuse_keys(const nlohmann::json& object, std::span<const DeclaredKey> keys,
                        const std::string& prefix = "");

// "name: expected E, got G" with the value as the file has it.
std::string refuse_value(const std::string& name, const std::string& expected,
                         const nlohmann::json& got);

// `more` after `text`, with "; " between.
void join_refusal(std::string& text, const std::string& more);

}  // namespace mxvideo::checkpoint
