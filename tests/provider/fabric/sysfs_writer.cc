#include "tests/provider/fabric/sysfs_writer.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace netsense::provider {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStates[] = {"0: NOP", "1: DOWN", "2: INIT", "3: ARMED", "4: ACTIVE", "5: ACTIVE_DEFER"};

// Readers see the old or the new text.
void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  const fs::path unfinished = path.parent_path().parent_path() / ("." + path.filename().string());
  std::ofstream(unfinished) << text << '\n';
  fs::rename(unfinished, path);
}

std::string Text(const RawGid& gid) {
  std::string text;
  char group[8];
  for (size_t i = 0; i < gid.size(); i += 2) {
    std::snprintf(group, sizeof(group), "%s%02x%02x", i == 0 ? "" : ":", gid[i], gid[i + 1]);
    text += group;
  }
  return text;
}

void WritePortIn(const fs::path& folder, const PortSpec& port) {
  Write(folder / "state", kStates[std::clamp(static_cast<int>(port.state), 0, 5)]);
  Write(folder / "phys_state", port.state == IBV_PORT_DOWN ? "3: Disabled" : "5: LinkUp");
  Write(folder / "link_layer", port.infiniband ? "InfiniBand" : "Ethernet");
  Write(folder / "rate", port.rate);
  char lid[8];
  std::snprintf(lid, sizeof(lid), "0x%x", port.lid);
  Write(folder / "lid", lid);
  Write(folder / "pkeys/0", "0xffff");
  for (size_t i = 0; i < port.gids.size(); ++i) {
    const std::string index = std::to_string(i);
    Write(folder / "gids" / index, Text(RawGidOf(port.gids[i])));
    Write(folder / "gid_attrs/types" / index, port.infiniband ? "IB/RoCE v1" : port.gids[i].type);
    if (!port.infiniband) Write(folder / "gid_attrs/ndevs" / index, port.netdev);
  }
}

}  // namespace

RawGid RawGidOf(const Gid& gid) {
  RawGid raw{};
  if (gid.address.empty()) return raw;
  if (inet_pton(AF_INET, gid.address.c_str(), raw.data() + 12) == 1) {
    raw[10] = raw[11] = 0xff;
  } else if (inet_pton(AF_INET6, gid.address.c_str(), raw.data()) != 1) {
    throw std::invalid_argument("'" + gid.address + "' is no address for a GID");
  }
  return raw;
}

SysfsWriter::SysfsWriter(fs::path root) : root_(std::move(root)), aside_(root_.parent_path() / "aside") {
  fs::create_directories(root_ / "class/infiniband");
  fs::create_directories(root_ / "class/infiniband_verbs");
  fs::create_directories(aside_);
}

fs::path SysfsWriter::Aside() { return aside_ / std::to_string(moved_++); }

void SysfsWriter::Add(const DeviceSpec& device) {
  const fs::path fresh = Aside();
  Write(fresh / "node_type", device.iwarp ? "4: RNIC" : "1: CA");
  Write(fresh / "hca_type", "SCRIPTED");
  for (size_t i = 0; i < device.ports.size(); ++i) {
    const PortSpec& port = device.ports[i];
    WritePortIn(fresh / "ports" / std::to_string(i + 1), port);
    if (port.infiniband) fs::create_directories(root_ / "class/net" / port.netdev / "device/infiniband" / device.name);
  }
  fs::rename(fresh, root_ / "class/infiniband" / device.name);

  const fs::path entry = Aside();
  Write(entry / "ibdev", device.name);
  int number = 0;
  while (fs::exists(root_ / "class/infiniband_verbs" / ("uverbs" + std::to_string(number)))) ++number;
  fs::rename(entry, root_ / "class/infiniband_verbs" / ("uverbs" + std::to_string(number)));
}

void SysfsWriter::Remove(const std::string& device) {
  for (const auto& entry : fs::directory_iterator(root_ / "class/infiniband_verbs")) {
    std::string name;
    std::ifstream(entry.path() / "ibdev") >> name;
    if (name != device) continue;
    fs::rename(entry.path(), Aside());
    break;
  }
  fs::rename(root_ / "class/infiniband" / device, Aside());
  std::error_code none;
  for (const auto& netdev : fs::directory_iterator(root_ / "class/net", none))
    fs::remove_all(netdev.path() / "device/infiniband" / device);
}

void SysfsWriter::WritePort(const DeviceSpec& device, size_t port) const {
  WritePortIn(root_ / "class/infiniband" / device.name / "ports" / std::to_string(port), device.ports.at(port - 1));
}

}  // namespace netsense::provider
