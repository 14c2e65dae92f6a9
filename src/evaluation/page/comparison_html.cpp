#include "evaluation/page/comparison_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "base/system/cpu_features.h"
#include "base/text/format.h"
#include "base/version.h"
#include "evaluation/comparison_json.h"
#include "evaluation/page/comparison_plots.h"
#include "evaluation/page/contact_sheet.h"
#include "evaluation/page/html.h"

namespace mxvideo::evaluation {
namespace {

constexpr double kMiB = 1 << 20;

// Forbids what the page does not do: scripts, and anything from elsewhere.
constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>mxvideo compare</title>
<style>
body { font: 15px/1.45 Helvetica, Arial, sans-serif; color: #222; background: #fff;
  max-width: 1080px; margin: 24px auto; padding: 0 16px; }
h1 { font-size: 24px; } h2 { font-size: 19px; margin-top: 32px; }
table { border-collapse: collapse; margin: 8px 0; display: block; overflow-x: auto; }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
.sheet th, .sheet td { text-align: center; padding: 3px; border: 0; }
.sheet th:first-child { text-align: left; padding-right: 10px; font-weight: normal; }
.sheet img { width: 144px; height: auto; display: block; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr));
  gap: 14px; }
.clips figure { margin: 0; } .clips img { width: 100%; max-width: 480px; height: auto; }
.plots { overflow-x: auto; } .plots img { max-width: 100%; height: auto; }
.layers { font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; } .note { color: #444; }
@media (max-width: 640px) {
  body { margin: 12px auto; padding: 0 12px; } h1 { font-size: 21px; overflow-wrap: anywhere; }
  dl { display: block; } dd { margin-bottom: 8px; }
  .plots img { max-width: none; width: 680px; }
  .cards, .cards tbody, .cards tr { display: block; } .cards tr:first-child { display: none; }
  .cards tr { border: 1px solid #ccc; border-radius: 6px; margin-bottom: 10px; padding: 4px 0; }
  .cards td, .cards td:first-child { display: flex; gap: 12px; border: 0; padding: 2px 10px;
    overflow-wrap: anywhere; }
  .cards td { text-align: left; }
  .cards td::before { content: attr(data-label); flex: 0 0 58%; color: #555; text-align: left; }
  .cards td:empty { display: none; } .cards td:first-child { font-weight: bold; }
  .layers th:first-child, .layers td:first-child { position: sticky; left: 0; background: #fff; }
  .sheet, .sheet tbody { display: block; } .sheet thead { display: none; }
  .sheet tr { display: grid; grid-template-columns: repeat(3, 1fr); margin-bottom: 10px; }
  .sheet th:first-child { grid-column: 1 / -1; } .sheet img { width: 100%; }
  .sheet td::after { content: attr(data-label); font-size: 12px; color: #555; }
}
</style></head>
<body>
)";

std::string decibels(double value) {
  return std::isfinite(value) ? fmt::format("{:.2f}", value) : std::string("∞");
}

std::string mebibytes(int64_t bytes) {
  return fmt::format("{:.1f}", static_cast<double>(bytes) / kMiB);
}

// A table of few rows; on a narrow screen each row is a card in which every value has its name.
class CardTable {
 public:
  explicit CardTable(std::vector<std::string> names) : names_(std::move(names)) {
    html_ = "<table class=\"cards\"><tr>";
    for (const std::string& name : names_) html_ += "<th>" + name + "</th>";
    html_ += "</tr>\n";
  }
  // HTML; empty cells are not shown on narrow screens.
  void add(const std::vector<std::string>& cells) {
    html_ += "<tr>";
    for (size_t i = 0; i < cells.size(); ++i) {
      html_ += fmt::format("<td data-label=\"{}\">{}</td>", names_[i], cells[i]);
    }
    html_ += "</tr>\n";
  }
  std::string html() const { return html_ + "</table>\n"; }

 private:
  std::vector<std::string> names_;
  std::string html_;
};

std::string row(const char* element, const std::vector<std::string>& cells) {
  std::string html = "<tr>";
  for (const std::string& cell : cells) html += fmt::format("<{0}>{1}</{0}>", element, cell);
  return html + "</tr>\n";
}

std::string plots(const std::vector<Plot>& list, const std::filesystem::path& gnuplot) {
  std::string html = "<div class=\"plots\">\n";
  for (const Plot& plot : list) {
    html += inline_image("image/svg+xml", draw_svg(plot, gnuplot), plot.title) + "\n";
  }
  return html + "</div>\n";
}

std::string term(const char* name, const std::string& text) {
  return fmt::format("<dt>{}</dt><dd><bdi>{}</bdi></dd>\n", name, escape_html(text));
}

std::string request_section(const ComparisonResult& comparison) {
  const pipeline::ResolvedRequest& request = comparison.request;
  const std::string reference = escape_html(comparison.schemes.front().name);
  std::string guidance = fmt::format("{:g}", request.guidance_scale);
  if (request.guidance_scale_2 != request.guidance_scale) {
    guidance += fmt::format(" (high noise), {:g} (low noise)", request.guidance_scale_2);
  }
  return fmt::format("<h1>Fidelity of schemes against {}</h1>\n<dl>\n", reference) +
         term("model", comparison.recipe.value("model", "") + ", " +
                           comparison.recipe.value("model_path", "")) +
         term("prompt", request.prompt) + term("negative prompt", request.negative_prompt) +
         term("video",
              fmt::format("{}x{}, {}, {}, guidance {}, seed {}", request.width, request.height,
                          count_of(request.num_frames, "frame"),
                          count_of(request.num_inference_steps, "step"), guidance, request.seed)) +
         term("machine", fmt::format("{}, {} ({}); mxvideo {}", cpu_model_name(),
                                     count_of(num_threads(), "thread"),
                                     cpu_features_to_string(cpu_features()), version())) +
         "</dl>\n";
}

std::string quality_table(const ComparisonResult& comparison) {
  CardTable table({"scheme", "video PSNR / dB", "worst frame / dB", "mean SSIM", "worst SSIM",
                   "latents, last step / dB", "latents, cosine", "weights SQNR / dB",
                   "outputs, median / dB", "outputs, worst / dB"});
  for (const SchemeResult& scheme : comparison.schemes) {
    std::vector<std::string> cells = {escape_html(scheme.name)};
    if (scheme.fidelity) {
      const VideoFidelity& video = *scheme.fidelity;
      cells.insert(cells.end(),
                   {decibels(video.psnr_db), decibels(video.worst_frame_psnr_db),
                    fmt::format("{:.4f}", video.mean_ssim), fmt::format("{:.4f}", video.worst_ssim),
                    decibels(scheme.steps.back().sqnr_db()),
                    fmt::format("{:.6f}", scheme.steps.back().cosine())});
    } else {
      cells.insert(cells.end(), {"reference", "", "", "", "", ""});
    }
    const SchemeSummary summary = summarize(scheme);
    if (scheme.layers.empty()) {
      cells.insert(cells.end(), {"not quantized", "", ""});
    } else {
      cells.insert(cells.end(),
                   {decibels(summary.weights_sqnr_db), decibels(summary.outputs_median_sqnr_db),
                    decibels(summary.outputs_worst_sqnr_db) + " " +
                        escape_html(summary.outputs_worst_layer)});
    }
    table.add(cells);
  }
  return table.html();
}

std::string cost_table(const ComparisonResult& comparison) {
  CardTable table({"scheme", "median step / s", "whole run / s", "peak memory / MiB",
                   "before the run / MiB", "transformer weights / MiB", "in the files / MiB"});
  for (const SchemeResult& scheme : comparison.schemes) {
    const SchemeSummary summary = summarize(scheme);
    table.add({escape_html(scheme.name), fmt::format("{:.4f}", summary.seconds_per_step),
               fmt::format("{:.2f}", scheme.seconds), mebibytes(summary.peak_rss_bytes),
               mebibytes(scheme.resident_before_bytes), mebibytes(summary.transformer_bytes),
               mebibytes(summary.transformer_file_bytes)});
  }
  return table.html();
}

std::string layer_table(const SchemeResult& scheme) {
  std::string html = "<details><summary>" + escape_html(scheme.name) +
                     ": every quantized layer</summary>\n<table class=\"layers\">" +
                     row("th", {"layer", "expert", "shape", "weights SQNR / dB", "weights cosine",
                                "outputs SQNR / dB", "outputs cosine", "saturated", "flushed"});
  for (const LayerFidelity& layer : scheme.layers) {
    const convert::LayerReport& weights = layer.weights;
    html +=
        row("td", {escape_html(layer.layer), escape_html(layer.component),
                   fmt::format("{}×{}", weights.rows, weights.columns), decibels(weights.sqnr_db()),
                   fmt::format("{:.6f}", layer.weight_error.cosine()),
                   decibels(layer.output_error.sqnr_db()),
                   fmt::format("{:.6f}", layer.output_error.cosine()),
                   fmt::format("{}", weights.saturated), fmt::format("{}", weights.flushed)});
  }
  return html + "</table></details>\n";
}

std::string layer_section(const ComparisonResult& comparison,
                          const std::filesystem::path& gnuplot) {
  std::string html =
      "<h2>Layers</h2>\n<p class=\"note\">Weights: what the layer multiplies with, decoded, "
      "against the weights of the files. Outputs: x·Wᵀ + b of the quantized layer against the "
      "same layer unquantized on the same input, before GELU, gate and residual, over all steps "
      "and both forwards of a step. SQNR = 10·log10(Σr² / Σ(r − q)²).</p>\n";
  const bool any = std::ranges::any_of(comparison.schemes,
                                       [](const SchemeResult& s) { return !s.layers.empty(); });
  if (!any) return html + "<p>No layer is quantized.</p>\n";
  html += plots(layer_plots(comparison), gnuplot);
  for (const SchemeResult& scheme : comparison.schemes) {
    if (!scheme.layers.empty()) html += layer_table(scheme);
  }
  return html;
}

}  // namespace

std::string to_html(const ComparisonResult& comparison, const std::filesystem::path& gnuplot) {
  std::string html = kHead + request_section(comparison);
  html += "<h2>Quality</h2>\n" + quality_table(comparison);
  html +=
      "<p class=\"note\">The same noise for every scheme. PSNR and SSIM on 8-bit RGB frames as "
      "decoded, before any video codec; the PSNR of the video is that of the error of all frames "
      "together. ∞: nothing differs.</p>\n";
  html += "<h2>Clips</h2>\n" + clips(comparison);
  html += "<h2>Frames</h2>\n" + contact_sheet(comparison);
  html += "<h2>Video by frame</h2>\n" + plots(video_plots(comparison), gnuplot);
  html +=
      "<p class=\"note\">SSIM: windows of 8×8 pixels at a distance of 4, unweighted, mean of "
      "R, G and B (FFmpeg's filter).</p>\n";
  html += "<h2>Latents by step</h2>\n" + plots(latent_plots(comparison), gnuplot);
  html += layer_section(comparison, gnuplot);
  html += "<h2>Time and memory</h2>\n" + cost_table(comparison) +
          plots(cost_plots(comparison), gnuplot);
  html +=
      "<p class=\"note\">Of separate runs in which nothing is measured but the time and the "
      "memory, one per scheme, one after the other in one process; the first one may find files "
      "that are not cached. Peak memory is the resident memory of the whole process, text encoder "
      "and VAE included.</p>\n";
  return html + "</body></html>\n";
}

}  // namespace mxvideo::evaluation
