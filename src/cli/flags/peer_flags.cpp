#include "cli/flags/peer_flags.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace mxvideo::cli {
namespace {

constexpr std::string_view kLora =
    "LoRA is not there yet; merge it into the float weights before mxvideo quantize";
constexpr std::string_view kOneDevice =
    "mxvideo runs on the CPU of one machine; --threads says on how many threads";
constexpr std::string_view kNoOffload =
    "there is nothing to offload: mxvideo runs on the CPU and holds one expert at a time; mxvideo "
    "plan says how much memory a run needs";
constexpr std::string_view kPrecision =
    "activations are float32; --quantization and --text-encoder-quantization say how weights are "
    "held";
constexpr std::string_view kSampler =
    "the sampler is UniPC of order 2, as Wan2.2 ships; --sigma-grid and --flow-shift change its "
    "steps";
constexpr std::string_view kCache =
    "steps are not skipped or cached; --num-inference-steps makes a run shorter";
constexpr std::string_view kServer =
    "the server is not there yet; mxvideo generate makes one video";
constexpr std::string_view kVae =
    "the VAE is the model's own; a directory of another model, with its VAE, goes to --model-path";
constexpr std::string_view kTextEncoder =
    "the text encoder is the model's own; its directory is text_encoder in --model-path";
constexpr std::string_view kAttention =
    "--attention fp32 or int8 says how attention multiplies; --kernel attention=ROW forces a "
    "kernel";
constexpr std::string_view kTask =
    "the model decides what it does: T2V, I2V and TI2V are recognised from its files";
constexpr std::string_view kOneVideo =
    "one run makes one video; run again with another --seed for another";
constexpr std::string_view kPreview = "there is no preview of unfinished videos";
constexpr std::string_view kPostprocess =
    "there is no upscaling or frame interpolation; ffmpeg does it with the finished video";
constexpr std::string_view kExtend = "prompts are taken as they are; there is no prompt extension";
constexpr std::string_view kCompile = "nothing is compiled at run time; leave it out";
constexpr std::string_view kMapped = "weights are always read from mapped files; leave it out";
constexpr std::string_view kAudio =
    "only the T2V-A14B, I2V-A14B and TI2V-5B models of Wan2.2 run, not S2V, Animate or VACE";
constexpr std::string_view kConfigFile =
    "there are no files of flags; every flag can be an MXVIDEO_ variable";
constexpr std::string_view kLog = "--progress and --quiet say what is printed";
constexpr std::string_view kTrust = "a model's code is never run; leave it out";

struct Peer {
  std::string_view name;  // of the flag, without dashes in front, '-' for '_'; '*' at the end: any
  std::string_view reason;
};

constexpr std::array kPeers = {
    Peer{"lora*", kLora},
    Peer{"loras", kLora},
    Peer{"apply-lora*", kLora},
    Peer{"num-gpus", kOneDevice},
    Peer{"gpu*", kOneDevice},
    Peer{"base-gpu-id", kOneDevice},
    Peer{"device-*", kOneDevice},
    Peer{"cuda*", kOneDevice},
    Peer{"backend*", kOneDevice},
    Peer{"nnodes", kOneDevice},
    Peer{"node-rank", kOneDevice},
    Peer{"dist-*", kOneDevice},
    Peer{"tp-size", kOneDevice},
    Peer{"sp-degree", kOneDevice},
    Peer{"ulysses*", kOneDevice},
    Peer{"ring-degree", kOneDevice},
    Peer{"dp", kOneDevice},
    Peer{"dp-size", kOneDevice},
    Peer{"data-parallel*", kOneDevice},
    Peer{"enable-cfg-parallel", kOneDevice},
    Peer{"cfg-parallel*", kOneDevice},
    Peer{"context-parallel", kOneDevice},
    Peer{"encoder-parallel", kOneDevice},
    Peer{"dit-fsdp", kOneDevice},
    Peer{"t5-fsdp", kOneDevice},
    Peer{"use-fsdp*", kOneDevice},
    Peer{"hsdp*", kOneDevice},
    Peer{"master-port", kOneDevice},
    Peer{"offload*", kNoOffload},
    Peer{"cpu-offload*", kNoOffload},
    Peer{"dit-cpu-offload", kNoOffload},
    Peer{"dit-layerwise*", kNoOffload},
    Peer{"dit-offload*", kNoOffload},
    Peer{"text-encoder-cpu-offload", kNoOffload},
    Peer{"image-encoder-cpu-offload", kNoOffload},
    Peer{"vae-cpu-offload", kNoOffload},
    Peer{"layerwise*", kNoOffload},
    Peer{"component-residency", kNoOffload},
    Peer{"pin-cpu-memory", kNoOffload},
    Peer{"t5-cpu", kNoOffload},
    Peer{"vae-on-cpu", kNoOffload},
    Peer{"clip-on-cpu", kNoOffload},
    Peer{"max-vram", kNoOffload},
    Peer{"lowvram", kNoOffload},
    Peer{"novram", kNoOffload},
    Peer{"normalvram", kNoOffload},
    Peer{"highvram", kNoOffload},
    Peer{"reserve-vram", kNoOffload},
    Peer{"stream-layers", kNoOffload},
    Peer{"cpu", "mxvideo always runs on the CPU; leave it out"},
    Peer{"performance-mode", kNoOffload},
    Peer{"dtype", kPrecision},
    Peer{"torch-dtype", kPrecision},
    Peer{"precision", kPrecision},
    Peer{"dit-precision", kPrecision},
    Peer{"vae-precision", kPrecision},
    Peer{"text-encoder-precision*", kPrecision},
    Peer{"convert-model-dtype", kPrecision},
    Peer{"disable-autocast", kPrecision},
    Peer{"fp16", kPrecision},
    Peer{"bf16", kPrecision},
    Peer{"fp8*", "weights go to --quantization mxfp8 or mxint8; plain FP8 is not computed"},
    Peer{"force-fp16", kPrecision},
    Peer{"force-fp32", kPrecision},
    Peer{"quant", "--quantization names the scheme"},
    Peer{"quantization-config", "--quantization names the scheme; files may declare their own"},
    Peer{"quantization-precision", "--quantization names the scheme"},
    Peer{"quantization-rank", "SVDQuant is not there; --quantization mxfp8 or mxint8 is"},
    Peer{"enable-svdquant", "SVDQuant is not there; --quantization mxfp8 or mxint8 is"},
    Peer{"tensor-type-rules", "--quantization-ignored-layers names what stays unquantized"},
    Peer{"sample-solver", kSampler},
    Peer{"sampling-method", kSampler},
    Peer{"high-noise-sampling-method", kSampler},
    Peer{"sampler*", kSampler},
    Peer{"scheduler", kSampler},
    Peer{"high-noise-steps",
         "--num-inference-steps counts the steps of both experts, "
         "--boundary-ratio says where the second takes over"},
    Peer{"eta", kSampler},
    Peer{"rng", "the noise is that of torch's CPU generator; --seed starts it"},
    Peer{"generator-device", "the noise is that of torch's CPU generator; --seed starts it"},
    Peer{"cache-mode", kCache},
    Peer{"cache-*", kCache},
    Peer{"enable-teacache", kCache},
    Peer{"teacache*", kCache},
    Peer{"easycache*", kCache},
    Peer{"skip-layers", kCache},
    Peer{"slg*", kCache},
    Peer{"skip-layer*", kCache},
    Peer{"guidance-rescale", "guidance is plain: uncond + scale x (cond - uncond)"},
    Peer{"true-cfg-scale", "--guidance-scale is the guidance of Wan2.2"},
    Peer{"cfg-normalization", "guidance is plain: uncond + scale x (cond - uncond)"},
    Peer{"guidance", "--guidance-scale is the guidance of Wan2.2"},
    Peer{"img-cfg-scale", "--guidance-scale is the guidance of Wan2.2"},
    Peer{"vae", kVae},
    Peer{"vae-path", kVae},
    Peer{"taesd", kVae},
    Peer{"tae", kVae},
    Peer{"vae-slicing", "frames are decoded in groups always; --vae-tiling cuts them into tiles"},
    Peer{"temporal-tiling",
         "frames are decoded in groups always; --vae-tiling cuts them into tiles"},
    Peer{"vae-tile-*", "--vae-tiling auto, on or off; the size of tiles is the reference's"},
    Peer{"t5xxl", kTextEncoder},
    Peer{"text-encoder-path", kTextEncoder},
    Peer{"umt5*", kTextEncoder},
    Peer{"clip-l", kTextEncoder},
    Peer{"clip-g", kTextEncoder},
    Peer{"clip-vision", kTextEncoder},
    Peer{"tokenizer-path", "the tokenizer is the model's own, tokenizer in --model-path"},
    Peer{"diffusion-model",
         "--transformer-weights-path takes a transformer's file, "
         "--transformer-2-weights-path that of the low-noise expert"},
    Peer{"high-noise-diffusion-model",
         "--transformer-weights-path takes the high-noise expert's "
         "file, --transformer-2-weights-path the low-noise one's"},
    Peer{"unet", "--transformer-weights-path takes a transformer's file"},
    Peer{"dit-path", "--transformer-weights-path takes a transformer's file"},
    Peer{"attention-backend*", kAttention},
    Peer{"diffusion-fa", kAttention},
    Peer{"fa", kAttention},
    Peer{"use-sage-attention", kAttention},
    Peer{"use-flash-attention", kAttention},
    Peer{"use-*-attention", kAttention},
    Peer{"component-attention-backends", kAttention},
    Peer{"task", kTask},
    Peer{"pipeline*", kTask},
    Peer{"model-id", kTask},
    Peer{"served-model-name", kServer},
    Peer{"num-outputs-per-prompt", kOneVideo},
    Peer{"num-videos*", kOneVideo},
    Peer{"batch-count", kOneVideo},
    Peer{"batch*", kOneVideo},
    Peer{"prompt-path", "one run makes one video; --prompt - reads the text from standard input"},
    Peer{"prompt-file*", "one run makes one video; --prompt - reads the text from standard input"},
    Peer{"preview*", kPreview},
    Peer{"upscale*", kPostprocess},
    Peer{"enable-upscaling", kPostprocess},
    Peer{"enable-frame-interpolation", kPostprocess},
    Peer{"frame-interpolation*", kPostprocess},
    Peer{"use-prompt-extend", kExtend},
    Peer{"prompt-extend*", kExtend},
    Peer{"enhance-prompt", kExtend},
    Peer{"compile", kCompile},
    Peer{"enable-torch-compile", kCompile},
    Peer{"regional-compile", kCompile},
    Peer{"warmup*", kCompile},
    Peer{"mmap", kMapped},
    Peer{"disable-mmap", kMapped},
    Peer{"direct-gpu-weight-loading", kMapped},
    Peer{"audio*", kAudio},
    Peer{"enable-tts", kAudio},
    Peer{"tts*", kAudio},
    Peer{"pose-video", kAudio},
    Peer{"src-root-path", kAudio},
    Peer{"replace-flag", kAudio},
    Peer{"refert-num", kAudio},
    Peer{"control-video", kAudio},
    Peer{"control-net*", kAudio},
    Peer{"vace*", kAudio},
    Peer{"src-video", "a video as input is not there; --image-path gives the first frame"},
    Peer{"video-path", "a video as input is not there; --image-path gives the first frame"},
    Peer{"strength", "a video as input is not there; --image-path gives the first frame"},
    Peer{"config", kConfigFile},
    Peer{"config-file", kConfigFile},
    Peer{"host", kServer},
    Peer{"port", kServer},
    Peer{"listen", kServer},
    Peer{"listen-ip", kServer},
    Peer{"listen-port", kServer},
    Peer{"webui*", kServer},
    Peer{"api-key", kServer},
    Peer{"scheduler-port", kServer},
    Peer{"save-output", "the video is always written; --output says where"},
    Peer{"no-save-output", "the video is always written; mxvideo plan writes nothing"},
    Peer{"return-frames", "--output DIR/ writes the frames as PNG"},
    Peer{"format", "--json prints the result as JSON; --output-format names that of the video"},
    Peer{"log-level", kLog},
    Peer{"verbose", kLog},
    Peer{"debug", kLog},
    Peer{"color", "colour is used on a terminal; NO_COLOR turns it off"},
    Peer{"no-color", "colour is used on a terminal; NO_COLOR turns it off"},
    Peer{"trust-remote-code", kTrust},
    Peer{"variant", "the files of the model are taken as they are; --model-path names a directory"},
    Peer{"720p", "--size 1280x720 says it (TI2V-5B: 1280x704)"},
    Peer{"480p", "--size 832x480 says it"},
    Peer{"1080p", "--size 1920x1088 says it"},
    Peer{"resolution", "--size WIDTHxHEIGHT says it"},
    Peer{"duration", "--num-frames and --fps say how long the video is"},
    Peer{"seconds", "--num-frames and --fps say how long the video is"},
    Peer{"num-threads", "--threads says it"},
};

constexpr std::array kCommands = {
    Peer{"serve", kServer},
    Peer{"server", kServer},
    Peer{"run", "mxvideo generate makes a video"},
    Peer{"vid-gen", "mxvideo generate makes a video"},
    Peer{"video", "mxvideo generate makes a video"},
    Peer{"txt2vid", "mxvideo generate makes a video"},
    Peer{"img2vid", "mxvideo generate makes a video, with --image-path from a picture"},
    Peer{"img-gen", "only videos are made; mxvideo generate --num-frames 1 makes one frame"},
    Peer{"convert", "mxvideo quantize makes MXFP8, mxvideo repack changes the layout"},
    Peer{"metadata", "mxvideo inspect says what the files hold"},
    Peer{"info", "mxvideo inspect says what files hold, mxvideo doctor what this machine has"},
    Peer{"env", "mxvideo doctor says what this machine has"},
    Peer{"check", "mxvideo verify checks a model's files, mxvideo bench check measurements"},
    Peer{"download", "mxvideo has no network; get models with: hf download ORG/NAME"},
    Peer{"pull", "mxvideo has no network; get models with: hf download ORG/NAME"},
};

// '*' may stand once.
bool matches(std::string_view pattern, std::string_view name) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  return name.size() + 1 >= pattern.size() && name.starts_with(pattern.substr(0, star)) &&
         name.ends_with(pattern.substr(star + 1));
}

template <class Table>
std::string find_reason(const Table& table, std::string_view word) {
  std::string name;
  for (const char c : word) {
    name += c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  name.erase(0, name.find_first_not_of('-'));
  const auto found =
      std::ranges::find_if(table, [&](const Peer& peer) { return matches(peer.name, name); });
  return found == table.end() ? std::string() : std::string(found->reason);
}

}  // namespace

std::string peer_flag_reason(std::string_view flag) {
  return flag.starts_with("--") ? find_reason(kPeers, flag) : std::string();
}

std::string peer_command_reason(std::string_view command) {
  return find_reason(kCommands, command);
}

}  // namespace mxvideo::cli
