// A matrix for people: round trips and bandwidth as tables, or in short where there are too many nodes; who is dead,
// who is suspect.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace netsense::matrix {

inline constexpr size_t kMostInTable = 16;  // nodes

// `document` as in docs/results.md, with `nodes`, `results` and `suspects`.
std::string TablesOf(const nlohmann::json& document);

}  // namespace netsense::matrix
