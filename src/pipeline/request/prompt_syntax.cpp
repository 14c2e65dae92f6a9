#include "pipeline/request/prompt_syntax.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace mxvideo::pipeline {
namespace {

constexpr size_t kLongest = 200;  // bytes between brackets that are still one command
constexpr auto kNone = std::string_view::npos;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "1.5", "0.25", ".5", with spaces around.
bool is_weight(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const auto dots = std::ranges::count(text, '.');
  return !text.empty() && dots <= 1 && std::ranges::any_of(text, is_digit) &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; });
}

// The first "OPEN … : number CLOSE" with at least `colons` colons; empty: none. Times of day and
// ratios ("10:30", "16:9") are no commands.
std::string_view find_weight(std::string_view prompt, char open, char close, int64_t colons) {
  for (size_t begin = prompt.find(open); begin != kNone; begin = prompt.find(open, begin + 1)) {
    const std::string_view rest = prompt.substr(begin, kLongest);
    const size_t end = rest.find(close);
    if (end == kNone) continue;
    const std::string_view inside = rest.substr(1, end - 1);
    const size_t colon = inside.rfind(':');
    if (colon == kNone || colon == 0 || is_digit(inside[colon - 1])) continue;
    if (std::ranges::count(inside, ':') < colons || inside.find(open) != kNone) continue;
    if (is_weight(inside.substr(colon + 1))) return rest.substr(0, end + 1);
  }
  return {};
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

void refuse_networks(std::string_view which, std::string_view prompt) {
  const std::string text = lower(prompt);
  for (const char* word : {"<lora:", "<lyco:", "<hypernet:"}) {
    const size_t begin = text.find(word);
    if (begin == std::string::npos) continue;
    const std::string_view rest = prompt.substr(begin, kLongest);
    const std::string quoted(rest.substr(0, std::min(rest.find('>'), rest.size() - 1) + 1));
    throw Error(Code::kInvalidArgument,
                std::string(which) + ": '" + quoted +
                    "' asks for an additional network, which this program does not load; take it "
                    "out, or merge the LoRA into the transformer's weights first");
  }
}

}  // namespace

void check_prompt_syntax(std::string_view which, std::string_view prompt,
                         std::vector<std::string>& notices) {
  refuse_networks(which, prompt);
  const auto note = [&](std::string_view quoted, const char* what) {
    if (quoted.empty()) return;
    notices.push_back("the " + std::string(which) + "'s '" + std::string(quoted) +
                      "' is read as it stands: " + what + " mean nothing to this model");
  };
  note(find_weight(prompt, '(', ')', 1), "weights in parentheses");
  note(find_weight(prompt, '[', ']', 2), "schedules in brackets");
  const size_t embedding = prompt.find("embedding:");
  if (embedding == kNone || prompt.substr(embedding).starts_with("embedding: ")) return;
  const std::string_view rest = prompt.substr(embedding, kLongest);
  note(rest.substr(0, rest.find_first_of(" ,)>")), "names of embeddings");
}

}  // namespace mxvideo::pipeline
