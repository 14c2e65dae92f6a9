// Resident memory of this process, from /proc/self/status. Bytes; 0 where /proc is absent.
#pragma once

#include <cstdint>

namespace mxvideo {

int64_t resident_bytes();
// Highest resident_bytes() since start or the last reset_peak_resident_bytes().
int64_t peak_resident_bytes();
// Resets the peak to the present value; false where the kernel does not allow it.
bool reset_peak_resident_bytes();
// Gives freed heap memory back to the operating system.
void trim_heap();

}  // namespace mxvideo
