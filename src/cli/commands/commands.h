// The sub-commands. Each add_… registers its options with the parser and returns what runs when the
// sub-command was given; the returned function throws Error and writes its result to stdout.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/cancellation.h"

namespace mxvideo::cli {

using Command = std::function<void()>;

Command add_generate(CLI::App& app, const CancellationToken& cancellation);
Command add_evaluate(CLI::App& app, const CancellationToken& cancellation);
Command add_quantize(CLI::App& app, const CancellationToken& cancellation);
Command add_repack(CLI::App& app, const CancellationToken& cancellation);
Command add_compare(CLI::App& app, const CancellationToken& cancellation);
Command add_bench(CLI::App& app, const CancellationToken& cancellation);
Command add_decode(CLI::App& app, const CancellationToken& cancellation);
Command add_plan(CLI::App& app);
Command add_inspect(CLI::App& app);
Command add_verify(CLI::App& app);
Command add_doctor(CLI::App& app);
Command add_version(CLI::App& app);

}  // namespace mxvideo::cli
