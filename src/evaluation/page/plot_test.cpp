#include "evaluation/page/plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "evaluation/page/child_process.h"
#include "support/test_support.h"

namespace mxvideo::evaluation {
namespace {

constexpr const char* kGnuplot = "/usr/bin/gnuplot";

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Plot plot_of(std::vector<double> y) {
  return {.title = "a title",
          .x_label = "step",
          .y_label = "SQNR / dB",
          .series = {{.name = "mxfp8", .y = std::move(y), .color = 1}}};
}

TEST(Plot, HoldsLabelsAndOneMarkPerValue) {
  const std::string svg = draw_svg(plot_of({1, 2, 4}), kGnuplot);
  for (const char* text : {"a title", "step", "SQNR / dB", "mxfp8"}) {
    EXPECT_NE(svg.find(">" + std::string(text) + "<"), std::string::npos) << text;
  }
  // Three values and the mark in the legend.
  EXPECT_EQ(count(svg, "<use xlink:href='#gpPt4'"), 4u) << svg;
}

TEST(Plot, LeavesOutWhatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string svg =
      draw_svg(plot_of({1, infinity, 4, std::numeric_limits<double>::quiet_NaN()}), kGnuplot);
  EXPECT_EQ(count(svg, "<use xlink:href='#gpPt4'"), 3u);
  EXPECT_NE(draw_svg(plot_of({infinity}), kGnuplot).find("no finite value to draw"),
            std::string::npos);
}

TEST(Plot, LogarithmicAxesLeaveOutWhatIsNotPositive) {
  Plot plot = plot_of({0.1, 0, 0.01, -1});
  plot.logarithmic = true;
  EXPECT_EQ(count(draw_svg(plot, kGnuplot), "<use xlink:href='#gpPt4'"), 3u);
}

TEST(Plot, ManyNamesAreThinned) {
  Plot plot = plot_of(std::vector<double>(1000, 3));
  for (int i = 0; i < 1000; ++i) plot.x_names.push_back("layer" + std::to_string(i));
  const size_t names = count(draw_svg(plot, kGnuplot), ">layer");
  EXPECT_GT(names, 30u);
  EXPECT_LE(names, 64u);
}

TEST(Plot, BarsCarryTheirValues) {
  Plot plot = plot_of({1.25, 3});
  plot.bars = true;
  plot.x_names = {"none", "mxfp8:floor"};
  const std::string svg = draw_svg(plot, kGnuplot);
  EXPECT_NE(svg.find("1.25"), std::string::npos);
  EXPECT_NE(svg.find("mxfp8:floor"), std::string::npos);
}

// Whatever a text says, gnuplot draws it and does nothing else.
TEST(Plot, TextsAreNoCommands) {
  const test::TemporaryDirectory scratch;
  const std::string file = (scratch.path() / "made").string();
  for (const std::string& text : {"'; system('touch " + file + "') #", "`touch " + file + "`",
                                  "\nsystem 'touch " + file + "'", "$(touch " + file + ") @x \\",
                                  std::string("{/Bold a}_b^c\nEOD\n")}) {
    Plot plot = plot_of({1, 2});
    plot.title = plot.x_label = plot.y_label = plot.series[0].name = text;
    plot.x_names = {text, text};
    const std::string svg = draw_svg(plot, kGnuplot);
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(file)) << text;
  }
}

TEST(Plot, AMissingProgramIsAnError) {
  try {
    draw_svg(plot_of({1}), "/nowhere/gnuplot");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
  }
}

TEST(Plot, AProgramThatFailsIsAnError) {
  EXPECT_THROW(draw_svg(plot_of({1}), "/bin/false"), Error);
  EXPECT_THROW(draw_svg(plot_of({1}), "/bin/true"), Error);
}

TEST(ChildProcess, PassesInputOutputErrorsAndStatus) {
  const std::string input(1 << 20, 'x');  // more than a pipe holds
  const ChildResult echo = run_child("/bin/cat", {}, input);
  EXPECT_EQ(echo.status, 0);
  EXPECT_EQ(echo.output, input);
  const ChildResult failed = run_child("/bin/sh", {"-c", "echo no >&2; exit 3"}, "");
  EXPECT_EQ(failed.status, 3);
  EXPECT_EQ(failed.errors, "no\n");
  EXPECT_EQ(run_child("/bin/sh", {"-c", "kill -9 $$"}, "").status, 128 + 9);
}

TEST(ChildProcess, HasNoEnvironmentButTheLocale) {
  EXPECT_EQ(run_child("/usr/bin/env", {}, "").output, "LC_ALL=C.UTF-8\n");
}

}  // namespace
}  // namespace mxvideo::evaluation
