#include "exports/export_script.h"

#include <map>
#include <stdexcept>

#include "support/golden_file.h"
#include "support/test_support.h"

namespace mxvideo::test {

ProcessResult run_export_script(const std::vector<std::string>& arguments) {
  // numpy would start threads that have nothing to do here.
  ProcessOptions options{.program = MXVIDEO_PYTHON,
                         .arguments = {"-B", MXVIDEO_EXPORT_SCRIPT},
                         .environment = {{"OPENBLAS_NUM_THREADS", "1"}}};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  return run_process(options);
}

void export_script(const std::vector<std::string>& arguments) {
  const ProcessResult result = run_export_script(arguments);
  if (result.exit_code != 0) {
    throw std::runtime_error("export.py " + arguments.at(0) + ": " + result.err);
  }
}

std::filesystem::path cached_export(const std::string& form, const std::string& variant,
                                    const std::vector<std::string>& options) {
  static const TemporaryDirectory kFolder;
  static std::map<std::vector<std::string>, std::filesystem::path> made;
  std::vector<std::string> key = {form, variant};
  key.insert(key.end(), options.begin(), options.end());
  if (const auto found = made.find(key); found != made.end()) return found->second;
  const std::string model = golden_path("models/" + variant);
  std::vector<std::string> command = {form, model};
  if (form == "sglang")
    command.insert(command.begin() + 1, cached_export("modelslim", variant, options));
  const std::filesystem::path out = kFolder.path() / std::to_string(made.size());
  command.push_back(out);
  if (form != "sglang") command.insert(command.end(), options.begin(), options.end());
  export_script(command);
  return made.emplace(key, out).first->second;
}

std::string tensor_differences(const std::filesystem::path& left,
                               const std::filesystem::path& right, const std::string& ignore) {
  std::vector<std::string> arguments = {"compare", left, right};
  if (!ignore.empty()) arguments.insert(arguments.end(), {"--ignore", ignore});
  const ProcessResult result = run_export_script(arguments);
  if (result.exit_code == 0) return "";
  if (result.out.empty()) throw std::runtime_error("export.py compare: " + result.err);
  return result.out;
}

void dequantize_with_script(const std::filesystem::path& weights,
                            const std::filesystem::path& target) {
  export_script({"dequantize", weights, target});
}

}  // namespace mxvideo::test
