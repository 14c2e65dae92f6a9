#include "tokenizer_files.h"

#include <sentencepiece_trainer.h>

#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/file/atomic_file.h"

namespace mxvideo::tools {
namespace {

// Every combination of these becomes a training sentence.
const std::vector<std::string> kSubjects = {
    "a red fox",      "a small white cat",        "two friendly dogs", "the old lighthouse",
    "a sailing boat", "a dancer in a long dress", "a steam train",     "the robot painter",
    "golden koi",     "a hot air balloon"};
const std::vector<std::string> kActions = {
    "runs through fresh snow",         "sleeps beside the window",
    "swims slowly in a clear pond",    "moves to the right",
    "turns around under studio light", "drifts over green hills at sunset",
    "crosses the bridge in the rain",  "looks into the camera"};
const std::vector<std::string> kStyles = {"", ", cinematic, highly detailed",
                                          ", slow motion, shallow depth of field",
                                          ", on a white background", ", watercolor style"};

class Sentences final : public sentencepiece::SentenceIterator {
 public:
  Sentences() {
    for (const std::string& subject : kSubjects) {
      for (const std::string& action : kActions) {
        for (const std::string& style : kStyles)
          all_.push_back(subject + " " + action + style + ".");
      }
    }
  }
  bool done() const override { return next_ >= all_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return all_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> all_;
  size_t next_ = 0;
};

}  // namespace

void write_tokenizer_files(const std::filesystem::path& directory, int64_t vocabulary) {
  std::filesystem::create_directories(directory);
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "unigram"},
      {"vocab_size", std::to_string(vocabulary)},
      {"hard_vocab_limit", "false"},
      {"byte_fallback", "true"},
      {"character_coverage", "1.0"},
      {"normalization_rule_name", "nmt_nfkc"},
      {"pad_id", "0"},
      {"eos_id", "1"},
      {"unk_id", "2"},
      {"bos_id", "-1"},
      {"num_threads", "1"},
      {"minloglevel", "2"}};
  Sentences sentences;
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &sentences, &model);
  if (!status.ok()) {
    throw Error(Code::kInternal, "the SentencePiece trainer failed: " + status.ToString());
  }
  write_file_atomically(directory / "spiece.model", model);
  const nlohmann::ordered_json special = {
      {"eos_token", "</s>"}, {"pad_token", "<pad>"}, {"unk_token", "<unk>"}};
  write_file_atomically(directory / "special_tokens_map.json", special.dump(2) + "\n");
  nlohmann::ordered_json config = {
      {"tokenizer_class", "T5Tokenizer"}, {"extra_ids", 0}, {"model_max_length", 512}};
  config.update(special);
  write_file_atomically(directory / "tokenizer_config.json", config.dump(2) + "\n");
}

}  // namespace mxvideo::tools
