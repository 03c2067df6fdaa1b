#include "raylet_bridge/records/door_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/status_macros.h"
#include "proto/enum_names.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBytes = 256 << 10;
constexpr size_t kMaxEntries = 256;  // ports, addresses of a port, transports

std::vector<std::string> StringsAt(const Json& object, const char* key) {
  std::vector<std::string> strings;
  auto list = object.find(key);
  if (list == object.end() || !list->is_array()) return strings;
  for (const Json& entry : *list)
    if (entry.is_string() && strings.size() < kMaxEntries) strings.push_back(entry.get<std::string>());
  return strings;
}

v1::Port ParsePort(const Json& object) {
  v1::Port port;
  port.set_name(StringAt(object, "name").value_or(""));
  port.set_netdev(StringAt(object, "netdev").value_or(""));
  port.set_fabric(ParseFabric(StringAt(object, "fabric").value_or("")));
  port.set_speed_bps(static_cast<uint64_t>(IntegerAt(object, "speed_bps").value_or(0)));
  port.set_mtu(static_cast<uint32_t>(std::min<int64_t>(IntegerAt(object, "mtu").value_or(0), UINT32_MAX)));
  for (std::string& address : StringsAt(object, "addresses")) port.add_addresses(std::move(address));
  port.set_rdma_device(StringAt(object, "rdma_device").value_or(""));
  port.set_rdma_port(static_cast<uint32_t>(std::min<int64_t>(IntegerAt(object, "rdma_port").value_or(0), 255)));
  port.set_pci_address(StringAt(object, "pci_address").value_or(""));
  if (auto rail = IntegerAt(object, "rail"); rail && *rail < kMostRails) port.set_rail(static_cast<uint32_t>(*rail));
  return port;
}

constexpr std::array kOfPaths = {kByDevice, kNeedsRdma};

std::vector<std::string> OfPaths(const v1::TransportInfo& transport) {
  std::vector<std::string> names;
  for (const std::string& name : transport.capabilities())
    if (std::find(kOfPaths.begin(), kOfPaths.end(), name) != kOfPaths.end()) names.push_back(name);
  return names;
}

// Names and rails are each one port's: a second port of that name is left out, as one without a name, and a rail counts
// for the first.
void AddPort(v1::Port port, DoorRecord* door) {
  if (port.name().empty()) return;
  for (const v1::Port& other : door->ports) {
    if (port.name() == other.name()) return;
    if (port.has_rail() && other.has_rail() && port.rail() == other.rail()) port.clear_rail();
  }
  door->ports.push_back(std::move(port));
}

}  // namespace

DoorRecord MakeDoorRecord(const std::string& node_id, const std::string& address, const v1::EngineInfo& info,
                          int64_t ts_ms) {
  DoorRecord door;
  door.node_id = node_id;
  door.address = address;
  door.port = static_cast<uint16_t>(info.door_port());
  door.incarnation = fmt::format("{:016x}", info.incarnation());
  door.version = info.software_version();
  door.protocol = std::max(1u, info.protocol_version());
  door.ports.assign(info.ports().begin(), info.ports().end());
  for (const v1::TransportInfo& transport : info.transports()) {
    if (!transport.available()) continue;
    door.transports.push_back(transport.name());
    if (auto names = OfPaths(transport); !names.empty()) door.capabilities[transport.name()] = std::move(names);
  }
  door.ts_ms = ts_ms;
  return door;
}

bool Has(const DoorRecord& door, const std::string& transport, const char* capability) {
  const auto names = door.capabilities.find(transport);
  return names != door.capabilities.end() &&
         std::find(names->second.begin(), names->second.end(), capability) != names->second.end();
}

bool SameDoor(const DoorRecord& a, const DoorRecord& b) {
  auto timeless = [](DoorRecord door) {
    door.ts_ms = 0;
    return DumpJson(DoorToJson(door));
  };
  return timeless(a) == timeless(b);
}

std::string DoorPortName(const DoorRecord& door) {
  for (const v1::Port& port : door.ports)
    if (std::find(port.addresses().begin(), port.addresses().end(), door.address) != port.addresses().end())
      return port.name();
  return "";
}

const v1::Port* PortOfRail(const DoorRecord& door, uint32_t rail) {
  for (const v1::Port& port : door.ports)
    if (port.has_rail() && port.rail() == rail) return &port;
  return nullptr;
}

uint32_t CountRails(const DoorRecord& door) {
  uint32_t count = 0;
  for (const v1::Port& port : door.ports)
    if (port.has_rail()) count = std::max(count, port.rail() + 1);
  return count;
}

Json DoorToJson(const DoorRecord& door) {
  Json ports = Json::array();
  for (const v1::Port& port : door.ports)
    ports.push_back({{"name", port.name()},
                     {"netdev", port.netdev()},
                     {"fabric", FabricName(port.fabric())},
                     {"speed_bps", port.speed_bps()},
                     {"mtu", port.mtu()},
                     {"addresses", std::vector<std::string>(port.addresses().begin(), port.addresses().end())},
                     {"rdma_device", port.rdma_device()},
                     {"rdma_port", port.rdma_port()},
                     {"pci_address", port.pci_address()},
                     {"rail", port.has_rail() ? Json(port.rail()) : Json(nullptr)}});
  return {{"schema_version", 1},
          {"node_id", door.node_id},
          {"address", door.address},
          {"port", door.port},
          {"incarnation", door.incarnation},
          {"version", door.version},
          {"protocol", door.protocol},
          {"ports", std::move(ports)},
          {"transports", door.transports},
          {"capabilities", door.capabilities},
          {"http", door.http},
          {"ts_ms", door.ts_ms}};
}

absl::StatusOr<DoorRecord> ParseDoorRecord(const std::string& json, const std::string& node_id) {
  ASSIGN_OR_RETURN(auto document, ParseDocument(json, node_id, kMaxBytes));
  DoorRecord door;
  door.node_id = node_id;
  door.address = StringAt(document, "address").value_or("");
  int64_t port = IntegerAt(document, "port").value_or(0);
  if (door.address.empty() || port < 1 || port > 65535)
    return absl::InvalidArgumentError("it has no address, or no port from 1 to 65535");
  door.port = static_cast<uint16_t>(port);
  door.incarnation = StringAt(document, "incarnation").value_or("");
  door.version = StringAt(document, "version").value_or("");
  door.protocol =
      static_cast<uint32_t>(std::clamp<int64_t>(IntegerAt(document, "protocol").value_or(1), 1, UINT16_MAX));
  if (auto ports = document.find("ports"); ports != document.end() && ports->is_array())
    for (const Json& entry : *ports)
      if (entry.is_object() && door.ports.size() < kMaxEntries) AddPort(ParsePort(entry), &door);
  door.transports = StringsAt(document, "transports");
  if (auto of = document.find("capabilities"); of != document.end() && of->is_object())
    for (const std::string& transport : door.transports)
      if (auto names = StringsAt(*of, transport.c_str()); !names.empty())
        door.capabilities[transport] = std::move(names);
  door.http = StringAt(document, "http").value_or("");
  door.ts_ms = IntegerAt(document, "ts_ms").value_or(0);
  return door;
}

}  // namespace netsense
