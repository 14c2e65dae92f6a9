#include "base/file/file_kind.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/file/signature.h"
#include "base/text/quote.h"

namespace mxvideo {
namespace {

constexpr size_t kHeadBytes = 4096;
constexpr size_t kMaxTextBytes = 1u << 16;  // text in the place of weights is a short answer
constexpr size_t kQuotedBytes = 100;

constexpr std::string_view kTakeSafetensors =
    "mxvideo reads weights from safetensors files: take those of the same model";
constexpr std::string_view kDownloadAgain = "download it again";

constexpr std::string_view kUnpack = "unpack it first";
constexpr std::string_view kNoWeights = "it holds no weights";

std::optional<FileKind> recognise_signature(std::string_view head) {
  const Signature* known = find_signature(head);
  if (known == nullptr || known->offset != 0) return std::nullopt;
  const bool archive = known->family == FileFamily::kArchive;
  if (!archive && !known->is_distinct()) return std::nullopt;
  const bool weights = known->family == FileFamily::kWeights;
  return FileKind{.code = Code::kUnsupported,
                  .what = "is " + std::string(known->name),
                  .way_on = std::string(weights   ? kTakeSafetensors
                                        : archive ? kUnpack
                                                  : kNoWeights)};
}

std::string_view head_of(std::span<const std::byte> file) {
  return {reinterpret_cast<const char*>(file.data()), std::min(file.size(), kHeadBytes)};
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char expected, char got) {
           return expected == std::tolower(static_cast<unsigned char>(got));
         });
}

std::string_view without_white_space_in_front(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first == text.npos ? std::string_view() : text.substr(first);
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

// The rest of the first line that begins with `key`; empty without one.
std::string_view line_value(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    if (line.starts_with(key)) return line.substr(key.size());
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return {};
}

std::optional<FileKind> recognise_placeholder(std::string_view head) {
  if (head.starts_with("version https://git-lfs") || head.starts_with("version http://git-media") ||
      head.starts_with("version https://hawser")) {
    const std::string size(line_value(head, "size "));
    return FileKind{.what = "is a Git LFS pointer" +
                            (size.empty() ? "" : " to " + printable(size, 24) + " bytes") +
                            ", not the file itself",
                    .way_on = "get it with: git lfs pull"};
  }
  if (first_line(head).find("/annex/objects/") != head.npos && head.front() == '/') {
    return FileKind{.what = "is a git-annex pointer, not the file itself",
                    .way_on = "get it with: git annex get"};
  }
  return std::nullopt;
}

// A page or an error that a server answered with.
std::optional<FileKind> recognise_answer(std::string_view head) {
  const std::string_view text = without_white_space_in_front(head);
  constexpr std::array<std::string_view, 5> kHtml = {"<!doctype html", "<html", "<head", "<body",
                                                     "<!--"};
  const bool html = std::ranges::any_of(
      kHtml, [&](std::string_view tag) { return starts_with_ignoring_case(text, tag); });
  const bool xml = starts_with_ignoring_case(text, "<?xml");
  if (!html && !xml) return std::nullopt;
  return FileKind{.what = html ? "is a web page (HTML), not the file itself"
                               : "is an XML document, not the file itself",
                  .way_on =
                      "a server answered with it instead of the file (a model that needs a "
                      "login, or an expired link); log in and download it again"};
}

// The name of the first record of a zip archive: APPNOTE 4.3.7.
std::string_view first_zip_record(std::string_view head) {
  constexpr size_t kLengthOffset = 26, kNameOffset = 30;
  if (head.size() < kNameOffset) return {};
  const auto low = static_cast<unsigned char>(head[kLengthOffset]);
  const auto high = static_cast<unsigned char>(head[kLengthOffset + 1]);
  return head.substr(kNameOffset, low | static_cast<size_t>(high) << 8);
}

FileKind pickled(std::string what) {
  return {.code = Code::kUnsupported,
          .what = std::move(what),
          .way_on =
              "mxvideo loads no pickles, which can run code: take the model's safetensors "
              "files, or convert this file with safetensors.torch.save_file"};
}

std::optional<FileKind> recognise_archive(std::string_view head) {
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) {
    const std::string_view record = first_zip_record(head);
    if (record.ends_with("data.pkl")) {
      return pickled("is a PyTorch checkpoint (.pt, .pth, .bin: a zip archive with a pickle)");
    }
    return FileKind{
        .code = Code::kUnsupported,
        .what = record.ends_with(".npy") ? "is a NumPy archive (.npz)" : "is a zip archive",
        .way_on = std::string(record.ends_with(".npy") ? kTakeSafetensors : kUnpack)};
  }
  constexpr char kProto = '\x80', kOldest = 2, kNewest = 5;
  if (head.size() > 2 && head[0] == kProto && head[1] >= kOldest && head[1] <= kNewest) {
    return pickled("is a Python pickle (an old PyTorch .pt, .pth or .bin)");
  }
  constexpr size_t kTarOffset = 257;
  if (head.size() > kTarOffset && head.substr(kTarOffset).starts_with("ustar")) {
    return FileKind{
        .code = Code::kUnsupported, .what = "is a tar archive", .way_on = std::string(kUnpack)};
  }
  return std::nullopt;
}

// UTF-8 without control characters but those of white space.
bool is_text(std::string_view head) {
  std::string line(head);
  std::erase_if(line, [](char c) { return c == '\n' || c == '\r' || c == '\t'; });
  return printable(line, 2 * kHeadBytes) == line;
}

}  // namespace

std::optional<FileKind> recognise_container(std::span<const std::byte> file) {
  const std::string_view head = head_of(file);
  if (head.empty()) return std::nullopt;
  if (auto kind = recognise_archive(head)) return kind;
  if (auto kind = recognise_signature(head)) return kind;
  if (auto kind = recognise_placeholder(head)) return kind;
  if (auto kind = recognise_answer(head)) return kind;
  if (std::ranges::all_of(head, [](char c) { return c == '\0'; })) {
    return FileKind{.what = file.size() > head.size()
                                ? "begins with " + std::to_string(head.size()) + " zero bytes"
                                : "holds nothing but zeros",
                    .way_on = "a download or copy was not finished"};
  }
  return std::nullopt;
}

std::optional<FileKind> recognise_in_place_of_binary(std::span<const std::byte> file) {
  if (file.empty()) {
    return FileKind{.what = "is an empty file", .way_on = std::string(kDownloadAgain)};
  }
  if (auto kind = recognise_container(file)) return kind;
  const std::string_view head = head_of(file);
  if (file.size() > kMaxTextBytes && !head.starts_with('{')) return std::nullopt;
  if (!is_text(head)) return std::nullopt;
  if (head.starts_with('{') && head.find("\"weight_map\"") != head.npos) {
    return FileKind{.what = "is the index of a sharded checkpoint, not a file of weights",
                    .way_on = "name the folder that holds it and its shards"};
  }
  return FileKind{.what = "is text, not a binary file: '" +
                          printable(first_line(without_white_space_in_front(head)), kQuotedBytes) +
                          "'",
                  .way_on = std::string(kDownloadAgain)};
}

void refuse_in_place_of_binary(std::span<const std::byte> file, const std::string& origin) {
  if (const auto kind = recognise_in_place_of_binary(file)) {
    throw Error(kind->code, origin + ": " + kind->sentence());
  }
}

}  // namespace mxvideo
