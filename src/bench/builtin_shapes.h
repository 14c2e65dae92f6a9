// The files of bench/shapes/ as text; the definition is made by the build.
#pragma once

namespace mxvideo::bench {

extern const char* const kShapesA14b;
extern const char* const kShapesTi2v5b;
extern const char* const kTokens;

}  // namespace mxvideo::bench
