#include "evaluation/page/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "evaluation/page/child_process.h"

namespace mxvideo::evaluation {
namespace {

// Okabe and Ito, "Color universal design": blue, vermillion, bluish green, reddish purple, orange,
// sky blue, black.
constexpr std::array kColors = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                "#E69F00", "#56B4E9", "#000000"};
constexpr std::array kMarks = {7, 5, 9, 13, 11, 6, 4};

constexpr size_t kMostUprightNames = 8;

// In single quotes gnuplot takes everything literally but the quote itself, for which another
// apostrophe stands.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "’";
    } else {
      result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result + "'";
}

bool drawable(const Plot& plot, double value) {
  return std::isfinite(value) && (!plot.logarithmic || value > 0);
}

// Names stand below the axis, one in `step` of them where they would not fit.
std::string name_tics(const Plot& plot) {
  constexpr size_t kMostNames = 64;
  const size_t step = (plot.x_names.size() + kMostNames - 1) / kMostNames;
  std::string tics;
  for (size_t i = 0; i < plot.x_names.size(); i += step) {
    tics += fmt::format("{}{} {}", tics.empty() ? "" : ", ", quoted(plot.x_names[i]),
                        plot.x_first + static_cast<double>(i));
  }
  if (plot.x_names.size() <= kMostUprightNames) {
    return fmt::format("set xtics norotate ({}) font ',12' noenhanced\n", tics);
  }
  // gnuplot keeps more room for turned names than they need, so the margin is set here.
  size_t longest = 0;
  for (const std::string& name : plot.x_names) longest = std::max(longest, name.size());
  constexpr double kPixelsPerCharacter = 5.6, kPixelsOfLabel = 46;
  const double margin = static_cast<double>(longest) * kPixelsPerCharacter + kPixelsOfLabel;
  return fmt::format(
      "set xtics rotate by 90 right ({}) font ',9' noenhanced\n"
      "set bmargin at screen {:.4f}\nunset xlabel\n"
      "set label {} at screen 0.5,0.03 center noenhanced\n",
      tics, margin / plot.height, quoted(plot.x_label));
}

// Positions are whole numbers, so the tics are.
std::string number_tics(size_t positions) {
  constexpr size_t kMostTics = 20;
  size_t step = 1;
  for (size_t factor = 10; positions / step > kMostTics; factor = factor == 10 ? 5 : 10) {
    step = factor == 5 ? step / 5 * 10 : step * 5;  // 1, 5, 10, 50, …
  }
  return fmt::format("set xtics {}\n", step);
}

std::string axes(const Plot& plot, size_t positions) {
  std::string script = fmt::format(
      "set terminal svg size {},{} font 'Helvetica,Arial,sans-serif,13' background '#ffffff'\n"
      "set encoding utf8\n"
      "set title {} noenhanced\nset xlabel {} noenhanced\nset ylabel {} noenhanced\n"
      "set grid ytics lc rgb '#d0d0d0' lw 1\nset border 3 lc rgb '#404040'\n"
      "set tics nomirror\nset key outside top right horizontal noenhanced\n"
      "set xrange [{}:{}]\n",
      plot.width, plot.height, quoted(plot.title), quoted(plot.x_label), quoted(plot.y_label),
      plot.x_first - 0.6, plot.x_first + static_cast<double>(positions) - 0.4);
  script += plot.x_names.empty() ? number_tics(positions) : name_tics(plot);
  if (plot.logarithmic) script += "set logscale y\nset format y '10^{%T}'\n";
  if (plot.bars) {
    script +=
        "set style fill solid 0.85 noborder\nset yrange [0:*]\nset offsets 0,0,graph 0.12,0\n";
  }
  return script;
}

// Where a value of a series is drawn: bars of one position stand beside each other.
double x_of(const Plot& plot, size_t series, size_t index) {
  const double center = plot.x_first + static_cast<double>(index);
  if (!plot.bars) return center;
  const auto count = static_cast<double>(plot.series.size());
  return center + 0.8 * ((static_cast<double>(series) + 0.5) / count - 0.5);
}

std::string style(const Plot& plot, const PlotSeries& series) {
  const char* color = kColors[series.color % kColors.size()];
  if (plot.bars) {
    const std::string title = series.name.empty() ? "notitle" : "title " + quoted(series.name);
    return fmt::format("with boxes lc rgb '{}' {}", color, title);
  }
  return fmt::format("with linespoints lw 1.5 pt {} ps 0.55 lc rgb '{}' title {}",
                     kMarks[series.color % kMarks.size()], color, quoted(series.name));
}

std::string script_of(const Plot& plot) {
  size_t positions = plot.x_names.size();
  std::string blocks, list;
  for (size_t s = 0; s < plot.series.size(); ++s) {
    const PlotSeries& series = plot.series[s];
    positions = std::max(positions, series.y.size());
    std::string rows;
    for (size_t i = 0; i < series.y.size(); ++i) {
      if (drawable(plot, series.y[i])) {
        rows += fmt::format("{} {}\n", x_of(plot, s, i), series.y[i]);
      } else if (!rows.empty()) {
        rows += "\n";  // an empty line: the curve is not drawn across a gap
      }
    }
    if (rows.empty()) continue;
    blocks += fmt::format("$series{} << EOD\n{}EOD\n", s, rows);
    list +=
        fmt::format("{}$series{} using 1:2 {}", list.empty() ? "" : ", ", s, style(plot, series));
    if (plot.bars) {
      list += fmt::format(
          ", $series{} using 1:2:(sprintf('%.4g',$2)) with labels offset 0,0.6 font ',11' notitle",
          s);
    }
  }
  std::string script = axes(plot, positions);
  if (plot.bars) {
    script += fmt::format("set boxwidth {} absolute\n",
                          0.72 / static_cast<double>(std::max<size_t>(1, plot.series.size())));
  }
  if (list.empty()) {
    return script +
           "set label 'no finite value to draw' at graph 0.5,0.5 center\n"
           "set yrange [0:1]\nplot NaN notitle\n";
  }
  return script + blocks + "plot " + list + "\n";
}

}  // namespace

std::string draw_svg(const Plot& plot, const std::filesystem::path& gnuplot) {
  const ChildResult result = run_child(gnuplot, {"-d", "-"}, script_of(plot));
  if (result.status != 0 || result.output.find("</svg>") == std::string::npos) {
    throw Error(Code::kInternal,
                fmt::format("{}: status {} for the plot '{}': {}", gnuplot.string(), result.status,
                            plot.title, result.errors.substr(0, 500)));
  }
  return result.output;
}

}  // namespace mxvideo::evaluation
