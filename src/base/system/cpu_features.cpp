#include "base/system/cpu_features.h"

#include <array>
#include <cstring>
#include <sstream>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace mxvideo {
namespace {

struct NamedFeature {
  CpuFeatures bit;
  const char* name;
};

constexpr std::array kNames = {
    NamedFeature{kCpuAvx2, "avx2"},
    NamedFeature{kCpuAvx512, "avx512"},
    NamedFeature{kCpuAvx512Vnni, "avx512_vnni"},
    NamedFeature{kCpuAvx512Bf16, "avx512_bf16"},
    NamedFeature{kCpuAvx512Fp16, "avx512_fp16"},
    NamedFeature{kCpuAmxInt8, "amx_int8"},
    NamedFeature{kCpuAmxBf16, "amx_bf16"},
    NamedFeature{kCpuAvxVnni, "avx_vnni"},
    NamedFeature{kCpuFullRateBf16, "full_rate_bf16"},
};

#if defined(__x86_64__)

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
  return r;
}

constexpr bool bit(uint32_t word, int position) { return (word >> position) & 1u; }

// Register state that the operating system saves (XCR0).
uint64_t enabled_state() {
  if (!bit(cpuid(1, 0).ecx, 27)) return 0;  // OSXSAVE
  uint32_t low = 0;
  uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

bool made_by_amd() {
  const Registers r = cpuid(0, 0);
  const uint32_t name[] = {r.ebx, r.edx, r.ecx};
  return std::memcmp(name, "AuthenticAMD", sizeof name) == 0;
}

// Linux gives AMX tile data only to processes that ask for it.
bool request_amx_permission() {
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
}

CpuFeatures detect() {
  constexpr uint64_t kYmmState = 0x6;
  constexpr uint64_t kZmmState = 0xe6;
  constexpr uint64_t kTileState = 0x60000;
  const uint64_t state = enabled_state();
  const Registers leaf1 = cpuid(1, 0);
  const Registers leaf7 = cpuid(7, 0);
  const Registers leaf7_1 = cpuid(7, 1);
  CpuFeatures found = kCpuNone;
  const bool ymm = (state & kYmmState) == kYmmState;
  const bool zmm = (state & kZmmState) == kZmmState;
  if (ymm && bit(leaf7.ebx, 5) && bit(leaf1.ecx, 12) && bit(leaf1.ecx, 29)) found |= kCpuAvx2;
  if ((found & kCpuAvx2) && bit(leaf7_1.eax, 4)) found |= kCpuAvxVnni;
  const bool avx512 =
      bit(leaf7.ebx, 16) && bit(leaf7.ebx, 17) && bit(leaf7.ebx, 30) && bit(leaf7.ebx, 31);
  if (!(zmm && avx512 && (found & kCpuAvx2))) return found;
  found |= kCpuAvx512;
  if (bit(leaf7.ecx, 11)) found |= kCpuAvx512Vnni;
  if (bit(leaf7_1.eax, 5)) found |= kCpuAvx512Bf16;
  if ((found & kCpuAvx512Bf16) && made_by_amd()) found |= kCpuFullRateBf16;
  if (bit(leaf7.edx, 23)) found |= kCpuAvx512Fp16;
  const bool amx_state = (state & kTileState) == kTileState;
  if (amx_state && bit(leaf7.edx, 24) && request_amx_permission()) {
    if (bit(leaf7.edx, 25)) found |= kCpuAmxInt8;
    if (bit(leaf7.edx, 22)) found |= kCpuAmxBf16;
  }
  return found;
}

#else

CpuFeatures detect() { return kCpuNone; }

#endif

}  // namespace

CpuFeatures cpu_features() {
  static const CpuFeatures kDetected = detect();
  return kDetected;
}

std::string cpu_features_to_string(CpuFeatures features) {
  std::string text;
  for (const NamedFeature& entry : kNames) {
    if (features & entry.bit) text += (text.empty() ? "" : " ") + std::string(entry.name);
  }
  return text.empty() ? "none" : text;
}

CpuFeatures parse_cpu_features(const std::string& list) {
  CpuFeatures set = kCpuNone;
  std::istringstream stream(list);
  for (std::string name; std::getline(stream, name, ',');) {
    bool known = false;
    for (const NamedFeature& entry : kNames) {
      if (name == entry.name) {
        set |= entry.bit;
        known = true;
      }
    }
    if (!known) {
      throw Error(Code::kInvalidArgument, "unknown CPU feature '" + name +
                                              "'; known: " + cpu_features_to_string(~kCpuNone));
    }
  }
  return set;
}

std::string cpu_model_name() {
#if defined(__x86_64__)
  if (cpuid(0x80000000u, 0).eax < 0x80000004u) return {};
  std::array<char, 49> name{};
  for (uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002u + i, 0);
    std::memcpy(name.data() + i * sizeof(r), &r, sizeof(r));
  }
  const std::string text = name.data();
  const size_t begin = text.find_first_not_of(' ');
  const size_t end = text.find_last_not_of(' ');
  return begin == std::string::npos ? std::string{} : text.substr(begin, end - begin + 1);
#else
  return {};
#endif
}

}  // namespace mxvideo
