// Controls of the stand-in of CANN: what it pretends to be, what it counted, what it caught.
//
// The stand-in is one shared library under the names libascendcl.so, libnnopbase.so and
// libopapi.so. It answers the calls of acl_api.h as the published contracts say, computes with the
// reference kernels of this project, and is stricter than an NPU where that is allowed:
//   - The host cannot touch device memory: an address of aclrtMalloc is mapped without access.
//   - Work is queued and runs on a thread of the stand-in, at a random moment up to the call that
//     waits for it. Host memory of aclrtMallocHost that a queued copy uses is protected page by
//     page, and its contents are garbage, until the host has waited for the copy.
//   - What memory is used by work that nobody waited for is known; an access that is ordered by
//     nothing, and a free, are misuses, whether or not the work has run by chance.
//   - Fresh device memory holds 0xFF bytes: NaN in every floating-point type.
//   - Handles are never used twice.
//
// A misuse is what a real library answers with corrupted results or a crash instead of a status:
// it is written to the report, and the program ends there if it was told so.
//
// Without these calls, as in a child process, the variable ASCEND_STAND_IN configures the library
// when its first function is called: "soc=Ascend910B3;devices=2;memory=1000000;fail=12;seed=3;
// late=eager|random|latest;abort=1;report=FILE"; to FILE goes the report as the process ends,
// behind it the counters, a line each. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

#define STAND_IN_CONTROL __attribute__((visibility("default")))

// Everything as at the start, and the variable read again. Handles and memory of before are gone.
STAND_IN_CONTROL void standin_reset();

// "Ascend950PR_9599" at first. Operators that only Atlas A5 has answer 361001 on other names.
STAND_IN_CONTROL void standin_set_soc(const char* name);
STAND_IN_CONTROL void standin_set_devices(uint32_t count);  // 1 at first
// Of each device, 64 GiB at first; more is answered with 207001.
STAND_IN_CONTROL void standin_set_memory(size_t bytes);
// The n-th call from now fails, n >= 1; 0: none. Calls are those of acl_api.h but
// aclGetRecentErrMsg. One that destroys or frees does so all the same, and one that waits waits.
STAND_IN_CONTROL void standin_fail_call(uint64_t n);
STAND_IN_CONTROL void standin_set_seed(uint64_t seed);

enum StandinLateness : int {
  kStandinEager = 0,   // work runs as soon as the thread gets to it
  kStandinRandom = 1,  // at first: a random part of what is queued is let go with each call
  kStandinLatest = 2,  // only for the call that waits for it
};
STAND_IN_CONTROL void standin_set_lateness(int lateness);
// Whether a misuse ends the program by abort(), its text on standard error.
STAND_IN_CONTROL void standin_set_abort(bool abort);

// What was caught since the start or the last clear, a line each; empty when nothing was. The text
// lives until the calling thread's next call.
STAND_IN_CONTROL const char* standin_report();
STAND_IN_CONTROL void standin_clear_report();

struct StandinCounters {
  uint64_t calls;
  uint64_t launches;  // of operators
  uint64_t host_to_device_copies, host_to_device_bytes;
  uint64_t device_to_host_copies, device_to_host_bytes;
  uint64_t device_to_device_copies, device_to_device_bytes;
  uint64_t synchronizations;  // calls that waited
  // Alive now:
  uint64_t tensors, scalars, int_arrays, tensor_lists, executors, streams, events;
  uint64_t device_blocks, device_bytes, host_blocks, host_bytes;
  uint64_t peak_device_bytes;
};
STAND_IN_CONTROL void standin_counters(StandinCounters* counters);
// All counters of events to zero and the peak to what is alive.
STAND_IN_CONTROL void standin_clear_counters();
// Launches of one operator, by its second phase's name.
STAND_IN_CONTROL uint64_t standin_launches(const char* op);
// The name of call n since the start or the last clear of counters, from 1; empty beyond.
STAND_IN_CONTROL const char* standin_call_name(uint64_t n);

// Bytes of device memory as the queue has left them so far, for tests that look behind the curtain.
// False when the range is not inside one block.
STAND_IN_CONTROL bool standin_peek(const void* device, size_t bytes, void* to);

}  // extern "C"
