// A comparison as one HTML page: pictures and plots inside, no script, nothing fetched; also
// well-formed XML. Thread-safe.
#pragma once

#include <filesystem>
#include <string>

#include "evaluation/scheme_comparison.h"

namespace mxvideo::evaluation {

// `gnuplot` draws the plots. Throws what draw_svg() throws.
std::string to_html(const ComparisonResult& comparison, const std::filesystem::path& gnuplot);

}  // namespace mxvideo::evaluation
