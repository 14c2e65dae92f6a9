#include "media/image_writer.h"

#include <png.h>

#include <string>

#include "base/atomic_file.h"
#include "base/error.h"

namespace mxvideo::media {

std::vector<std::byte> encode_png(pipeline::ImageSize size, std::span<const uint8_t> pixels) {
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
  return file;
}

void write_png(const std::filesystem::path& path, const pipeline::RgbImage& image) {
  const std::vector<std::byte> file = encode_png(image.size, image.pixels);
  AtomicFile output(path);
  output.write(file);
  output.commit();
}

}  // namespace mxvideo::media
