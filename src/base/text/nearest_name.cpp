#include "base/text/nearest_name.h"

#include <algorithm>
#include <cctype>

namespace mxvideo {
namespace {

constexpr size_t kLongest = 256;  // of a text that is compared at all

std::string folded(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, kLongest)) {
    result += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return result;
}

// Of flags only the words count.
std::string without_dashes(std::string text) {
  text.erase(0, text.find_first_not_of('-'));
  return text;
}

// `with_globs`: what '*' and '?' of `a` match costs nothing.
size_t distance(const std::string& a, const std::string& b, bool with_globs) {
  std::vector<size_t> before, last, row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::move(last);
    last = std::move(row);
    row.assign(b.size() + 1, 0);
    const char c = a[i - 1];
    const bool any = with_globs && c == '*';
    row[0] = last[0] + (any ? 0 : 1);
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = c == b[j - 1] || (with_globs && c == '?');
      const size_t remove = last[j] + (any ? 0 : 1);
      const size_t insert = row[j - 1] + (any ? 0 : 1);
      row[j] = std::min({remove, insert, last[j - 1] + (same || any ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && c == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

// Whether `part` is one or more whole words of `name`, between '-', '.', '/' and '@'.
bool is_words_of(const std::string& part, const std::string& name) {
  const auto is_edge = [&](size_t at) {
    return at >= name.size() || !std::isalnum(static_cast<unsigned char>(name[at]));
  };
  for (size_t at = name.find(part); at != std::string::npos; at = name.find(part, at + 1)) {
    if ((at == 0 || is_edge(at - 1)) && is_edge(at + part.size())) return true;
  }
  return false;
}

}  // namespace

bool equal_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string find_any_case(std::string_view given, const std::vector<std::string>& names) {
  const auto exact = std::ranges::find(names, given);
  if (exact != names.end()) return *exact;
  const auto found = std::ranges::find_if(
      names, [&](const std::string& name) { return equal_any_case(given, name); });
  return found == names.end() ? std::string() : *found;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  return distance(folded(a), folded(b), false);
}

size_t glob_distance(std::string_view glob, std::string_view text) {
  return distance(folded(glob), folded(text), true);
}

std::string nearest_to_glob(std::string_view glob, const std::vector<std::string>& names) {
  const auto nearest = std::ranges::min_element(
      names, {}, [&](const std::string& name) { return glob_distance(glob, name); });
  return nearest == names.end() ? std::string() : *nearest;
}

std::string nearest_name(std::string_view given, const std::vector<std::string>& names) {
  const std::string text = without_dashes(folded(given));
  if (text.empty()) return {};
  constexpr size_t kShortestPart = 3;
  std::string nearest;
  size_t best = 0;
  for (const std::string& name : names) {
    const std::string known = without_dashes(folded(name));
    // In half edits, so that a beginning or a word stands behind one edit and before two.
    size_t cost = 2 * distance(text, known, false);
    const bool close = cost <= 2 * std::max<size_t>(1, std::max(text.size(), known.size()) / 3);
    const bool part = text.size() >= kShortestPart &&
                      (known.starts_with(text) || is_words_of(text, known) ||
                       (known.size() >= kShortestPart && is_words_of(known, text)));
    if (!close && !part) continue;
    if (part) cost = std::min<size_t>(cost, 3);
    if (nearest.empty() || cost < best) {
      nearest = name;
      best = cost;
    }
  }
  return nearest;
}

std::string did_you_mean(std::string_view given, const std::vector<std::string>& names) {
  const std::string nearest = nearest_name(given, names);
  return nearest.empty() ? std::string() : "; did you mean '" + nearest + "'?";
}

std::string join_names(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  return text;
}

}  // namespace mxvideo
