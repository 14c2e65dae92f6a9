#include "base/version.h"

namespace mxvideo {

const char* version() { return MXVIDEO_VERSION; }

}  // namespace mxvideo
