#include "evaluation/page/html.h"

#include <openssl/evp.h>

#include "base/text/quote.h"

namespace mxvideo::evaluation {
namespace {

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // with the terminator of OpenSSL
  constexpr size_t kPiece = size_t{3} << 20;               // a multiple of 3: no padding inside
  size_t end = 0;
  for (size_t first = 0; first < bytes.size(); first += kPiece) {
    const std::string_view piece = bytes.substr(first, kPiece);
    const int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data() + end),
                                        reinterpret_cast<const unsigned char*>(piece.data()),
                                        static_cast<int>(piece.size()));
    end += static_cast<size_t>(written);
  }
  text.resize(end);
  return text;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string result;
  for (const char c : printable(text, 4 * text.size() + 4)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\'':
        result += "&#39;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string inline_image(std::string_view type, std::string_view bytes,
                         std::string_view alternative) {
  std::string result = "<img alt=\"";
  result += escape_html(alternative);
  result += "\" src=\"data:";
  result += type;
  result += ";base64,";
  result += base64(bytes);
  return result + "\"/>";
}

std::string inline_image(std::string_view type, std::span<const std::byte> bytes,
                         std::string_view alternative) {
  return inline_image(type, {reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                      alternative);
}

}  // namespace mxvideo::evaluation
