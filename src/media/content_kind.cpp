#include "media/content_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

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

struct Signature {
  size_t offset;
  std::string_view bytes;
  const char* name;
  const char* way_on;
};

// The first match counts: longer signatures come before their beginnings.
constexpr auto kSignatures = std::to_array<Signature>({
    {0, "GIF8"sv, "a GIF image", kConvert},
    {0, "BM"sv, "a BMP image", kConvert},
    {0, "II*\0\x10\0\0\0CR"sv, "a camera's raw image (CR2)", kExport},
    {0, "II*\0"sv, "a TIFF image", kConvert},
    {0, "MM\0*"sv, "a TIFF image", kConvert},
    {0, "II+\0"sv, "a TIFF image (BigTIFF)", kConvert},
    {0, "MM\0+"sv, "a TIFF image (BigTIFF)", kConvert},
    {0, "FUJIFILMCCD-RAW"sv, "a camera's raw image (RAF)", kExport},
    {4, "ftypcrx "sv, "a camera's raw image (CR3)", kExport},
    {4, "ftyphev"sv, "a HEIC animation", kFirstFrame},
    {4, "ftypmsf1"sv, "a HEIF animation", kFirstFrame},
    {4, "ftypqt"sv, "a QuickTime video", kFirstFrame},
    {4, "ftyp"sv, "an MP4 video", kFirstFrame},
    {4, "moov"sv, "a QuickTime video", kFirstFrame},
    {4, "mdat"sv, "a QuickTime video", kFirstFrame},
    {0, "\x1a\x45\xdf\xa3"sv, "a Matroska or WebM video", kFirstFrame},
    {8, "AVI "sv, "an AVI video", kFirstFrame},
    {0, "FLV\x01"sv, "a Flash video", kFirstFrame},
    {0, "YUV4MPEG2"sv, "a Y4M video", kFirstFrame},
    {0, "\0\0\x01\xba"sv, "an MPEG video", kFirstFrame},
    {0, "\0\0\x01\xb3"sv, "an MPEG video", kFirstFrame},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"sv, "a WMV video", kFirstFrame},
    {0, "OggS"sv, "an Ogg file", kFirstFrame},
    {0, "\0\0\0\x0cJXL "sv, "a JPEG XL image", "convert it to PNG, say with: djxl FILE FILE.png"},
    {0, "\xff\x0a"sv, "a JPEG XL image", "convert it to PNG, say with: djxl FILE FILE.png"},
    {0, "\0\0\0\x0cjP  "sv, "a JPEG 2000 image", kConvert},
    {0, "\xff\x4f\xff\x51"sv, "a JPEG 2000 image", kConvert},
    {0, "\x76\x2f\x31\x01"sv, "an OpenEXR image", kConvert},
    {0, "#?RADIANCE"sv, "a Radiance HDR image", kConvert},
    {0, "qoif"sv, "a QOI image", kConvert},
    {0, "DDS "sv, "a DDS image", kConvert},
    {0, "\0\0\x01\0"sv, "a Windows icon", kConvert},
    {0, "8BPS"sv, "a Photoshop document", kExport},
    {0, "gimp xcf"sv, "a GIMP document", kExport},
    {0, "%PDF-"sv, "a PDF document", "render a page to PNG, say with: pdftoppm -png FILE FILE"},
    {0, "%!PS"sv, "a PostScript document", kExport},
    {0, "GGUF"sv, "model weights (GGUF)", kOther},
    {0, "\x89HDF"sv, "an HDF5 file", kOther},
    {0, "PK\x03\x04"sv, "a ZIP archive", "unpack it and give the path of the picture"},
    {0, "\x1f\x8b"sv, "a gzip file", "unpack it and give the path of the picture"},
    {0, "7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive", "unpack it and give the path of the picture"},
    {0, "Rar!"sv, "a RAR archive", "unpack it and give the path of the picture"},
    {0, "version https://git-lfs"sv, "a Git LFS pointer, not the file itself",
     "fetch it with: git lfs pull"},
    {8, "{\""sv, "a safetensors file", kOther},
    {0,
     "\x7f"
     "ELF"sv,
     "a program", kOther},
});

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
  for (const Signature& signature : kSignatures) {
    if (text.size() <= signature.offset) continue;
    if (text.substr(signature.offset).starts_with(signature.bytes)) {
      return {signature.name, signature.way_on};
    }
  }
  if (std::ranges::all_of(text, [](char c) { return c == '\0'; })) {
    return {"zeros only", "fetch it again; the download was not finished"};
  }
  if (is_text(text)) return text_kind(text);
  return {"an unknown format", kConvert};
}

}  // namespace mxvideo::media
