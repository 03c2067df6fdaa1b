// What a process holds of the system: counted before and after, to see that nothing is left behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <iosfwd>

namespace netsense::conformance {

struct Footprint {
  uint64_t descriptors = 0;
  uint64_t threads = 0;
  uint64_t children = 0;
  uint64_t locked_kib = 0;
  uint64_t pinned_kib = 0;

  static Footprint Of(pid_t pid);
  // Nothing is more than in `other`.
  bool Within(const Footprint& other) const;
};
std::ostream& operator<<(std::ostream& out, const Footprint& footprint);

// Memory of its own that `pid` and its children have touched (proc_pid_status(5): RssAnon).
uint64_t AnonymousKib(pid_t pid);

// That of `pid` once it is at most `most`; more when it is not after `limit`.
uint64_t SettledKib(pid_t pid, uint64_t most, std::chrono::nanoseconds limit);

// The footprint of `pid` once it is within `before`; a larger one when it is not after `limit`.
Footprint Settled(pid_t pid, const Footprint& before, std::chrono::nanoseconds limit);

}  // namespace netsense::conformance
