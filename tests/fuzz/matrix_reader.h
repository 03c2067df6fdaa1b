// Reads the matrix document by what docs/architecture.md says of it, and by nothing else of ours.
#pragma once

#include <string_view>

namespace netsense::fuzz {

// Whether it is one, whole, with columns for `nodes` x `nodes` pairs; and no figure in it is infinite, or stands where
// the state is not OK.
void CheckMatrixDocument(std::string_view document, size_t nodes);

}  // namespace netsense::fuzz
