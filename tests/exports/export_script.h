// Runs tests/exports/export.py, the independent maker and reader of quantized checkpoints.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/process.h"

namespace mxvideo::test {

// The result of the script, whatever its exit status.
ProcessResult run_export_script(const std::vector<std::string>& arguments);

// Throws std::runtime_error with what the script said unless it succeeds.
void export_script(const std::vector<std::string>& arguments);

// What the script makes of tests/golden/models/<variant> in this form ("modelslim", "sglang",
// "comfy", "config") with these options: a folder that is made once per test binary; read-only.
std::filesystem::path cached_export(const std::string& form, const std::string& variant,
                                    const std::vector<std::string>& options = {});

// "tensor: how it differs" lines of two files or folders of safetensors files, by the script; empty
// when they hold the same tensors. Tensors that match a glob of `ignore` do not count.
std::string tensor_differences(const std::filesystem::path& left,
                               const std::filesystem::path& right, const std::string& ignore = "");

// One transformer (file or folder) in any form that the script makes, as F32 with Diffusers names.
void dequantize_with_script(const std::filesystem::path& weights,
                            const std::filesystem::path& target);

}  // namespace mxvideo::test
