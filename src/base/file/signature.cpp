#include "base/file/signature.h"

#include <algorithm>
#include <array>

namespace mxvideo {
namespace {

using enum FileFamily;
using std::string_view_literals::operator""sv;

// The first match counts: longer signatures come before their beginnings.
constexpr auto kSignatures = std::to_array<Signature>({
    {0, "\x89PNG\r\n\x1a\n"sv, "a PNG image", kPicture},
    {0, "\xff\xd8\xff"sv, "a JPEG image", kPicture},
    {0, "GIF8"sv, "a GIF image", kPicture},
    {0, "BM"sv, "a BMP image", kPicture},
    {0, "II*\0\x10\0\0\0CR"sv, "a camera's raw image (CR2)", kCameraRaw},
    {0, "II*\0"sv, "a TIFF image", kPicture},
    {0, "MM\0*"sv, "a TIFF image", kPicture},
    {0, "II+\0"sv, "a TIFF image (BigTIFF)", kPicture},
    {0, "MM\0+"sv, "a TIFF image (BigTIFF)", kPicture},
    {0, "FUJIFILMCCD-RAW"sv, "a camera's raw image (RAF)", kCameraRaw},
    {4, "ftypcrx "sv, "a camera's raw image (CR3)", kCameraRaw},
    {4, "ftyphev"sv, "a HEIC animation", kMoving},
    {4, "ftypmsf1"sv, "a HEIF animation", kMoving},
    {4, "ftypqt"sv, "a QuickTime video", kMoving},
    {4, "ftyp"sv, "an MP4 video", kMoving},
    {4, "moov"sv, "a QuickTime video", kMoving},
    {4, "mdat"sv, "a QuickTime video", kMoving},
    {0, "\x1a\x45\xdf\xa3"sv, "a Matroska or WebM video", kMoving},
    {8, "AVI "sv, "an AVI video", kMoving},
    {0, "FLV\x01"sv, "a Flash video", kMoving},
    {0, "YUV4MPEG2"sv, "a Y4M video", kMoving},
    {0, "\0\0\x01\xba"sv, "an MPEG video", kMoving},
    {0, "\0\0\x01\xb3"sv, "an MPEG video", kMoving},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"sv, "a WMV video", kMoving},
    {0, "OggS"sv, "an Ogg file", kMoving},
    {0, "\0\0\0\x0cJXL "sv, "a JPEG XL image", kPicture},
    {0, "\xff\x0a"sv, "a JPEG XL image", kPicture},
    {0, "\0\0\0\x0cjP  "sv, "a JPEG 2000 image", kPicture},
    {0, "\xff\x4f\xff\x51"sv, "a JPEG 2000 image", kPicture},
    {0, "\x76\x2f\x31\x01"sv, "an OpenEXR image", kPicture},
    {0, "#?RADIANCE"sv, "a Radiance HDR image", kPicture},
    {0, "qoif"sv, "a QOI image", kPicture},
    {0, "DDS "sv, "a DDS image", kPicture},
    {0, "\0\0\x01\0"sv, "a Windows icon", kPicture},
    {0, "8BPS"sv, "a Photoshop document", kDocument},
    {0, "gimp xcf"sv, "a GIMP document", kDocument},
    {0, "%PDF-"sv, "a PDF document", kDocument},
    {0, "%!PS"sv, "a PostScript document", kDocument},
    {0, "GGUF"sv, "a GGUF file", kWeights},
    {0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file (Keras .h5)", kWeights},
    {0, "\x93NUMPY"sv, "a NumPy file (.npy)", kWeights},
    {8, "{\""sv, "a safetensors file", kWeights},
    {0, "PK\x03\x04"sv, "a ZIP archive", kArchive},
    {0, "\x1f\x8b"sv, "a gzip file", kArchive},
    {0, "\x28\xb5\x2f\xfd"sv, "a zstd file", kArchive},
    {0, "\xfd\x37zXZ\0"sv, "an xz file", kArchive},
    {0, "7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive", kArchive},
    {0, "Rar!\x1a"sv, "a RAR archive", kArchive},
    {0,
     "\x7f"
     "ELF"sv,
     "a program", kProgram},
});

}  // namespace

const Signature* find_signature(std::string_view beginning) {
  const auto* const found = std::ranges::find_if(kSignatures, [&](const Signature& signature) {
    return beginning.size() > signature.offset &&
           beginning.substr(signature.offset).starts_with(signature.bytes);
  });
  return found == kSignatures.end() ? nullptr : found;
}

}  // namespace mxvideo
