// Which model a checkpoint holds, by the names and shapes of its tensors: the relatives of Wan2.2,
// LoRAs, other forms of quantization, parts of a checkpoint, and other models that people have
// under the same file names. Closed tables. Thread-safe: no state. Sources of the names: ComfyUI
// comfy/model_detection.py, comfy/ldm/wan/model.py, comfy/lora.py, comfy/ops.py and
// QUANTIZATION.md; Wan-Video/Wan2.1, Wan2.2 and ali-vilab/VACE wan/modules; aigc-apps VideoX-Fun
// wan_transformer3d.py; diffusers transformer_wan*.py; kohya-ss networks/lora.py, LyCORIS and PEFT;
// bitsandbytes, AutoGPTQ and nunchaku state dicts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace mxvideo::checkpoint {

struct ModelFamily {
  std::string what;    // "a LoRA for a Wan transformer of width 5120"
  std::string way_on;  // what to do about it; empty when there is nothing to do
  // The kind of component that it is a form of; nullopt: none that mxvideo has.
  std::optional<Component> component;
  bool runs = false;  // mxvideo has a model of this family
  bool part = false;  // of a checkpoint, whose rest is elsewhere
  // Of an error about it: nothing is broken in a file of another model, unlike in a part of one.
  Code code = Code::kUnsupported;
  // Weights are stored in a form that no declaration could describe.
  bool foreign_form = false;

  std::string sentence() const;  // "is WHAT; WAY ON"
};

// nullopt for tensors that no table knows.
std::optional<ModelFamily> recognise_family(const Checkpoint& checkpoint);

// How a message about tensors that do not fit begins: the checkpoint's description, and what it is
// when that explains the misfit: another family than that of Checkpoint::component(), or any when
// `always`.
std::string misfit_origin(const Checkpoint& checkpoint, bool always = false);

// Throws "ORIGIN: WHAT" with the above as origin: the code of the family where that explains the
// misfit, else Code::kCorruptFile.
[[noreturn]] void refuse_misfit(const Checkpoint& checkpoint, const std::string& what,
                                bool always = false);

}  // namespace mxvideo::checkpoint
