#include "evaluation/page/comparison_plots.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "evaluation/comparison_json.h"

namespace mxvideo::evaluation {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr double kMiB = 1 << 20;

using LayerValue = std::function<double(const LayerFidelity&)>;
using SchemeValues = std::function<std::vector<double>(const SchemeResult&)>;

// "0.attn1.to_q": what every layer's name has in common is left out.
std::string short_name(const LayerFidelity& layer, bool two_experts) {
  constexpr std::string_view kPrefix = "blocks.";
  std::string name = layer.layer;
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  if (!two_experts) return name;
  return (layer.component == "transformer" ? "high " : "low ") + name;
}

bool same_layer(const LayerFidelity& a, const LayerFidelity& b) {
  return a.layer == b.layer && a.component == b.component;
}

// Every layer that some scheme quantizes.
std::vector<const LayerFidelity*> all_layers(const ComparisonResult& comparison) {
  std::vector<const LayerFidelity*> layers;
  for (const SchemeResult& scheme : comparison.schemes) {
    for (const LayerFidelity& layer : scheme.layers) {
      const bool known =
          std::ranges::any_of(layers, [&](const auto* other) { return same_layer(*other, layer); });
      if (!known) layers.push_back(&layer);
    }
  }
  return layers;
}

Plot layer_plot(const ComparisonResult& comparison, const std::string& title,
                const LayerValue& value) {
  const std::vector<const LayerFidelity*> layers = all_layers(comparison);
  const bool two_experts =
      std::ranges::any_of(layers, [](const auto* l) { return l->component == "transformer_2"; });
  Plot plot{.title = title, .x_label = "block and layer", .y_label = "SQNR / dB"};
  plot.height = 460;
  for (const LayerFidelity* layer : layers) {
    plot.x_names.push_back(short_name(*layer, two_experts));
  }
  for (size_t i = 0; i < comparison.schemes.size(); ++i) {
    const SchemeResult& scheme = comparison.schemes[i];
    if (scheme.layers.empty()) continue;
    PlotSeries series{.name = scheme.name, .y = {}, .color = i};
    for (const LayerFidelity* layer : layers) {
      const auto found = std::ranges::find_if(
          scheme.layers, [&](const LayerFidelity& own) { return same_layer(own, *layer); });
      series.y.push_back(found == scheme.layers.end() ? kMissing : value(*found));
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

// A curve for each scheme but the reference.
Plot curves(const ComparisonResult& comparison, Plot plot, const SchemeValues& values) {
  for (size_t i = 1; i < comparison.schemes.size(); ++i) {
    plot.series.push_back(
        {.name = comparison.schemes[i].name, .y = values(comparison.schemes[i]), .color = i});
  }
  return plot;
}

SchemeValues of_steps(const std::function<double(const SignalError&)>& value) {
  return [value](const SchemeResult& scheme) {
    std::vector<double> values;
    for (const SignalError& step : scheme.steps) values.push_back(value(step));
    return values;
  };
}

SchemeValues of_frames(const std::function<double(const FrameFidelity&)>& value) {
  return [value](const SchemeResult& scheme) {
    std::vector<double> values;
    for (const FrameFidelity& frame : scheme.fidelity->frames) values.push_back(value(frame));
    return values;
  };
}

Plot cost_plot(const ComparisonResult& comparison, const std::string& title,
               const std::string& unit, const std::function<double(const SchemeResult&)>& value) {
  Plot plot{.title = title, .x_label = "scheme", .y_label = unit};
  plot.bars = true;
  plot.width = 440;
  plot.height = 300;
  PlotSeries series;
  for (const SchemeResult& scheme : comparison.schemes) {
    plot.x_names.push_back(scheme.name);
    series.y.push_back(value(scheme));
  }
  plot.series.push_back(std::move(series));
  return plot;
}

}  // namespace

std::vector<Plot> layer_plots(const ComparisonResult& comparison) {
  return {layer_plot(comparison, "Weights: quantized against those of the files",
                     [](const LayerFidelity& layer) { return layer.weights.sqnr_db(); }),
          layer_plot(comparison, "Outputs: quantized against unquantized, same input, all steps",
                     [](const LayerFidelity& layer) { return layer.output_error.sqnr_db(); })};
}

std::vector<Plot> latent_plots(const ComparisonResult& comparison) {
  Plot sqnr{.title = "Latents against those of " + comparison.schemes.front().name,
            .x_label = "step",
            .y_label = "SQNR / dB",
            .x_first = 1};
  Plot cosine{.title = "Latents: distance of the cosine from 1",
              .x_label = "step",
              .y_label = "1 − cosine",
              .x_first = 1};
  cosine.logarithmic = true;
  return {
      curves(comparison, sqnr, of_steps([](const SignalError& e) { return e.sqnr_db(); })),
      curves(comparison, cosine, of_steps([](const SignalError& e) { return 1 - e.cosine(); }))};
}

std::vector<Plot> video_plots(const ComparisonResult& comparison) {
  const std::string& reference = comparison.schemes.front().name;
  const Plot psnr{.title = "PSNR of the video against " + reference,
                  .x_label = "frame",
                  .y_label = "PSNR / dB"};
  const Plot ssim{
      .title = "SSIM of the video against " + reference, .x_label = "frame", .y_label = "SSIM"};
  return {curves(comparison, psnr, of_frames([](const FrameFidelity& f) { return f.psnr_db; })),
          curves(comparison, ssim, of_frames([](const FrameFidelity& f) { return f.ssim; }))};
}

std::vector<Plot> cost_plots(const ComparisonResult& comparison) {
  return {cost_plot(comparison, "Step, median", "seconds",
                    [](const SchemeResult& s) { return summarize(s).seconds_per_step; }),
          cost_plot(comparison, "Whole run, loading included", "seconds",
                    [](const SchemeResult& s) { return s.seconds; }),
          cost_plot(comparison, "Peak resident memory of the process", "MiB",
                    [](const SchemeResult& s) {
                      return static_cast<double>(summarize(s).peak_rss_bytes) / kMiB;
                    }),
          cost_plot(comparison, "Transformer weights in memory", "MiB", [](const SchemeResult& s) {
            return static_cast<double>(summarize(s).transformer_bytes) / kMiB;
          })};
}

}  // namespace mxvideo::evaluation
