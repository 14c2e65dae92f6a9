// Rows of a bench as text in columns. Thread-safe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mxvideo::cli {

// One line per row, under a line with the names of the fields; fields that no row has a figure for
// are left out. Figures with four digits, "-" for null, the reason in place of what was not
// measured. In front of it what the machine is and its roofs.
std::string bench_table(const nlohmann::ordered_json& result);

}  // namespace mxvideo::cli
