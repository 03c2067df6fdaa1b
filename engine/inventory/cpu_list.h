// Lists of processors as Linux writes them: "0-23,48-71".
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace netsense::inventory {

// Sorted, each once. InvalidArgument for anything else, an empty text and numbers from 100,000 on too: the text may
// be anybody's.
absl::StatusOr<std::vector<int>> ParseCpuList(const std::string& text);

// `cpus` is sorted; "" of none.
std::string CpuList(const std::vector<int>& cpus);

}  // namespace netsense::inventory
