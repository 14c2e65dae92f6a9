#include "evaluation/page/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "evaluation/page/html.h"
#include "media/image/image_resize.h"
#include "media/image/image_writer.h"
#include "media/video_writer.h"

namespace mxvideo::evaluation {
namespace {

using media::ImageSize;
using media::RgbImage;

constexpr int64_t kMaxFrameWidth = 320;
constexpr int64_t kMaxClipWidth = 480;
constexpr double kClipQuality = 85;

RgbImage at_most(int64_t width, RgbImage image) {
  if (image.size.width <= width) return image;
  const int64_t height = std::max<int64_t>(1, image.size.height * width / image.size.width);
  return media::resize(image, {.height = height, .width = width}, media::ResampleFilter::kLanczos);
}

// `what` is the picture's row; it is shown below the picture on narrow screens with its frame.
std::string cell(ImageSize size, std::vector<uint8_t> pixels, const std::string& what,
                 int64_t frame) {
  const RgbImage image = at_most(kMaxFrameWidth, {.size = size, .pixels = std::move(pixels)});
  return fmt::format("<td data-label=\"frame {}\">", frame) +
         inline_image("image/png", media::encode_png(image.size, image.pixels),
                      fmt::format("{}, frame {}", what, frame)) +
         "</td>";
}

media::RgbVideo small_clip(const media::RgbVideo& video) {
  media::RgbVideo clip{.frames = video.frames, .size = video.size, .pixels = {}};
  for (int64_t i = 0; i < video.frames; ++i) {
    const auto pixels = video.frame(i);
    const RgbImage image =
        at_most(kMaxClipWidth, {.size = video.size, .pixels = {pixels.begin(), pixels.end()}});
    clip.size = image.size;
    clip.pixels.insert(clip.pixels.end(), image.pixels.begin(), image.pixels.end());
  }
  return clip;
}

}  // namespace

std::vector<int64_t> sheet_frames(int64_t count) {
  constexpr int64_t kColumns = 6;
  const int64_t columns = std::min(kColumns, count);
  std::vector<int64_t> frames;
  for (int64_t i = 0; i < columns; ++i) {
    frames.push_back(columns == 1 ? 0 : (i * (count - 1) + (columns - 1) / 2) / (columns - 1));
  }
  return frames;
}

std::vector<uint8_t> difference_picture(std::span<const uint8_t> reference,
                                        std::span<const uint8_t> actual) {
  std::vector<uint8_t> result(reference.size());
  for (size_t i = 0; i < result.size(); ++i) {
    const int difference = std::abs(int{reference[i]} - int{actual[i]});
    result[i] = static_cast<uint8_t>(std::min(255, difference * kDifferenceGain));
  }
  return result;
}

std::string clips(const ComparisonResult& comparison) {
  const media::WebpOptions options{.fps = static_cast<double>(comparison.request.fps),
                                   .quality = kClipQuality};
  std::string html = "<div class=\"clips\">\n";
  for (const SchemeResult& scheme : comparison.schemes) {
    html += "<figure>" +
            inline_image("image/webp", media::encode_webp(small_clip(scheme.video), options),
                         "clip of " + scheme.name) +
            "<figcaption>" + escape_html(scheme.name) + "</figcaption></figure>\n";
  }
  return html + "</div>\n";
}

std::string contact_sheet(const ComparisonResult& comparison) {
  const SchemeResult& reference = comparison.schemes.front();
  const std::vector<int64_t> frames = sheet_frames(reference.video.frames);
  std::string html = "<table class=\"sheet\"><thead><tr><th></th>";
  for (const int64_t frame : frames) html += fmt::format("<th>frame {}</th>", frame);
  html += "</tr></thead>\n<tbody>";
  for (const SchemeResult& scheme : comparison.schemes) {
    const std::string name = escape_html(scheme.name);
    html += "<tr><th>" + name + "</th>";
    for (const int64_t frame : frames) {
      const auto pixels = scheme.video.frame(frame);
      html += cell(scheme.video.size, {pixels.begin(), pixels.end()}, scheme.name, frame);
    }
    html += "</tr>\n";
    if (&scheme == &reference) continue;
    html += fmt::format("<tr><th>|{} − {}| × {}</th>", name, escape_html(reference.name),
                        kDifferenceGain);
    for (const int64_t frame : frames) {
      html += cell(scheme.video.size,
                   difference_picture(reference.video.frame(frame), scheme.video.frame(frame)),
                   "difference of " + scheme.name, frame);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table>\n";
}

}  // namespace mxvideo::evaluation
