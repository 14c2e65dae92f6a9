// Names of request fields and options inside messages. Code below the fronts says
// field("num_frames"); each front spells it its way: --num-frames on a command line, num_frames in
// JSON. Pure functions; thread-safe.
//
// A name lies between two of Unicode's noncharacters (U+FDD0, U+FDD1), which are for use inside a
// program only; what shows a message or writes one into a file spells it first.
#pragma once

#include <string>
#include <string_view>

namespace mxvideo {

// `name` (snake case), marked.
std::string field(std::string_view name);

// The first name that `text` marks; empty without one.
std::string first_field(std::string_view text);

// How a front shows a name.
using FieldSpelling = std::string (*)(std::string_view name);

// `text` with every marked name as `spelling` shows it, and without marks.
std::string spell_fields(std::string_view text, FieldSpelling spelling);

}  // namespace mxvideo
