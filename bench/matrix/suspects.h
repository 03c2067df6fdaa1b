// The list of suspects of a whole run, as it stands in the document (docs/results.md).
#pragma once

#include <nlohmann/json.hpp>

namespace netsense::matrix {

// One suspect a cause: what another metric or transport has shown already only gets more evidence, and links that a
// node explains go into it.
void MergeSuspect(nlohmann::json added, nlohmann::json* suspects);

}  // namespace netsense::matrix
