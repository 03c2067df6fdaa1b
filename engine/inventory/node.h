// What a machine has of network ports, GPUs and NUMA nodes, and where each of them sits: plain values, the same
// whatever they were read from. What is not known is empty, 0 or -1, as the field says, and never a guess.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "netsense/measurement.pb.h"

namespace netsense::inventory {

// Where a device sits on PCI. Enough to tell how near two devices are (affinity.h).
struct PciPlace {
  std::string address;            // "0000:3b:00.0", a bond's is its first member's; empty = not on PCI, or not known
  std::vector<std::string> path;  // host bridge ("pci0000:3a"), each bridge, the device itself; empty = not known
  int numa_node = -1;             // the kernel's number; -1 = not known
};

// 0 = not known.
struct PcieLink {
  int generation = 0;
  int width = 0;
  int max_generation = 0;
  int max_width = 0;
  double gbps = 0;  // what the link carries now, after line coding and before packet headers
};

struct Gid {
  uint32_t index = 0;
  std::string gid;     // as an IPv6 address
  std::string type;    // "IB/RoCE v1", "RoCE v2"; empty = not said
  std::string netdev;  // empty = none
};

// How a device is attached.
enum class Bus { kUnknown, kPci, kVirtio, kUsb, kVirtual };

// One port: a network device, a port of an RDMA device, or both sides of one thing.
struct Port {
  std::string name;          // stable and unique on its machine; see PortName()
  std::string netdev;        // empty = none
  int netdev_index = 0;      // the kernel's number of the netdev
  std::string link_address;  // of the netdev: "02:1e:d4:e3:20:6d"
  std::string rdma_device;   // empty = none
  int rdma_port = 0;         // from 1
  v1::FabricKind fabric = v1::FABRIC_KIND_UNKNOWN;
  v1::PortState state = v1::PORT_STATE_UNKNOWN;
  std::string state_text;  // as the source says it
  uint64_t speed_bps = 0;  // link rate
  uint32_t mtu = 0;
  std::vector<std::string> addresses;  // numeric
  std::vector<Gid> gids;               // those that are set

  PciPlace place;
  Bus bus = Bus::kUnknown;
  PcieLink pcie;
  std::string driver;
  std::string vendor;  // "15b3", or the name where the source has it
  std::string model;
  bool virtual_function = false;
  std::string bond;                       // the bond that this netdev is a member of
  std::vector<std::string> bond_members;  // netdevs; not empty = this is a bond
  std::vector<std::string> lower;         // netdevs right beneath this one: of a VLAN, a bridge, a bond
  bool default_route = false;             // of this netdev, or of one above it

  v1::PortRole role = v1::PORT_ROLE_UNKNOWN;
  std::string role_reason;
  std::optional<uint32_t> rail;
  std::string rail_reason;

  // A port of a network adapter, or a bond of such: what `topo` lists and a rail may be. Not loopback, veth, bridges.
  bool is_nic() const;
  // Such a port that stands for itself: no virtual function, no member of a bond. What `topo` has in its table.
  bool is_shown() const;
};

struct Gpu {
  std::string name;    // "GPU0": by rank of the PCI address
  std::string vendor;  // "NVIDIA"
  std::string model;   // as the source says, else "10de:2330"
  PciPlace place;
  PcieLink pcie;
  std::string nvlink_domain;      // "<cluster uuid>.<clique>"; empty = none, or not known
  std::map<size_t, int> nvlinks;  // other GPU (index in Node::gpus) -> NVLinks to it; empty = none, or not known
};

struct NumaNode {
  int index = 0;  // the kernel's number; numbers need not be dense; -1 = the only one, and its number is not told
  int package = -1;
  std::vector<int> cpus;  // kernel's numbers, rising
  int cores = 0;          // 0 = not known
  uint64_t memory_bytes = 0;
  std::map<int, int> distances;  // to the node of that index, as the firmware tells (itself = 10)
};

// Whether a machine runs under a hypervisor, as far as the source of its inventory can tell.
enum class Virtualized { kUnknown, kYes, kNo };

struct Node {
  std::string hostname;  // empty = not known
  std::string source;    // "this machine", "hwloc XML /x/y.xml"
  std::vector<Port> ports;
  std::vector<Gpu> gpus;  // by PCI address
  std::vector<NumaNode> numa_nodes;
  // PCI functions that a file places and of which it does not say what they are (NCCL's format may leave that out).
  std::vector<PciPlace> functions;
  Virtualized virtualized = Virtualized::kUnknown;
  // A hypervisor shows another tree than the real one: "same host bridge" means nothing there (affinity.h).
  bool topology_hidden = false;
  std::vector<std::string> notes;  // what could not be known, in words
};

// The RDMA device (":2" behind it where the device has several ports), else the netdev, else the PCI address.
std::string PortName(const Port& port, bool several_rdma_ports);

// A link rate in bits per second as a file or driver tells it; 0 (not known) for what no port carries, as where the
// number is of another unit. The fastest adapters are at 1.6 Tb/s, and NCCL joins up to four ports to one.
constexpr double kMaxPortBps = 10e12;
uint64_t PlausibleRate(double bps);

// What is shown of a machine grows with the product of its devices: InvalidArgument for more than any has.
constexpr size_t kMaxGpus = 512;
constexpr size_t kMaxPorts = 4096;
absl::Status CheckSize(const Node& node);

const NumaNode* FindNumaNode(const Node& node, int index);  // null when there is none

std::string Name(Bus bus);  // "pci", "virtual"

}  // namespace netsense::inventory
