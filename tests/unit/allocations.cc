#include "tests/unit/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

struct Count {
  bool on = false;
  int64_t all = 0, live = 0, peak = 0;
};
thread_local Count count;

}  // namespace

// Each form, but for the aligned ones: a sanitizer's own would not call another.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  void* made = std::malloc(std::max<size_t>(size, 1));
  if (made != nullptr && count.on) {
    const auto bytes = static_cast<int64_t>(malloc_usable_size(made));
    count.all += bytes;
    count.live += bytes;
    count.peak = std::max(count.peak, count.live);
  }
  return made;
}

void* operator new(size_t size) {
  void* made = operator new(size, std::nothrow);
  if (made == nullptr) throw std::bad_alloc();
  return made;
}

void* operator new[](size_t size, const std::nothrow_t& nothrow) noexcept { return operator new(size, nothrow); }
void* operator new[](size_t size) { return operator new(size); }

void operator delete(void* gone) noexcept {
  if (count.on && gone != nullptr) count.live -= static_cast<int64_t>(malloc_usable_size(gone));
  std::free(gone);
}
void operator delete(void* gone, size_t) noexcept { operator delete(gone); }
void operator delete[](void* gone) noexcept { operator delete(gone); }
void operator delete[](void* gone, size_t) noexcept { operator delete(gone); }

namespace netsense {

Allocations AllocationsOf(const std::function<void()>& work) {
  count = {.on = true};
  work();
  count.on = false;
  return {static_cast<size_t>(count.all), static_cast<size_t>(count.peak)};
}

}  // namespace netsense
