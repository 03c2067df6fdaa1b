#include "bench/matrix/suspects.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace netsense::matrix {
namespace {

using Json = nlohmann::json;

// Of paths nobody knows.
bool Explains(const Json& cause, const Json& other) {
  if (cause["what"] == "path" || other["what"] == "path") return false;
  const Json& ends = other["nodes"];
  return cause["nodes"] == ends ||
         (cause["what"] == "node" && std::find(ends.begin(), ends.end(), cause["nodes"][0]) != ends.end());
}

void GiveEvidence(const Json& from, Json* to) {
  for (const Json& line : from["evidence"])
    (*to)["evidence"].push_back(fmt::format("{}, {}: {}", from["transport"].get<std::string>(),
                                            from["metric"] == "rtt" ? "round trip" : "bandwidth",
                                            line.get<std::string>()));
}

}  // namespace

void MergeSuspect(Json added, Json* suspects) {
  auto explained =
      std::find_if(suspects->begin(), suspects->end(), [&](const Json& known) { return Explains(known, added); });
  if (explained != suspects->end()) return GiveEvidence(added, &*explained);
  Json others = Json::array();
  for (Json& known : *suspects) {
    if (Explains(added, known))
      GiveEvidence(known, &added);
    else
      others.push_back(std::move(known));
  }
  others.push_back(std::move(added));
  *suspects = std::move(others);
}

}  // namespace netsense::matrix
