// Which files links may lead to: those of the same model. A link that leaves it is refused until
// the user trusts it, since it may pass off any file of this machine as part of a model.
#pragma once

#include <filesystem>

namespace mxvideo::checkpoint {

// The folder that files reached from `directory` must lie in: the repository folder inside a
// Hugging Face cache (models--org--name, or whatever it was renamed to, above snapshots/<commit>),
// otherwise the directory itself; canonical. Thread-safe.
std::filesystem::path containment_root(const std::filesystem::path& directory);

// The canonical path of `file`. Throws Code::kNotFound when it is absent, Code::kUnsupported when
// it leads out of `root`, which must be canonical, unless links are allowed. Thread-safe.
std::filesystem::path resolve_inside(const std::filesystem::path& file,
                                     const std::filesystem::path& root);

// Lets links lead anywhere, for the whole process. Call it before threads that read models start.
void allow_links(bool allowed);

}  // namespace mxvideo::checkpoint
