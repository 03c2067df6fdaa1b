#include "engine/inventory/cpu_list.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/inventory/hwloc_topology.h"

namespace netsense::inventory {
namespace {

constexpr int kMostCpus = 100'000;

// One end of a range: digits alone.
bool ReadCpu(absl::string_view text, int* cpu) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit) && absl::SimpleAtoi(text, cpu) &&
         *cpu < kMostCpus;
}

}  // namespace

// Not by hwloc_bitmap_list_sscanf(): it takes signs, hexadecimal, ranges that run backwards or have no end, and memory
// for whatever number stands there.
absl::StatusOr<std::vector<int>> ParseCpuList(const std::string& text) {
  const Bitmap cpus(hwloc_bitmap_alloc());  // bounded, however often a range is repeated
  for (absl::string_view range : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(range, absl::MaxSplits('-', 1));
    int first = 0, last = 0;
    if (!ReadCpu(ends.front(), &first) || !ReadCpu(ends.back(), &last) || last < first)
      return absl::InvalidArgumentError(absl::StrCat("'", text, "' is no list of processors such as 0-3,8"));
    hwloc_bitmap_set_range(cpus.get(), static_cast<unsigned>(first), last);
  }
  return NumbersIn(cpus.get());
}

std::string CpuList(const std::vector<int>& cpus) {
  char* list = nullptr;
  if (hwloc_bitmap_list_asprintf(&list, BitmapOf(cpus).get()) < 0) return "";
  const std::unique_ptr<char, decltype(&free)> owned(list, &free);
  return list;
}

}  // namespace netsense::inventory
