// How a side that was granted busy polling spins: the same in every backend, so that figures compare.
#pragma once

#include <chrono>

namespace netsense {

// A busy-polling side that has heard nothing for so long lends its core to others until something comes.
inline constexpr std::chrono::milliseconds kSpinLimit{100};
// Clock, deadline and stop token are looked at once in so many spins.
inline constexpr int kSpinsPerClockRead = 32;

}  // namespace netsense
