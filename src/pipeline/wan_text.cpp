// Prompts to embeddings: token ids, then the text encoder or what it left in the cache.
#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/text/field.h"
#include "pipeline/text_cache.h"
#include "pipeline/text_tokenizer.h"
#include "pipeline/wan_pipeline.h"
#include "pipeline/wan_run.h"
#include "tokenizer/prompt_cleaner.h"
#include "tokenizer/umt5_tokenizer.h"

namespace mxvideo::pipeline {
namespace {

constexpr int64_t kAnyLength = std::numeric_limits<int64_t>::max();

std::vector<int32_t> tokenize(const tokenizer::Umt5Tokenizer& tokenizer, const std::string& which,
                              const std::string& text, WanRun& run) {
  const std::string cleaned = tokenizer::clean_prompt(text);
  const auto tokens = static_cast<int64_t>(tokenizer.encode(cleaned, kAnyLength).size());
  if (tokens > kTextRows) {
    run.notice(which + " has " + std::to_string(tokens) + " tokens; the last " +
               std::to_string(tokens - kTextRows) + " are not used, as in the reference");
  }
  return tokenizer.encode(cleaned, kTextRows);
}

// A prompt on its way.
struct Prompt {
  const char* name;  // as RunReport::text_cache has it
  std::vector<int32_t> ids;
  Tensor* text;  // of the run; empty until it is known
};

// Says which embeddings were not computed.
void note_hits(WanRun& run) {
  std::string hits;
  bool all = true;
  for (const auto& [name, state] : run.report.text_cache.prompts) {
    all = all && state == "hit";
    if (state != "hit") continue;
    hits += (hits.empty() ? "" : " and ") +
            std::string(name == "prompt" ? "prompt" : "negative prompt");
  }
  if (hits.empty()) return;
  run.notice("embedding of the " + hits + " taken from the text cache " +
             run.report.text_cache.directory + (all ? "; the text encoder is not loaded" : ""));
}

}  // namespace

void WanPipeline::check_text_quantization() const {
  const std::string& scheme = options_.text_quantization;
  const std::vector<std::string> known =
      quantization::scheme_names(quantization::SchemeSet::kUndeclared);
  if (std::ranges::find(known, scheme) != known.end()) return;
  throw Error(Code::kInvalidArgument, field("text_encoder_quantization") +
                                          ": expected none, mxfp8 or mxint8, got '" + scheme + "'");
}

quantization::QuantizationOptions WanPipeline::text_quantization() const {
  return {
      .scheme = options_.text_quantization, .ignored_layers = {}, .mx = options_.quantization.mx};
}

models::Umt5Encoder WanPipeline::make_text_encoder() const {
  return {text_config_, *quantization::make_quantization_config(text_quantization())};
}

std::optional<TextCache> WanPipeline::open_text_cache() const {
  if (options_.text_cache.empty()) return std::nullopt;
  nlohmann::ordered_json scheme = {{"scheme", options_.text_quantization}};
  if (quantization::quantizes(options_.text_quantization)) {
    scheme["mx_scale_rule"] = formats::scale_rule_name(options_.quantization.mx.scale_rule);
  }
  return TextCache(options_.text_cache,
                   text_encoder_identity({.tokenizer = tokenizer_folder(directory_),
                                          .text_encoder = directory_.path("text_encoder"),
                                          .quantization = std::move(scheme),
                                          .forced_kernels = options_.forced_kernels,
                                          .compute = options_.compute,
                                          .max_tokens = kTextRows}),
                   text_config_.d_model);
}

// An embedding that cannot be kept is worth a line and no more: the run is right without it.
void WanPipeline::keep_text(WanRun& run, const TextCache& cache, std::span<const int32_t> ids,
                            const Tensor& rows) const {
  try {
    // Files that changed since the encoder was loaded would be taken for those it was loaded from.
    if (open_text_cache()->path_of(ids) != cache.path_of(ids)) {
      run.notice("the text encoder's files changed during the run; the embedding is not cached");
      return;
    }
    cache.store(ids, rows);
  } catch (const Error& error) {
    run.notice("the embedding is not cached: " + std::string(error.what()));
  }
}

void WanPipeline::encode_prompts(WanRun& run) const {
  std::vector<Prompt> prompts;
  {
    const auto tokenizer = open_tokenizer(directory_);
    prompts.push_back({.name = "prompt",
                       .ids = tokenize(tokenizer, "prompt", run.request.prompt, run),
                       .text = &run.text});
    if (run.request.use_guidance()) {
      prompts.push_back(
          {.name = "negative_prompt",
           .ids = tokenize(tokenizer, "negative prompt", run.request.negative_prompt, run),
           .text = &run.negative_text});
    }
  }
  const std::optional<TextCache> cache = open_text_cache();
  if (cache) {
    const StageTimer timer(run.report, "read_text_cache");
    run.report.text_cache.directory = cache->directory().string();
    for (const Prompt& prompt : prompts) {
      const TextCache::Entry entry = cache->find(prompt.ids);
      if (!entry.defect.empty()) {
        run.notice("cached embedding not used, encoding again: " + entry.defect);
      }
      if (entry.rows) *prompt.text = entry.rows->copy_to(run.context.device());
      run.report.text_cache.prompts.emplace_back(prompt.name, entry.rows ? "hit" : "miss");
    }
  }
  if (cache) note_hits(run);
  std::erase_if(prompts, [](const Prompt& prompt) { return !prompt.text->empty(); });
  if (prompts.empty()) return;

  models::Umt5Encoder encoder = make_text_encoder();
  {
    const StageTimer timer(run.report, "load_text_encoder");
    run.progress("load text encoder", 0, 1);
    ComponentReport& component = run.load_component("text_encoder", directory_.path("text_encoder"),
                                                    checkpoint::Component::kTextEncoder, encoder);
    if (quantization::quantizes(options_.text_quantization)) {
      component.quantization = options_.text_quantization;
      RunReport::add_layers(component, encoder.linears(), run.context);
    }
    run.progress("load text encoder", 1, 1);
  }
  const StageTimer timer(run.report, "encode_prompt");
  const auto total = static_cast<int64_t>(prompts.size());
  run.progress("encode prompt", 0, total);
  for (int64_t i = 0; i < total; ++i) {
    run.throw_if_cancelled();
    const Prompt& prompt = prompts[static_cast<size_t>(i)];
    *prompt.text = encoder.encode(
        prompt.ids, {.context = &run.context,
                     .cancellation = run.hooks.cancellation,
                     .progress = [&](int64_t block, int64_t blocks) {
                       run.within("encode prompt", i, total,
                                  static_cast<double>(block) / static_cast<double>(blocks));
                     }});
    if (cache) keep_text(run, *cache, prompt.ids, prompt.text->copy_to(cpu_device()));
    run.progress("encode prompt", i + 1, total);
  }
}

}  // namespace mxvideo::pipeline
