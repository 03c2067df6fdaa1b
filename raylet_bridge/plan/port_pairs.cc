#include "raylet_bridge/plan/port_pairs.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "raylet_bridge/records/stable_hash.h"

namespace netsense {
namespace {

bool IsV6(const std::string& address) { return address.find(':') != std::string::npos; }
bool IsLinkLocal(const std::string& address) { return address.starts_with("fe80:") || address.starts_with("169.254."); }

// An address of each, of one family: the first that fits, v4 before v6. Empty when there is none.
std::pair<std::string, std::string> AddressPair(const v1::Port& from, const v1::Port& to) {
  for (bool v6 : {false, true}) {
    auto fits = [v6](const std::string& address) { return IsV6(address) == v6 && !IsLinkLocal(address); };
    auto ours = std::find_if(from.addresses().begin(), from.addresses().end(), fits);
    auto theirs = std::find_if(to.addresses().begin(), to.addresses().end(), fits);
    if (ours != from.addresses().end() && theirs != to.addresses().end()) return {*ours, *theirs};
  }
  return {};
}

std::string DeviceOf(const v1::Port& port) {
  return port.rdma_device().empty() ? port.netdev() : absl::StrCat(port.rdma_device(), ":", port.rdma_port());
}

std::optional<PortPair> Pair(const v1::Port& from, const v1::Port& to, bool by_device, bool needs_rdma) {
  if (from.fabric() != to.fabric()) return std::nullopt;
  PortPair pair;
  pair.source = from.name();
  pair.destination = to.name();
  std::tie(pair.source_address, pair.destination_address) = AddressPair(from, to);
  if (!by_device) return pair.source_address.empty() ? std::nullopt : std::optional(pair);
  const bool rdma = !from.rdma_device().empty() && !to.rdma_device().empty();
  if (!rdma && (needs_rdma || pair.source_address.empty())) return std::nullopt;
  pair.options.set_device(DeviceOf(from));
  pair.options.set_peer_device(DeviceOf(to));
  return pair;
}

}  // namespace

std::vector<PortPair> SameRails(const DoorRecord& from, const DoorRecord& to, const std::string& transport) {
  const bool by_device = Has(from, transport, kByDevice), needs_rdma = Has(from, transport, kNeedsRdma);
  std::vector<PortPair> pairs;
  for (uint32_t rail = 0; rail < std::min(CountRails(from), CountRails(to)); ++rail) {
    const v1::Port* ours = PortOfRail(from, rail);
    const v1::Port* theirs = PortOfRail(to, rail);
    if (ours == nullptr || theirs == nullptr) continue;
    if (auto pair = Pair(*ours, *theirs, by_device, needs_rdma)) {
      pair->rail = rail;
      pairs.push_back(*std::move(pair));
    }
  }
  return pairs;
}

std::optional<PortPair> CrossRail(const DoorRecord& from, const DoorRecord& to, const std::string& transport) {
  const uint32_t ours = CountRails(from), theirs = CountRails(to);
  if (ours == 0 || theirs == 0 || std::max(ours, theirs) < 2) return std::nullopt;
  const uint64_t hash = StableHash(from.node_id + to.node_id);
  const auto source = static_cast<uint32_t>(hash % ours);
  auto destination = static_cast<uint32_t>((hash >> 32) % theirs);
  if (destination == source) destination = (destination + 1) % theirs;
  const v1::Port* a = PortOfRail(from, source);
  const v1::Port* b = PortOfRail(to, destination);
  if (a == nullptr || b == nullptr || source == destination) return std::nullopt;
  auto pair = Pair(*a, *b, Has(from, transport, kByDevice), Has(from, transport, kNeedsRdma));
  if (pair) pair->cross_rail = true;
  return pair;
}

}  // namespace netsense
