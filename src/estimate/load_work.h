// Loading as work: bytes of weights read from a file that lies in the page cache, and either kept
// in their type or quantized and packed. What the disk adds to that is not in it.
#pragma once

#include "estimate/work_log.h"
#include "formats/mx_block.h"

namespace mxvideo::estimate {

// Groups of ops "load" and rows "plain" and "quantized". `bytes` are those in the file.
CallGroup plain_load(double bytes);
CallGroup quantized_load(double bytes, const formats::MxOptions& options);

}  // namespace mxvideo::estimate
