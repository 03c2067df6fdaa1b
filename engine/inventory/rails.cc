#include "engine/inventory/rails.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/inventory/pci.h"

namespace netsense::inventory {
namespace {

absl::Status ByHand(const std::vector<std::string>& names, Node* node) {
  std::set<const Port*> taken;
  for (size_t rail = 0; rail < names.size(); ++rail) {
    const std::string& name = names[rail];
    std::vector<Port*> fits;
    for (Port& port : node->ports)
      if (!name.empty() &&
          (name == port.name || name == port.netdev || name == port.rdma_device || name == port.place.address))
        fits.push_back(&port);
    // A name of one port alone goes before what several share.
    if (fits.size() > 1)
      fits.erase(std::remove_if(fits.begin(), fits.end(), [&](const Port* port) { return port->name != name; }),
                 fits.end());
    if (fits.size() != 1) {
      auto names_of = [](std::string* out, const Port& port) { absl::StrAppend(out, port.name); };
      return absl::InvalidArgumentError(absl::StrCat("rail ", rail, ": '", name, "' is not the name of one port here: ",
                                                     absl::StrJoin(node->ports, ", ", names_of)));
    }
    if (!taken.insert(fits[0]).second)
      return absl::InvalidArgumentError(absl::StrCat("rail ", rail, ": '", name, "' has a rail already"));
    fits[0]->rail = static_cast<uint32_t>(rail);
    fits[0]->rail_reason = "set by hand";
  }
  return absl::OkStatus();
}

std::string WhyNone(const Port& port) {
  if (port.virtual_function) return "a virtual function is no rail";
  if (!port.bond.empty()) return absl::StrCat("member of ", port.bond);
  if (port.role != v1::PORT_ROLE_COMPUTE) return "not a compute port";
  return "";
}

void ByRank(Node* node) {
  std::vector<Port*> rails;
  for (Port& port : node->ports) {
    port.rail_reason = WhyNone(port);
    if (port.rail_reason.empty()) rails.push_back(&port);
  }
  size_t placed = static_cast<size_t>(
      std::count_if(rails.begin(), rails.end(), [](const Port* port) { return !port->place.address.empty(); }));
  bool software = std::all_of(rails.begin(), rails.end(), [](const Port* port) {
    return port->place.address.empty() && port->bus == Bus::kVirtual;
  });
  if (placed < rails.size() && !software) {
    for (Port* port : rails) port->rail_reason = "the PCI addresses of the compute ports are not all known";
    node->notes.emplace_back("rails are not known: they go by PCI address, and not every compute port's is known");
    return;
  }
  std::sort(rails.begin(), rails.end(), [](const Port* a, const Port* b) {
    auto key = [](const Port* port) {
      return std::tuple(ParsePciAddress(port->place.address), port->name.size(), port->name);
    };
    return key(a) < key(b);
  });
  for (size_t i = 0; i < rails.size(); ++i) {
    rails[i]->rail = static_cast<uint32_t>(i);
    rails[i]->rail_reason = software ? "by name: it is made of software and has no PCI address"
                                     : "rank among the compute ports by PCI address";
  }
}

}  // namespace

absl::Status AssignRails(const std::vector<std::string>& by_hand, Node* node) {
  for (Port& port : node->ports) {
    port.rail.reset();
    port.rail_reason = by_hand.empty() ? "" : "not among the rails that are set by hand";
  }
  if (!by_hand.empty()) return ByHand(by_hand, node);
  ByRank(node);
  return absl::OkStatus();
}

}  // namespace netsense::inventory
