// Names that people mistype: the known one that is nearest, for messages. Case does not count, and
// '_' is '-'. Pure functions; thread-safe.
//
// Distance: optimal string alignment (insertions, deletions, substitutions, swapped neighbours),
// Boytsov, "Indexing methods for approximate dictionary searching", ACM JEA 16 (2011), section 2.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo {

bool equal_any_case(std::string_view a, std::string_view b);

// Of `names` the one that equals `given` but for its case; empty without one. An exact match wins.
std::string find_any_case(std::string_view given, const std::vector<std::string>& names);

// Edits from `a` to `b`.
size_t edit_distance(std::string_view a, std::string_view b);

// Edits from the nearest text that the glob matches to `text`: '*' is any run of characters for
// nothing, '?' any one.
size_t glob_distance(std::string_view glob, std::string_view text);

// Of `names` the one that needs the fewest edits of `glob` to match; empty without names.
std::string nearest_to_glob(std::string_view glob, const std::vector<std::string>& names);

// The name that `given` was probably meant to be; empty when none is near. Near: at most a third of
// the letters edited, or `given` is some of the name's words ("frames" of "num-frames") or begins
// it.
std::string nearest_name(std::string_view given, const std::vector<std::string>& names);

// "; did you mean 'NAME'?" for the nearest, or nothing: the end of a message.
std::string did_you_mean(std::string_view given, const std::vector<std::string>& names);

// "a, b or c".
std::string join_names(const std::vector<std::string>& names);

}  // namespace mxvideo
