// What a piece of work allocates by `new`, counted: for tests of what must not be copied.
#pragma once

#include <cstddef>
#include <functional>

namespace netsense {

struct Allocations {
  size_t all = 0;   // bytes
  size_t peak = 0;  // bytes at a time
};

// Of the calling thread alone.
Allocations AllocationsOf(const std::function<void()>& work);

}  // namespace netsense
