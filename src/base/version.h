// Version of this build.
#pragma once

namespace mxvideo {

const char* version();  // "0.1.0"

}  // namespace mxvideo
