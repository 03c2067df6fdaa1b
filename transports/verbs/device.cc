#include "transports/verbs/device.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/socket.h"

namespace netsense::verbs {
namespace {

namespace fs = std::filesystem;
using Gid = std::array<uint8_t, 16>;

std::string ReadLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<std::string> Names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// "fe80:0000:...": eight groups of four digits.
std::optional<Gid> ParseGid(const std::string& text) {
  Gid gid;
  if (inet_pton(AF_INET6, text.c_str(), gid.data()) != 1) return std::nullopt;
  return gid == Gid{} ? std::nullopt : std::optional(gid);
}

// An IPv4 address as the GID ::ffff:a.b.c.d.
std::optional<Gid> GidOfAddress(const std::string& address) {
  Gid gid{};
  std::array<uint8_t, 4> v4;
  if (inet_pton(AF_INET, address.c_str(), v4.data()) == 1) {
    gid[10] = gid[11] = 0xff;
    std::copy(v4.begin(), v4.end(), gid.begin() + 12);
    return gid;
  }
  return inet_pton(AF_INET6, address.c_str(), gid.data()) == 1 ? std::optional(gid) : std::nullopt;
}

bool IsV4(const Gid& gid) {
  static constexpr std::array<uint8_t, 12> kPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kPrefix.begin(), kPrefix.end(), gid.begin());
}
bool IsLinkLocal(const Gid& gid) { return gid[0] == 0xfe && (gid[1] & 0xc0) == 0x80; }

struct GidEntry {
  uint8_t index;
  Gid gid;
  bool roce_v1;
};

struct PortInfo {
  std::string device;
  uint8_t port = 1;
  std::string state;  // "4: ACTIVE"
  bool infiniband = false;
  bool iwarp = false;  // its queue pairs are made by the connection manager alone: not for us
  uint16_t lid = 0;
  std::vector<GidEntry> gids;

  bool usable() const { return state.rfind("4:", 0) == 0 && !iwarp; }
};

std::vector<PortInfo> ListPorts(const fs::path& sysfs) {
  const fs::path devices = sysfs / "class/infiniband";
  std::vector<PortInfo> ports;
  for (const std::string& device : Names(devices)) {
    const bool iwarp = ReadLine(devices / device / "node_type").rfind("4:", 0) == 0;
    for (const std::string& number : Names(devices / device / "ports")) {
      const fs::path folder = devices / device / "ports" / number;
      PortInfo port;
      port.device = device;
      port.port = static_cast<uint8_t>(std::atoi(number.c_str()));
      port.state = ReadLine(folder / "state");
      port.iwarp = iwarp;
      port.infiniband = ReadLine(folder / "link_layer") == "InfiniBand";
      port.lid = static_cast<uint16_t>(std::strtoul(ReadLine(folder / "lid").c_str(), nullptr, 0));
      for (const std::string& index : Names(folder / "gids"))
        if (auto gid = ParseGid(ReadLine(folder / "gids" / index)))
          port.gids.push_back({static_cast<uint8_t>(std::atoi(index.c_str())), *gid,
                               !port.infiniband && ReadLine(folder / "gid_attrs/types" / index) == "IB/RoCE v1"});
      std::sort(port.gids.begin(), port.gids.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
      ports.push_back(std::move(port));
    }
  }
  return ports;
}

std::string PortName(const PortInfo& port) { return absl::StrCat(port.device, ":", int{port.port}); }

std::string Describe(const std::vector<PortInfo>& ports) {
  std::vector<std::string> texts;
  for (const PortInfo& port : ports) {
    std::vector<std::string> gids;
    for (const GidEntry& entry : port.gids) {
      char text[INET6_ADDRSTRLEN] = "";
      inet_ntop(AF_INET6, entry.gid.data(), text, sizeof(text));
      gids.push_back(text);
    }
    texts.push_back(absl::StrCat(PortName(port), " is ", port.state, " with ",
                                 gids.empty() ? "no GID" : absl::StrJoin(gids, " "),
                                 port.iwarp ? " and is iWARP, which netsense cannot measure" : ""));
  }
  return texts.empty() ? "there is no RDMA device" : absl::StrJoin(texts, "; ");
}

// The GID for an address on this port: the address itself, else (for a wished device) the first usable of its family.
const GidEntry* FindGid(const PortInfo& port, const std::optional<Gid>& address, bool exact) {
  if (address)
    for (const GidEntry& entry : port.gids)
      if (entry.gid == *address && !entry.roce_v1) return &entry;
  if (exact) return nullptr;
  for (const GidEntry& entry : port.gids)
    if (!entry.roce_v1 && (!address || IsV4(entry.gid) == IsV4(*address)) && !IsLinkLocal(entry.gid)) return &entry;
  for (const GidEntry& entry : port.gids)
    if (!entry.roce_v1) return &entry;
  return nullptr;
}

// On InfiniBand a GID is no IP address: the network device that has the address names its RDMA device.
bool InfinibandPortHas(const PortInfo& port, const std::string& address, const std::string& netdev,
                       const fs::path& sysfs) {
  return port.infiniband && !address.empty() && !netdev.empty() &&
         fs::exists(sysfs / "class/net" / netdev / "device/infiniband" / port.device);
}

}  // namespace

std::string PortChoice::Name() const { return absl::StrCat(device, ":", int{port}, " gid ", int{gid_index}); }

absl::StatusOr<PortChoice> ChoosePort(const std::string& local_address, const std::string& wish,
                                      std::optional<uint32_t> gid_index, const std::string& sysfs) {
  const std::vector<PortInfo> ports = ListPorts(sysfs);
  const auto address = GidOfAddress(local_address);
  const std::string netdev = NetdevOfAddress(local_address);
  for (const PortInfo& port : ports) {
    const bool wished = wish == port.device || wish == PortName(port);
    if (!wish.empty() && !wished) continue;
    const GidEntry* entry = nullptr;
    if (gid_index) {
      auto found = std::find_if(port.gids.begin(), port.gids.end(),
                                [&](const GidEntry& gid) { return gid.index == *gid_index; });
      if (found == port.gids.end()) {
        if (wished) return absl::InvalidArgumentError(absl::StrCat(PortName(port), " has no GID ", *gid_index));
        continue;
      }
      if (wish.empty() && FindGid(port, address, true) == nullptr) continue;
      entry = &*found;
    } else if (port.infiniband) {
      if ((wished || InfinibandPortHas(port, local_address, netdev, sysfs)) && !port.gids.empty())
        entry = &port.gids.front();
    } else {
      entry = FindGid(port, address, !wished);
    }
    if (entry == nullptr) continue;
    if (!port.usable()) return absl::UnavailableError(absl::StrCat("not usable: ", Describe({port})));
    PortChoice choice;
    choice.device = port.device;
    choice.port = port.port;
    choice.gid_index = entry->index;
    choice.gid = entry->gid;
    choice.infiniband = port.infiniband;
    choice.lid = port.lid;
    return choice;
  }
  return absl::UnavailableError(absl::StrCat(wish.empty() ? absl::StrCat("no RDMA port has the address ", local_address)
                                                          : absl::StrCat("no device '", wish, "' with a usable GID"),
                                             ": ", Describe(ports)));
}

absl::Status AnyActivePort(const std::string& sysfs) {
  const std::vector<PortInfo> ports = ListPorts(sysfs);
  if (ports.empty()) return absl::UnavailableError("no RDMA device");
  for (const PortInfo& port : ports)
    if (port.usable()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("no usable RDMA port: ", Describe(ports)));
}

}  // namespace netsense::verbs
