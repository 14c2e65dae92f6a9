// Runs a fuzz target on every file of the folders that it is given: the corpus as an ordinary
// test. Fails when a folder is absent or empty; a defect aborts, as it would under libFuzzer.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "base/file/atomic_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  constexpr size_t kMaxInputBytes = 1 << 20;
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i], error)) {
      files.push_back(entry.path());
    }
    if (files.empty()) {
      std::cerr << argv[i] << ": no inputs\n";
      return 1;
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      const std::string input = mxvideo::read_file(file, kMaxInputBytes);
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
      ++inputs;
    }
  }
  std::cout << inputs << " inputs replayed\n";
  return inputs > 0 ? 0 : 1;
}
