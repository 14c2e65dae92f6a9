#include "tokenizer/precompiled_normalizer.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "tokenizer/unicode_text.h"

namespace mxvideo::tokenizer {
namespace {

constexpr size_t kWholeGraphemeBytes = 6;  // shorter ones are looked up as a whole

// One unit of a Darts double array.
struct Unit {
  uint32_t bits;
  bool has_leaf() const { return (bits >> 8 & 1) != 0; }
  uint32_t value() const { return bits & 0x7fffffff; }
  uint32_t label() const { return bits & 0x800000ff; }
  uint32_t offset() const { return (bits >> 10) << ((bits & 0x200) >> 6); }
};

struct CloseText {
  void operator()(UText* text) const { utext_close(text); }
};

}  // namespace

PrecompiledNormalizer::PrecompiledNormalizer(std::string_view table, std::string origin)
    : origin_(std::move(origin)) {
  if (table.empty()) return;
  uint32_t trie_bytes = 0;
  const bool has_size = table.size() >= sizeof(trie_bytes);
  if (has_size) std::memcpy(&trie_bytes, table.data(), sizeof(trie_bytes));
  const size_t available = has_size ? table.size() - sizeof(trie_bytes) : 0;
  if (trie_bytes == 0 || trie_bytes % sizeof(uint32_t) != 0 || trie_bytes > available) fail();
  units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(units_.data(), table.data() + sizeof(trie_bytes), trie_bytes);
  replacements_ = std::string(table.substr(sizeof(trie_bytes) + trie_bytes));
}

void PrecompiledNormalizer::fail() const {
  throw Error(Code::kCorruptFile, origin_ + ": the normaliser table is damaged");
}

std::optional<std::string_view> PrecompiledNormalizer::find(std::string_view text) const {
  size_t node = Unit{units_[0]}.offset();
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return {};
    node ^= byte;
    if (node >= units_.size()) fail();
    const Unit unit{units_[node]};
    if (unit.label() != byte) return {};
    node ^= unit.offset();
    if (!unit.has_leaf()) continue;
    if (node >= units_.size()) fail();
    const size_t begin = Unit{units_[node]}.value();
    if (begin > replacements_.size()) fail();
    const size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
    return std::string_view(replacements_).substr(begin, end - begin);
  }
  return {};
}

std::string PrecompiledNormalizer::normalize(std::string_view text) const {
  if (units_.empty() || text.empty()) return std::string(text);
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> graphemes(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  const std::unique_ptr<UText, CloseText> utext(
      utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status));
  if (U_SUCCESS(status)) graphemes->setText(utext.get(), status);
  check(U_SUCCESS(status) != 0, "ICU splits text into graphemes");

  std::string out;
  out.reserve(text.size());
  for (int32_t begin = graphemes->first(), end = graphemes->next(); end != icu::BreakIterator::DONE;
       begin = end, end = graphemes->next()) {
    const std::string_view grapheme =
        text.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    if (grapheme.size() < kWholeGraphemeBytes) {
      if (const auto replacement = find(grapheme)) {
        out += *replacement;
        continue;
      }
    }
    for (size_t position = 0; position < grapheme.size();) {
      const size_t start = position;
      check(decode_utf8_character(grapheme, position).has_value(), "text is UTF-8");
      const std::string_view character = grapheme.substr(start, position - start);
      out += find(character).value_or(character);
    }
  }
  if (!decode_utf8(out)) fail();
  return out;
}

}  // namespace mxvideo::tokenizer
