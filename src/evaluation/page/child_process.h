// Runs a program to its end with a given standard input. Thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mxvideo::evaluation {

struct ChildResult {
  int status = 0;  // exit status, or 128 and the number of the signal that ended it
  std::string output, errors;
};

// `program` is a path; no shell and no search are involved. The child's environment holds a UTF-8
// locale and nothing else. Throws Code::kUnsupported when it cannot be started, Code::kIo.
ChildResult run_child(const std::filesystem::path& program,
                      const std::vector<std::string>& arguments, std::string_view input);

}  // namespace mxvideo::evaluation
