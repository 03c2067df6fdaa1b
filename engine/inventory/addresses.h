// What the kernel tells of this network namespace's devices outside of sysfs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/inventory/node.h"

namespace netsense::inventory {

// A network device of this namespace.
struct Link {
  std::string netdev;
  int index = 0;
  std::string link_address;  // "02:1e:d4:e3:20:6d"; empty = none, or not told
  bool up = false;           // switched on
  bool running = false;      // and has a carrier
  bool loopback = false;
  std::vector<std::string> addresses;  // numeric
};

std::vector<Link> ReadLinks();

// The link that is switched on and has `address` (numeric), or, for any of 127.0.0.0/8 and ::1, the loopback device.
std::optional<Link> LinkOfAddress(const std::string& address);

// Whether the port's netdev is this link. A container that shows the host's /sys has netdevs of the same names in it
// that are others.
bool IsSameDevice(const Link& link, const Port& port);

// Adds addresses and default routes to the node's ports, and a bare port for each link that is not among them. Takes
// away what /sys shows of other namespaces, with a note.
void AddAddresses(Node* node);

}  // namespace netsense::inventory
