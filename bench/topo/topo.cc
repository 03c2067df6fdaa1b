#include "bench/topo/topo.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "bench/topo/drawing.h"
#include "bench/topo/json.h"
#include "bench/topo/table.h"

namespace netsense {

absl::Status ShowTopology(const TopoRequest& request, std::ostream& out) {
  ASSIGN_OR_RETURN(auto node, request.from.empty() ? inventory::ThisMachine(request.inventory).Read()
                                                   : inventory::ReadFrom(request.from, request.inventory));
  if (!request.svg.empty()) {
    std::ofstream file(request.svg);
    file << TopologySvg(node) << std::flush;
    if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", request.svg, ": ", strerror(errno)));
  }
  if (request.json) {
    // Names may hold anything: what is no UTF-8 is replaced.
    out << TopologyJson(node).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  } else {
    out << TopologyTable(node);
  }
  return absl::OkStatus();
}

}  // namespace netsense
