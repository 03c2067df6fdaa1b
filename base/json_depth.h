// JSON from elsewhere, before it is parsed.
#pragma once

#include <string_view>

namespace netsense {

// No document of ours has more than 8 levels. What is nested without end is parsed without harm, but copying, comparing
// or writing it takes a stack frame a level.
constexpr int kMaxJsonDepth = 32;

// Whether the text opens more than `levels` objects and arrays one in another. Takes one pass; strings are passed over.
bool IsNestedDeeper(std::string_view json, int levels = kMaxJsonDepth);

}  // namespace netsense
