#include "tokenizer/repair/mojibake_detector.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "tokenizer/repair/mojibake_tables.h"

namespace mxvideo::tokenizer {
namespace {

// One character of a rule: in one of the classes or in the list.
struct CharacterSet {
  uint32_t classes = 0;
  std::u32string_view listed = {};

  bool contains(char32_t character, uint32_t character_classes) const {
    return (classes & character_classes) != 0 || listed.find(character) != listed.npos;
  }
};

constexpr CharacterSet operator|(CharacterSet set, std::u32string_view listed) {
  return {set.classes, listed};
}

constexpr CharacterSet in(uint32_t classes) { return {classes, {}}; }
constexpr CharacterSet one_of(std::u32string_view listed) { return {0, listed}; }

constexpr int kLongestRule = 7;

struct Rule {
  int length;
  CharacterSet sets[kLongestRule];
  bool at_start = false;
};

constexpr uint32_t kAccented = kLowerAccented | kUpperAccented;
constexpr uint32_t kPunctuation = kStartPunctuation | kEndPunctuation;
constexpr uint32_t kSymbols = kBox | kPunctuation | kCurrency | kNumeric | kLaw;
constexpr uint32_t kLatin = kLowerLatin | kUpperLatin;

constexpr CharacterSet kArabicLead = one_of(U"ØÙ");
constexpr CharacterSet kArabicSecond =
    in(kCommon | kCurrency | kBad | kNumeric | kStartPunctuation) | U"ŸŠ®°µ»";
constexpr CharacterSet kCyrillicLead = one_of(U"ВГРС");
constexpr CharacterSet kCyrillicSecond = in(kC1 | kBad | kPunctuation | kCurrency) | U"°µ";
constexpr CharacterSet kGreekLead = one_of(U"ΒΓΞΟ");
constexpr CharacterSet kGreekSecond = in(kC1 | kBad | kPunctuation | kCurrency) | U"°";
constexpr CharacterSet kPlainSpace = one_of(U" ");
constexpr CharacterSet kAOfC2OrC3 = one_of(U"ÃÂ");

// Unlikely sequences. First by class, then known pieces of Windows-1252, Mac Roman, Windows-1251,
// -1253 and -1257 mojibake.
constexpr Rule kRules[] = {
    {1, {in(kC1)}},
    {2, {in(kBad | kAccented | kSymbols), in(kBad)}},
    {3, {in(kLatin), in(kLowerCommon | kUpperCommon), in(kBad)}},
    {2, {in(kBad), in(kAccented | kSymbols)}},
    {2,
     {in(kLowerAccented | kLowerCommon | kBox | kEndPunctuation | kCurrency | kNumeric),
      in(kUpperAccented)}},
    {2, {in(kBox | kEndPunctuation | kCurrency | kNumeric), in(kLowerAccented)}},
    {2, {in(kLowerAccented | kBox | kEndPunctuation), in(kCurrency)}},
    {3, {in(kSpace), in(kUpperAccented), in(kCurrency)}},
    {2, {in(kUpperAccented | kBox), in(kNumeric | kLaw)}},
    {3, {in(kAccented | kBox | kCurrency | kEndPunctuation), in(kStartPunctuation), in(kNumeric)}},
    {3,
     {in(kAccented | kCurrency | kNumeric | kBox | kLaw), in(kEndPunctuation),
      in(kStartPunctuation)}},
    {2, {in(kCurrency | kNumeric | kBox), in(kStartPunctuation)}},
    {3, {in(kLowerLatin), in(kUpperAccented), in(kStartPunctuation | kCurrency)}},
    {2, {in(kBox), in(kKaomoji)}},
    {2, {in(kAccented | kCurrency | kNumeric | kPunctuation | kLaw), in(kBox)}},
    {2, {in(kBox), in(kEndPunctuation)}},
    {3, {in(kAccented), in(kPunctuation), in(kWord)}},
    {2, {one_of(U"Œœ"), in(kNotLatin)}},
    {2, {in(kUpperAccented), one_of(U"°")}},
    {2, {one_of(U"ÂÃÎÐ"), in(kPunctuation) | U"€œŠš¢£Ÿž\u00a0\u00ad®©°·»–—´"}},
    {2, {one_of(U"×"), one_of(U"²³")}},
    {4, {kArabicLead, kArabicSecond, kArabicLead, kArabicSecond}},
    {2, {one_of(U"à"), one_of(U"²µ¹¼½¾")}},
    {2, {one_of(U"√"), one_of(U"±∂†≠®™´≤≥¥µø")}},
    {2, {one_of(U"≈"), one_of(U"°¢")}},
    {3, {one_of(U"‚"), one_of(U"Ä"), one_of(U"ìîïòôúùû†°¢π")}},
    {3, {one_of(U"‚"), one_of(U"âó"), one_of(U"àä°ê")}},
    {2, {one_of(U"в"), one_of(U"Ђ")}},
    {3, {kCyrillicLead, kCyrillicSecond, kCyrillicLead}},
    {7,
     {one_of(U"Г"), one_of(U"ў"), one_of(U"В"), one_of(U"Ђ"), one_of(U"В"), in(kNotNewline),
      in(kLatin) | U" "}},
    {2, {one_of(U"Ã"), one_of(U"\u00a0¡")}},
    {3, {in(kLowerLatin), kAOfC2OrC3, kPlainSpace}},
    {4, {in(kLowerLatin), in(kSpace), kAOfC2OrC3, kPlainSpace}},
    {2, {kAOfC2OrC3, kPlainSpace}, true},
    {3, {in(kLowerLatin | kEndPunctuation) | U".,?!", one_of(U"Â"), in(kPunctuation) | U" "}},
    {3, {one_of(U"β"), one_of(U"€"), one_of(U"™\u00a0Ά\u00ad®°")}},
    {3, {kGreekLead, kGreekSecond, kGreekLead}},
    {2, {one_of(U"ā"), one_of(U"€")}},
};

bool matches(const Rule& rule, std::u32string_view text, const std::vector<uint32_t>& classes,
             size_t position) {
  if (rule.at_start && position != 0) return false;
  const auto length = static_cast<size_t>(rule.length);
  if (text.size() - position < length) return false;
  for (size_t i = 0; i < length; ++i) {
    if (!rule.sets[i].contains(text[position + i], classes[position + i])) return false;
  }
  return true;
}

// Length of one lead character with its continuations, 0 when there is none.
size_t lookalike_length(std::u32string_view text, size_t position) {
  constexpr uint32_t kLeads[] = {kFirstOf2, kFirstOf3, kFirstOf4};
  const uint32_t lead = character_classes(text[position]);
  size_t continuations = 0;
  while (continuations < 3 && position + continuations + 1 < text.size() &&
         (character_classes(text[position + continuations + 1]) & kContinuation) != 0) {
    ++continuations;
  }
  for (size_t wanted = 1; wanted <= 3; ++wanted) {
    if ((lead & kLeads[wanted - 1]) != 0 && continuations >= wanted) return wanted + 1;
  }
  return 0;
}

}  // namespace

bool looks_like_mojibake(std::u32string_view text) {
  std::vector<uint32_t> classes(text.size());
  std::transform(text.begin(), text.end(), classes.begin(), character_classes);
  for (size_t position = 0; position < text.size(); ++position) {
    const auto hit = [&](const Rule& rule) { return matches(rule, text, classes, position); };
    if (std::any_of(std::begin(kRules), std::end(kRules), hit)) return true;
  }
  return false;
}

TextRange find_utf8_lookalike(std::u32string_view text, size_t from) {
  for (size_t begin = from; begin < text.size(); ++begin) {
    // A run inside a longer garble is left alone.
    if (begin > 0 && (character_classes(text[begin - 1]) & kContinuationStrict) != 0) continue;
    size_t end = begin;
    while (end < text.size()) {
      const size_t length = lookalike_length(text, end);
      if (length == 0) break;
      end += length;
    }
    if (end > begin) return {begin, end};
  }
  return {text.size(), text.size()};
}

}  // namespace mxvideo::tokenizer
