#include "media/image/image_writer.h"

#include <png.h>
#include <zlib.h>

#include <cctype>
#include <string>

#include "base/error.h"
#include "base/file/atomic_file.h"

namespace mxvideo::media {

namespace {

void append_number(std::string& text, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) text.push_back(static_cast<char>(value >> shift));
}

// Chunk iTXt (PNG specification, 11.3.4.5): keyword, not compressed, no language, UTF-8 text.
std::string text_chunk(std::string keyword, const std::string& text) {
  if (!keyword.empty()) keyword[0] = static_cast<char>(std::toupper(keyword[0]));
  const std::string content = "iTXt" + keyword + std::string(5, '\0') + text;
  std::string chunk;
  append_number(chunk, static_cast<uint32_t>(content.size() - 4));
  chunk += content;
  const auto* bytes = reinterpret_cast<const Bytef*>(content.data());
  append_number(chunk, static_cast<uint32_t>(crc32(0, bytes, static_cast<uInt>(content.size()))));
  return chunk;
}

// Before the last chunk, IEND, which is always the same 12 bytes.
void insert_texts(std::vector<std::byte>& file, const std::map<std::string, std::string>& texts) {
  constexpr std::ptrdiff_t kEndBytes = 12;
  for (const auto& [key, text] : texts) {
    const std::string chunk = text_chunk(key, text);
    const auto bytes = std::as_bytes(std::span(chunk));
    file.insert(file.end() - kEndBytes, bytes.begin(), bytes.end());
  }
}

}  // namespace

std::vector<std::byte> encode_png(ImageSize size, std::span<const uint8_t> pixels,
                                  const std::map<std::string, std::string>& texts) {
  check(size.height > 0 && size.width > 0 &&
            static_cast<int64_t>(pixels.size()) == size.height * size.width * 3,
        "pixels holds height * width * 3 bytes");
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(size.width);
  image.height = static_cast<png_uint_32>(size.height);
  image.format = PNG_FORMAT_RGB;
  std::vector<std::byte> file(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t bytes = file.size();
  if (png_image_write_to_memory(&image, file.data(), &bytes, 0, pixels.data(), 0, nullptr) == 0) {
    throw Error(Code::kOutOfMemory, std::string("cannot encode a PNG image: ") + image.message);
  }
  file.resize(bytes);
  insert_texts(file, texts);
  return file;
}

void write_png(const std::filesystem::path& path, const RgbImage& image) {
  const std::vector<std::byte> file = encode_png(image.size, image.pixels);
  AtomicFile output(path);
  output.write(file);
  output.commit();
}

}  // namespace mxvideo::media
