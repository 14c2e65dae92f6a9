// Line and bar plots as SVG, drawn by the program gnuplot (Debian: gnuplot-nox), which runs as a
// child of its own: it gets a script on its standard input and gives a picture on its output.
//
// Texts are data: they are quoted, nothing in them is a command or markup of gnuplot. Colours are
// those of Okabe and Ito, which people with any colour vision can tell apart, and each series has
// its own mark. Thread-safe.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace mxvideo::evaluation {

struct PlotSeries {
  std::string name;
  std::vector<double> y;  // one value per position; what is not finite is left out
  size_t color = 0;       // the same number is the same colour in every plot
};

struct Plot {
  std::string title;
  std::string x_label, y_label;
  // Position i is drawn at x_first + i, or under a name where there are names.
  double x_first = 0;
  std::vector<std::string> x_names = {};
  std::vector<PlotSeries> series = {};
  bool bars = false;         // from 0; lines with marks otherwise
  bool logarithmic = false;  // values that are not positive are left out
  int width = 900, height = 380;
};

// `gnuplot` is the program. Throws Code::kUnsupported when it cannot run, Code::kInternal when it
// refuses the script. A plot without a single value is drawn empty, with a line that says so.
std::string draw_svg(const Plot& plot, const std::filesystem::path& gnuplot);

}  // namespace mxvideo::evaluation
