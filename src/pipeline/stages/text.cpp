#include "pipeline/stages/text.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "kernels/common/working_memory.h"
#include "pipeline/run.h"
#include "pipeline/text/text_tokenizer.h"

namespace mxvideo::pipeline {
namespace {

constexpr int64_t kAnyLength = std::numeric_limits<int64_t>::max();

// Says which embeddings were not computed.
void note_hits(Run& run) {
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

std::string label(const Prompt& prompt) {
  return prompt.name == std::string_view("prompt") ? "prompt" : "negative prompt";
}

Tensor& text_of(Run& run, const Prompt& prompt) {
  return prompt.name == std::string_view("prompt") ? run.text : run.negative_text;
}

// An embedding that cannot be kept is worth a line and no more: the run is right without it.
void keep_text(Run& run, const TextCache& cache, std::span<const int32_t> ids, const Tensor& rows) {
  try {
    // Files that changed since the encoder was loaded would be taken for those it was loaded from.
    if (open_text_cache(run.engine)->path_of(ids) != cache.path_of(ids)) {
      run.notice("the text encoder's files changed during the run; the embedding is not cached");
      return;
    }
    cache.store(ids, rows);
  } catch (const Error& error) {
    run.notice("the embedding is not cached: " + std::string(error.what()));
  }
}

// Takes what the cache has. Returns the prompts that are left.
std::vector<const Prompt*> read_cache(Run& run, const std::optional<TextCache>& cache) {
  std::vector<const Prompt*> left;
  if (!cache) {
    for (const Prompt& prompt : run.prompts()) left.push_back(&prompt);
    return left;
  }
  const StageTimer timer(run.report, "read_text_cache");
  run.report.text_cache.directory = cache->directory().string();
  for (const Prompt& prompt : run.prompts()) {
    const TextCache::Entry entry = cache->find(prompt.ids);
    if (!entry.defect.empty()) {
      run.notice("cached embedding not used, encoding again: " + entry.defect);
    }
    if (entry.rows) text_of(run, prompt) = entry.rows->copy_to(run.context.device());
    if (!entry.rows) left.push_back(&prompt);
    run.report.text_cache.prompts.emplace_back(prompt.name, entry.rows ? "hit" : "miss");
  }
  note_hits(run);
  return left;
}

std::shared_ptr<const Loaded<models::Umt5Encoder>> load_encoder(Run& run) {
  const Engine& engine = run.engine;
  run.progress("load text encoder", 0, 1);
  for (const std::string& line : engine.text_files().notices()) run.notice(line);
  auto encoder = run.acquire<models::Umt5Encoder>(
      engine.residency(), "text_encoder", "text_encoder", engine.text_files(), {},
      [&] { return std::make_shared<Loaded<models::Umt5Encoder>>(engine.make_text_encoder()); });
  if (quantization::quantizes(engine.options().text_quantization)) {
    ComponentReport& component = run.report.components.back();
    component.quantization = engine.options().text_quantization;
    RunReport::add_layers(component, encoder->model.linears(), run.context);
  }
  run.progress("load text encoder", 1, 1);
  return encoder;
}

}  // namespace

std::vector<Prompt> tokenize(const Engine& engine, const ResolvedRequest& request) {
  const auto tokenizer = open_tokenizer(engine.directory());
  std::vector<Prompt> prompts;
  const auto add = [&](const char* name, const std::string& cleaned) {
    Prompt& prompt = prompts.emplace_back();
    prompt.name = name;
    prompt.ids = tokenizer.encode(cleaned, kTextRows);
    prompt.tokens = static_cast<int64_t>(tokenizer.encode(cleaned, kAnyLength).size());
    prompt.empty = cleaned.empty();
  };
  add("prompt", request.cleaned_prompt);
  if (request.use_guidance()) add("negative_prompt", request.cleaned_negative_prompt);
  return prompts;
}

std::optional<TextCache> open_text_cache(const Engine& engine) {
  const PipelineOptions& options = engine.options();
  if (options.text_cache.empty()) return std::nullopt;
  nlohmann::ordered_json scheme = {{"scheme", options.text_quantization}};
  if (quantization::quantizes(options.text_quantization)) {
    scheme["mx_scale_rule"] = formats::scale_rule_name(options.quantization.mx.scale_rule);
  }
  return TextCache(options.text_cache,
                   text_encoder_identity({.tokenizer = tokenizer_folder(engine.directory()),
                                          .text_encoder = engine.directory().path("text_encoder"),
                                          .weights = &engine.text_files(),
                                          .quantization = std::move(scheme),
                                          .policy = options.policy,
                                          .max_tokens = kTextRows}),
                   engine.text_config().d_model);
}

void encode_prompts(Run& run) {
  for (const Prompt& prompt : run.prompts()) {
    if (prompt.tokens <= kTextRows) continue;
    run.notice(label(prompt) + " has " + std::to_string(prompt.tokens) + " tokens; the last " +
               std::to_string(prompt.tokens - kTextRows) + " are not used, as in the reference");
  }
  const std::optional<TextCache> cache = open_text_cache(run.engine);
  const std::vector<const Prompt*> prompts = read_cache(run, cache);
  if (prompts.empty()) return;
  const auto encoder = load_encoder(run);
  const StageTimer timer(run.report, "encode_prompt");
  const kernels::WorkingMemory memory(
      run.context, kernels::plan_working_memory(run.context, [&](kernels::Context& dry) {
        for (const Prompt* prompt : prompts) encoder->model.encode(prompt->ids, dry);
      }));
  const auto total = std::ssize(prompts);
  run.progress("encode prompt", 0, total);
  for (int64_t i = 0; i < total; ++i) {
    run.throw_if_cancelled();
    const Prompt& prompt = *prompts[static_cast<size_t>(i)];
    Tensor& text = text_of(run, prompt);
    const auto progress = [&](int64_t block, int64_t blocks) {
      run.within("encode prompt", i, total,
                 static_cast<double>(block) / static_cast<double>(blocks));
    };
    text = encoder->model
               .encode(prompt.ids, {.context = &run.context,
                                    .cancellation = run.hooks.cancellation,
                                    .progress = progress})
               .copy_to(run.context.device());
    if (cache) keep_text(run, *cache, prompt.ids, *OnHost(text));
    run.progress("encode prompt", i + 1, total);
  }
  run.context.device().synchronize();
}

}  // namespace mxvideo::pipeline
