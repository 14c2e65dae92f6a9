// Input: the text of a quant_model_description*.json. What is accepted says the same when it is
// written and read again; canonical names of the architecture are their own canonical names.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "checkpoint/modelslim.h"
#include "checkpoint/wan/key_map.h"

namespace {

using mxvideo::checkpoint::ModelSlimDescription;

void require(bool condition) {
  if (!condition) std::abort();
}

bool same(const ModelSlimDescription& a, const ModelSlimDescription& b) {
  return a.types == b.types && a.other == b.other;
}

// nullopt when it is refused. Everything but an Error of this code is a defect.
template <class Make>
std::optional<ModelSlimDescription> accepted(Make make) {
  try {
    return make();
  } catch (const mxvideo::Error& error) {
    require(std::string_view(error.what()).find('\n') == std::string_view::npos);
    require(error.code() == mxvideo::Code::kCorruptFile);
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace checkpoint = mxvideo::checkpoint;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto description =
      accepted([&] { return checkpoint::parse_modelslim_description(text, "input"); });
  if (!description) return 0;
  for (const auto& [name, type] : description->types) require(!name.empty() && !type.empty());
  const std::string written = checkpoint::modelslim_description_text(*description);
  require(same(checkpoint::parse_modelslim_description(written, "again"), *description));

  const auto canonical =
      accepted([&] { return checkpoint::canonical_description(*description, "input"); });
  if (!canonical) return 0;
  require(canonical->types.size() == description->types.size());
  require(canonical->other == description->other);
  // Names of no architecture, "ffn.0.ffn.0", may hold what is renamed once more.
  const auto is_settled = [](const auto& entry) {
    const auto style = checkpoint::NamingStyle::kHuggingFace;
    return checkpoint::canonical_transformer_name(entry.first, style) == entry.first;
  };
  if (!std::all_of(canonical->types.begin(), canonical->types.end(), is_settled)) return 0;
  require(same(checkpoint::canonical_description(*canonical, "canonical"), *canonical));
  return 0;
}
