// Rates kept from run to run, as JSON: a list of machines, the latest first, each with the date of
// its first rate and a rate for each kind of call. A file that cannot be used or written costs time
// only, so nothing here throws; what happened is told in `notes`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "estimate/rates.h"

namespace mxvideo::estimate {

struct KeptRates {
  Rates rates;           // of this machine; none where the file has none
  std::string measured;  // "2026-11-29"; empty without rates
  std::vector<std::string> notes;
};

// Rates of another version of the program for the same machine are not used, with a note, as are
// those of a file that is no such file.
KeptRates read_rates(const std::filesystem::path& path, const Machine& machine);

// Puts `rates` in the place of what the file has for this machine and for other versions of the
// program on it. Other machines, as those that share a home directory, stay; the oldest leave when
// there are many. Makes the directories. Returns what went wrong; empty when nothing did.
std::string write_rates(const std::filesystem::path& path, const Machine& machine,
                        const KeptRates& rates);

// Today, as KeptRates has it.
std::string today();

}  // namespace mxvideo::estimate
