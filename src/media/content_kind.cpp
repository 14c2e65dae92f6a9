#include "media/content_kind.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/file/signature.h"

namespace mxvideo::media {
namespace {

using std::string_view_literals::operator""sv;

constexpr const char* kConvert = "convert it to PNG, say with: ffmpeg -i FILE -frames:v 1 FILE.png";
constexpr const char* kFirstFrame =
    "take one frame of it, say with: ffmpeg -i FILE -frames:v 1 FILE.png";
constexpr const char* kExport = "export it as PNG from the program that made it";
constexpr const char* kRender = "render it to PNG, say with rsvg-convert or Inkscape";
constexpr const char* kDownload = "download the picture itself";
constexpr const char* kOther = "give the path of a picture";

constexpr const char* kUnpack = "unpack it and give the path of the picture";

std::string way_on(const Signature& signature) {
  if (signature.name == "a JPEG XL image") return "convert it to PNG, say with: djxl FILE FILE.png";
  if (signature.name == "a PDF document") {
    return "render a page to PNG, say with: pdftoppm -png FILE FILE";
  }
  switch (signature.family) {
    case FileFamily::kPicture:
      return kConvert;
    case FileFamily::kMoving:
      return kFirstFrame;
    case FileFamily::kCameraRaw:
    case FileFamily::kDocument:
      return kExport;
    case FileFamily::kArchive:
      return kUnpack;
    case FileFamily::kWeights:
    case FileFamily::kProgram:
      break;
  }
  return kOther;
}

// The beginning in lower case, without a byte order mark and white space.
std::string beginning(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf"sv)) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n"sv);
  text = first == std::string_view::npos ? ""sv : text.substr(first, 4096);
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

bool is_text(std::string_view text) {
  return std::ranges::none_of(text.substr(0, 4096), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
  });
}

ContentKind text_kind(std::string_view text) {
  const std::string start = beginning(text);
  const auto has = [&](std::string_view part) { return start.find(part) != std::string::npos; };
  if (start.starts_with("<svg") || (start.starts_with("<") && has("<svg"))) {
    if (!has("<html")) return {"an SVG drawing", kRender};
  }
  if (start.starts_with("<!doctype html") || has("<html") || has("<head") || has("<body")) {
    return {"a web page (HTML)", kDownload};
  }
  if (start.starts_with("<?xml")) return {"an XML document", kDownload};
  if (start.starts_with("{") || start.starts_with("[")) return {"JSON text", kDownload};
  if (start.starts_with("data:image/")) return {"a data: URL as text", "decode it to a file"};
  if (start.starts_with("http://") || start.starts_with("https://")) {
    return {"a web address as text", kDownload};
  }
  return {"text", kOther};
}

}  // namespace

ContentKind content_kind(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {"an empty file", kDownload};
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const Signature* known = find_signature(text)) {
    return {std::string(known->name), way_on(*known)};
  }
  if (text.starts_with("version https://git-lfs")) {
    return {"a Git LFS pointer, not the file itself", "fetch it with: git lfs pull"};
  }
  if (std::ranges::all_of(text, [](char c) { return c == '\0'; })) {
    return {"zeros only", "fetch it again; the download was not finished"};
  }
  if (is_text(text)) return text_kind(text);
  return {"an unknown format", kConvert};
}

}  // namespace mxvideo::media
