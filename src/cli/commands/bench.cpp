// mxvideo bench: how fast this machine computes what a generation is made of, as rates, as
// fractions of what its units can do at best, and beside oneDNN.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "bench/attention_bench.h"
#include "bench/gemm_bench.h"
#include "bench/model/load_bench.h"
#include "bench/model/step_bench.h"
#include "bench/model/text_bench.h"
#include "bench/model/vae_bench.h"
#include "cli/commands/bench_check.h"
#include "cli/commands/bench_table.h"
#include "cli/commands/commands.h"
#include "cli/flags/generation_flags.h"
#include "cli/json_text.h"
#include "cli/progress.h"
#include "cli/spelling.h"
#include "cli/threads.h"
#include "kernels/registry.h"

namespace mxvideo::cli {
namespace {

using bench::BenchOptions;
using Json = nlohmann::ordered_json;

struct CommonFlags {
  int threads = 0;  // 0: all
  int repeats = 5;
  bool json = false;
  ProgressFlags progress;
  const CancellationToken* cancellation = nullptr;
};

struct ModelFlags {
  std::string scheme = quantization::kSmallScheme;
  std::string model_path, keep;
  int64_t layers = 4;

  bench::ModelLocation location() const {
    return {.model_path = model_path,
            .keep = keep,
            .temporary = std::filesystem::temp_directory_path()};
  }
};

// Rows of one bench under `options`.
using MeasureRows = std::function<Json(const BenchOptions& options)>;

void run_bench(const CommonFlags& flags, const MeasureRows& measure) {
  Progress progress(flags.progress);
  use_threads(flags.threads, progress);
  const BenchOptions options{
      .repeats = flags.repeats,
      .cancellation = flags.cancellation,
      .progress = [&](const std::string& line) { progress.line("note: " + line); }};
  Json rows = measure(options);
  options.say("roofs of this machine");
  const Json result = {{"machine", bench::machine_json()}, {"rows", std::move(rows)}};
  std::cout << (flags.json ? to_text(result) + "\n" : spelled(bench_table(result))) << std::flush;
}

// A parser with the flags that all benches have.
CLI::App* add_parser(CLI::App& app, CommonFlags& flags, const char* name, const char* text) {
  CLI::App* parser = app.add_subcommand(name, text);
  parser->add_option("--threads", flags.threads, "Threads (default: all of this machine)")
      ->check(CLI::Range(1, 4096));
  parser->add_option("--repeats", flags.repeats, "Runs of which the median counts")
      ->check(CLI::Range(5, 1000))
      ->capture_default_str();
  parser->add_flag("--json", flags.json, "Print JSON");
  add_progress_flags(*parser, flags.progress);
  return parser;
}

template <class Flags>
struct Leaf {
  CommonFlags common;
  Flags own;
};

template <class Flags>
std::shared_ptr<Leaf<Flags>> make_leaf(const CancellationToken& cancellation) {
  auto leaf = std::make_shared<Leaf<Flags>>();
  leaf->common.cancellation = &cancellation;
  return leaf;
}

bench::TextFile read_text_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kNotFound, "--shapes: " + path + ": cannot open");
  constexpr size_t kMostBytes = 1 << 20;
  std::string text(kMostBytes, '\0');
  file.read(text.data(), kMostBytes);
  text.resize(static_cast<size_t>(file.gcount()));
  if (file.bad() || text.size() == kMostBytes) {
    throw Error(Code::kCorruptFile, "--shapes: " + path + ": expected a text of less than 1 MiB");
  }
  return {.name = path, .text = std::move(text)};
}

CLI::Validator is_scheme() {
  return choice_of(quantization::scheme_names(quantization::SchemeSet::kUndeclared));
}

void add_scheme_flag(CLI::App& parser, ModelFlags& flags) {
  parser.add_option("--quantization,--scheme", flags.scheme, "Scheme: none, mxfp8 or mxint8")
      ->transform(is_scheme())
      ->capture_default_str();
}

void add_kernel_flag(CLI::App& parser, std::vector<std::string>& kernels) {
  parser
      .add_option("--kernel", kernels,
                  "Only this kernel row: ROW, or OP=ROW as the other commands take it")
      ->delimiter(',')
      ->check(is_not_empty());
}

// The row of `op` (or of an op that only adds to its name, as attention_int8) among those that were
// asked for; empty: all rows. Says which were asked for of ops that this bench does not measure.
std::string own_row(const std::vector<std::string>& kernels, const std::string& op,
                    const BenchOptions& options) {
  std::string row;
  for (const std::string& kernel : kernels) {
    const size_t equals = kernel.find('=');
    const std::string of = equals == std::string::npos ? op : kernel.substr(0, equals);
    if (equals != std::string::npos) kernels::check_row_runs(of, kernel.substr(equals + 1));
    if (!of.starts_with(op)) {
      options.say("--kernel " + kernel + " changes nothing: this bench measures " + op);
      continue;
    }
    if (!row.empty()) throw Error(Code::kInvalidArgument, "--kernel: two rows of " + op);
    row = equals == std::string::npos ? kernel : kernel.substr(equals + 1);
  }
  return row;
}

struct GemmFlags {
  std::string scheme = quantization::kSmallScheme, shapes, layers;
  std::vector<std::string> kernel;
  std::vector<std::string> rows = {"1", "512", "2048"};
};

Json gemm_rows(const GemmFlags& flags, const BenchOptions& options) {
  const bool own = !flags.shapes.empty();
  const auto shapes =
      own ? bench::parse_layer_shapes(read_text_file(flags.shapes)) : bench::builtin_layer_shapes();
  const std::string all = own ? "*" : "ti2v_5b/*";
  const bench::GemmBench request{
      .scheme = flags.scheme,
      .kernel = own_row(flags.kernel, bench::op_of_scheme(flags.scheme), options),
      .problems = bench::select_problems(
          shapes, bench::builtin_token_counts(),
          {.layers = flags.layers.empty() ? all : flags.layers, .rows = flags.rows})};
  Json rows = Json::array();
  for (const bench::GemmRow& row : bench::bench_gemm(request, options)) {
    rows.push_back(bench::gemm_row_json(row));
  }
  return rows;
}

Command add_gemm(CLI::App& app, const CancellationToken& cancellation) {
  auto leaf = make_leaf<GemmFlags>(cancellation);
  GemmFlags& own = leaf->own;
  CLI::App* parser = add_parser(
      app, leaf->common, "gemm",
      "Linear layers of the real models, every kernel row beside oneDNN's dense products");
  parser
      ->add_option("--quantization,--scheme", own.scheme,
                   "Scheme: mxfp8 or mxint8 (activations quantized as it runs) or none")
      ->transform(is_scheme())
      ->capture_default_str();
  add_kernel_flag(*parser, own.kernel);
  parser->add_option("--shapes", own.shapes, "Text file of lines `layer K N` (default: built in)")
      ->check(is_not_empty());
  parser
      ->add_option("--layer", own.layers,
                   "Glob of layers such as a14b/ffn_* (default: ti2v_5b/*, or all of --shapes)")
      ->check(is_not_empty());
  parser
      ->add_option("--m", own.rows,
                   "Rows of activations, separated by commas: numbers, or 480p and 720p for the "
                   "tokens of a video")
      ->delimiter(',')
      ->check(is_not_empty())
      ->capture_default_str();
  return [leaf] {
    run_bench(leaf->common,
              [&](const BenchOptions& options) { return gemm_rows(leaf->own, options); });
  };
}

struct AttentionFlags {
  bench::AttentionBench bench;
  std::vector<std::string> kernel;
};

Command add_attention(CLI::App& app, const CancellationToken& cancellation) {
  auto leaf = make_leaf<AttentionFlags>(cancellation);
  bench::AttentionBench& own = leaf->own.bench;
  CLI::App* parser =
      add_parser(app, leaf->common, "attention", "Self and cross attention of the transformers");
  add_kernel_flag(*parser, leaf->own.kernel);
  parser->add_option("--length", own.lengths, "Tokens, separated by commas")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  parser->add_option("--heads", own.heads, "24 in TI2V-5B, 40 in A14B")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  return [leaf] {
    run_bench(leaf->common, [&](const BenchOptions& options) {
      bench::AttentionBench request = leaf->own.bench;
      request.kernel = own_row(leaf->own.kernel, "attention", options);
      Json rows = Json::array();
      for (const bench::AttentionRow& row : bench::bench_attention(request, options)) {
        rows.push_back(bench::attention_row_json(row));
      }
      return rows;
    });
  };
}

void add_keep_flag(CLI::App& parser, ModelFlags& flags) {
  parser
      .add_option("--keep", flags.keep,
                  "Directory for the random weights, which stay; used as it is when it has them")
      ->check(is_not_empty());
}

void add_model_path_flag(CLI::App& parser, ModelFlags& flags) {
  parser
      .add_option("-m,--model-path,--model", flags.model_path,
                  "Directory of a model or component (default: random weights)")
      ->check(is_not_empty())
      ->excludes(parser.get_option("--keep"));
}

void add_layers_flag(CLI::App& parser, ModelFlags& flags, int all, const std::string& model) {
  parser
      .add_option("--layers", flags.layers,
                  "Blocks of the random model; " + std::to_string(all) + " in " + model)
      ->check(CLI::Range(1, all))
      ->capture_default_str();
}

struct VaeFlags {
  ModelFlags model;
  bench::VaeBench bench;
};

Command add_vae(CLI::App& app, const CancellationToken& cancellation) {
  auto leaf = make_leaf<VaeFlags>(cancellation);
  VaeFlags& own = leaf->own;
  CLI::App* parser = add_parser(app, leaf->common, "vae", "One decode of a video autoencoder");
  add_keep_flag(*parser, own.model);
  add_model_path_flag(*parser, own.model);
  parser->add_option("--num-frames", own.bench.frames, "Frames of the video, 4n+1")
      ->check(CLI::Range(1, 4097))
      ->capture_default_str();
  parser->add_option("--height", own.bench.height, "Pixels")
      ->check(CLI::Range(1, 16384))
      ->capture_default_str();
  parser->add_option("--width", own.bench.width, "Pixels")
      ->check(CLI::Range(1, 16384))
      ->capture_default_str();
  return [leaf] {
    run_bench(leaf->common, [&](const BenchOptions& options) {
      bench::VaeBench request = leaf->own.bench;
      request.location = leaf->own.model.location();
      return Json::array({bench::bench_vae(request, options)});
    });
  };
}

Command add_load(CLI::App& app, const CancellationToken& cancellation) {
  auto leaf = make_leaf<ModelFlags>(cancellation);
  ModelFlags& own = leaf->own;
  CLI::App* parser = add_parser(app, leaf->common, "load",
                                "A checkpoint from the page cache into memory under a scheme");
  add_scheme_flag(*parser, own);
  add_layers_flag(*parser, own, 30, "TI2V-5B");
  add_keep_flag(*parser, own);
  add_model_path_flag(*parser, own);
  parser->get_option("--model-path")->excludes(parser->get_option("--layers"));
  return [leaf] {
    run_bench(leaf->common, [&](const BenchOptions& options) {
      const ModelFlags& flags = leaf->own;
      return Json::array({bench::bench_load(
          {.scheme = flags.scheme, .layers = flags.layers, .location = flags.location()},
          options)});
    });
  };
}

struct TextFlags {
  ModelFlags model{.scheme = quantization::kNoScheme, .model_path = {}, .keep = {}};
  int64_t tokens = 64;
};

Command add_text(CLI::App& app, const CancellationToken& cancellation) {
  auto leaf = make_leaf<TextFlags>(cancellation);
  TextFlags& own = leaf->own;
  CLI::App* parser =
      add_parser(app, leaf->common, "text", "One prompt through a text encoder (UMT5-XXL)");
  add_scheme_flag(*parser, own.model);
  parser->add_option("--tokens", own.tokens, "Tokens of the prompt")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  add_layers_flag(*parser, own.model, 24, "UMT5-XXL");
  add_keep_flag(*parser, own.model);
  add_model_path_flag(*parser, own.model);
  parser->get_option("--model-path")->excludes(parser->get_option("--layers"));
  return [leaf] {
    run_bench(leaf->common, [&](const BenchOptions& options) {
      const ModelFlags& model = leaf->own.model;
      return Json::array({bench::bench_text({.scheme = model.scheme,
                                             .layers = model.layers,
                                             .tokens = leaf->own.tokens,
                                             .location = model.location()},
                                            options)});
    });
  };
}

struct StepFlags {
  ModelFlags model;
  std::vector<std::string> schemes = {quantization::kSmallScheme};
  int64_t tokens = 780;
  int64_t text_tokens = bench::kMostTextTokens;
  pipeline::RequestForm form;  // its policy
};

Command add_step(CLI::App& app, const CancellationToken& cancellation) {
  auto leaf = make_leaf<StepFlags>(cancellation);
  StepFlags& own = leaf->own;
  CLI::App* parser = add_parser(app, leaf->common, "step",
                                "One forward of a transformer of TI2V-5B width, random weights");
  parser
      ->add_option("--quantization,--scheme", own.schemes,
                   "Schemes that take turns, separated by commas, such as mxfp8,none")
      ->delimiter(',')
      ->transform(is_scheme())
      ->capture_default_str();
  add_layers_flag(*parser, own.model, 30, "TI2V-5B");
  parser->add_option("--tokens", own.tokens, "Tokens of the latents")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  parser->add_option("--text-tokens", own.text_tokens, "Tokens of the prompt")
      ->check(CLI::Range(int64_t{1}, bench::kMostTextTokens))
      ->capture_default_str();
  add_field_flag(*parser, "compute", own.form);
  add_field_flag(*parser, "attention", own.form);
  add_keep_flag(*parser, own.model);
  return [leaf] {
    run_bench(leaf->common, [&](const BenchOptions& options) {
      const StepFlags& flags = leaf->own;
      Json rows = Json::array();
      for (const bench::StepRow& row : bench::bench_step({.schemes = flags.schemes,
                                       .layers = flags.model.layers,
                                       .tokens = flags.tokens,
                                       .text_tokens = flags.text_tokens,
                                       .policy = flags.form.policy,
                                       .location = flags.model.location()},
                                                         options)) {
        rows.push_back(bench::step_row_json(row));
      }
      return rows;
    });
  };
}

}  // namespace

Command add_bench(CLI::App& app, const CancellationToken& cancellation) {
  CLI::App* parser = app.add_subcommand(
      "bench", "Measure this machine: products, attention, decoding, loading, a prompt, a step");
  parser->require_subcommand(1);
  struct Entry {
    CLI::App* parser;
    Command run;
  };
  auto entries = std::make_shared<std::vector<Entry>>();
  const auto add = [&](Command command) {
    entries->push_back({parser->get_subcommands({}).back(), std::move(command)});
  };
  add(add_gemm(*parser, cancellation));
  add(add_attention(*parser, cancellation));
  add(add_vae(*parser, cancellation));
  add(add_load(*parser, cancellation));
  add(add_text(*parser, cancellation));
  add(add_step(*parser, cancellation));
  add(add_bench_check(*parser));
  return [entries] {
    for (const Entry& entry : *entries) {
      if (entry.parser->parsed()) entry.run();
    }
  };
}

}  // namespace mxvideo::cli
